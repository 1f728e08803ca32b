"""What other elements make of a background than those that learned it.

Where a receiver has been replaced, or two have swapped places, captures differ from an entry by
each element's gain and delay, the same on all links of the receiver, and by nothing else: soundings
of links that have entries tell them, by the whole of their backgrounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.array_response import agreed_delays, agreed_gains, normalized_gain
from drivers.geometry import ComplexArray, FloatArray
from drivers.link_budget import delay_var_s2
from drivers.waveform import OfdmGrid
from processing.alignment import Alignment, alignment_of, noise_var_of, shifted


@dataclass(frozen=True)
class ExchangedElements:
    """Elements that are there now, over those that learned an entry.

    Attributes
    ----------
    gain
        Complex, mean power one, shape ``(M,)``.
    delay_s
        Of the envelope, mean zero, shape ``(M,)``.
    """

    gain: ComplexArray
    delay_s: FloatArray

    def heard(self, channel: ComplexArray, grid: OfdmGrid) -> ComplexArray:
        """An entry's channel as these elements hear it, shape ``(K, M)``."""
        return shifted(channel, grid, self.delay_s, self.gain)


@dataclass(frozen=True)
class ComparedElements:
    """How one sounding's elements lie to an entry's.

    Attributes
    ----------
    lay
        Of each element alone.
    gain_var, delay_var_s2
        Of an element's relative gain and of its delay, by the noise of both.
    """

    lay: Alignment
    gain_var: float
    delay_var_s2: float


def compared_elements(
    sounding: ComplexArray, entry: ComplexArray, grid: OfdmGrid
) -> ComparedElements | None:
    """Compare channels of one link, shapes ``(K, M)``; ``None`` if nothing is heard on it."""
    noise_var = noise_var_of(entry)
    power = float(np.mean(np.abs(entry) ** 2))
    if power <= 0.0:
        return None
    alone = [[m] for m in range(entry.shape[1])]
    lay = alignment_of(sounding, entry, grid, alone, reference_noise_var=noise_var)
    scale = float(np.mean(np.abs(lay.gain) ** 2))
    snr = len(entry) * power / (noise_var + noise_var_of(sounding) / scale)
    return ComparedElements(lay, 1.0 / snr, float(delay_var_s2(snr, grid.rms_bandwidth_hz)))


def exchanged_elements(compared: Sequence[ComparedElements]) -> ExchangedElements:
    """What links of one receiver say together; a link whose hall has changed counts less.

    Raises
    ------
    ValueError
        If there are none.
    """
    if not compared:
        msg = "elements are compared by one link or more"
        raise ValueError(msg)
    gains = np.array([normalized_gain(each.lay.gain) for each in compared])
    gain, _ = agreed_gains(gains, np.array([each.gain_var for each in compared]))
    delays_s = np.array([each.lay.delay_s - each.lay.delay_s.mean() for each in compared])
    delay_s = agreed_delays(delays_s, np.array([each.delay_var_s2 for each in compared]))
    return ExchangedElements(gain, delay_s)
