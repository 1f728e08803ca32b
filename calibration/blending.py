"""A background that follows slow drift: what is kept, blended with what was learned since."""

from calibration.dictionary_entry import Entry
from calibration.learning import LearnedBackground
from drivers.waveform import OfdmGrid
from processing.alignment import align, noise_var_of


def blended(kept: Entry, fresh: LearnedBackground, grid: OfdmGrid) -> LearnedBackground:
    """The mean of a kept entry and of a fresh one, on the kept one's phase, time and gain.

    Both count alike, however often the kept one was blended before, so that what it holds of an
    older hall halves each time. Noise of independent entries of variance ``v`` becomes ``v / 2``,
    and ``v / 3`` in the long run.

    Parameters
    ----------
    fresh
        Of as many captures as the kept one was first learned from.

    Raises
    ------
    ValueError
        If the kept entry is zero: there is nothing to align to.
    """
    said, channel, like = kept.header, fresh.channel, fresh.parts[0]
    own_var, fresh_var = said.learned_with.own_noise_var, fresh.own_noise_var
    if like.needs_alignment:
        channel, _ = align(
            channel, kept.channel, grid, like.coherent_groups or None,
            reference_noise_var=noise_var_of(kept.channel) if own_var is None else own_var,
        )  # fmt: skip
    return LearnedBackground(
        (kept.channel + channel) / 2, said.config_epoch, said.delay_is_absolute,
        said.delay_var_s2, fresh.noise_var,
        None if own_var is None or fresh_var is None else (own_var + fresh_var) / 4,
    )  # fmt: skip
