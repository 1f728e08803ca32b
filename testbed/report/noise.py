"""Noise of entries against what the receivers' thermal noise and imperfect radios make expected."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from calibration.entry_checks import Link
from drivers.geometry import FloatArray
from testbed.report.facts import DictionaryFacts

# Noise this far over the expected one is worth a look, and no less: that of links barely above
# noise, whose captures are brought onto each other less surely, is up to 3.6 dB over it.
LEAST_EXCESS_DB = 4.0
# So many standard deviations of all entries' noise about what is expected.
NUM_STD = 5.0
# A receiver's own level is told from so many entries, at least.
_FEWEST_ENTRIES = 4
# Entries are off what is expected by about so much; weights of those further off drop (Cauchy's).
_TYPICAL_DB = 1.0
_NUM_ROUNDS = 20
# Standard deviation of a normal distribution over its median absolute deviation.
_STD_OVER_MAD = 1.4826


@dataclass(frozen=True)
class NoiseFacts:
    """Noise of all entries that state it, and what was expected.

    Attributes
    ----------
    excess_db
        Of each link over what is expected.
    receiver_db
        Median of each receiver over what all are expected to have, by location, taken off above;
        of receivers that have entries enough to tell it from one fault.
    is_budgeted
        Whether what is expected is of calibrated nodes; else thermal noise counts as alike.
    power_share_db
        Noise that grows with the received power (phase noise, quantization), relative to it;
        ``None`` for none.
    std_db
        Robust spread of `excess_db`.
    """

    excess_db: Mapping[Link, float]
    receiver_db: Mapping[str, float]
    is_budgeted: bool
    power_share_db: float | None
    std_db: float

    @property
    def threshold_db(self) -> float:
        """From which excess on noise is suspicious."""
        return max(LEAST_EXCESS_DB, NUM_STD * self.std_db)

    @property
    def noisy_receivers(self) -> dict[str, float]:
        """Receivers that are noisy in all their entries, with their excess in dB."""
        return {name: db for name, db in self.receiver_db.items() if db > LEAST_EXCESS_DB}


def noise_of(facts: DictionaryFacts) -> NoiseFacts:
    """Noise of entries beside what is expected.

    Expected is the thermal noise by the link budget times a factor that all share (symbols are
    averaged), and a share of the received power; then each receiver's own median, as noise figures
    are known to a decibel or two. Without calibrated nodes thermal noise counts as alike.
    """
    entries = [
        entry
        for entry in facts.entries.values()
        if entry.header.learned_with.noise_var and np.isfinite(entry.summary.mean_power)
    ]
    budget = {e.link: e.thermal_var for e in entries if e.thermal_var is not None}
    if len(budget) < len(entries):
        budget = {}
    if not entries:
        return NoiseFacts({}, {}, False, None, 0.0)
    noise = np.array([e.header.learned_with.noise_var for e in entries], dtype=np.float64)
    thermal = np.array([budget.get(e.link, 1.0) for e in entries])
    power = np.array([e.summary.mean_power for e in entries])
    factor, share = _shares(noise, thermal / float(np.median(thermal / noise)), power)
    scale = factor / float(np.median(thermal / noise))
    over_db = 10.0 * np.log10(noise / (scale * thermal + share * power))
    receivers = np.array([entry.link[1] for entry in entries])
    levels_db = _levels_db(over_db, receivers)
    over_db -= np.array([levels_db.get(name, 0.0) for name in receivers.tolist()])
    return NoiseFacts(
        {e.link: float(value) for e, value in zip(entries, over_db, strict=True)},
        levels_db,
        bool(budget),
        10.0 * float(np.log10(share)) if share > 0.0 else None,
        _STD_OVER_MAD * float(np.median(np.abs(over_db - np.median(over_db)))),
    )


def _shares(noise: FloatArray, thermal: FloatArray, power: FloatArray) -> tuple[float, float]:
    """Factors of thermal noise and of power that make the noise, by robust least squares."""
    rows = np.stack((thermal / noise, power / noise), axis=1)
    root = np.ones(len(noise))  # of the weights
    found = np.array((1.0, 0.0))
    for _ in range(_NUM_ROUNDS):
        found, _ = nnls(rows * root[:, None], root)
        off_db = -10.0 * np.log10(np.maximum(rows @ found, 1e-12))
        root = 1.0 / np.sqrt(1.0 + (off_db / _TYPICAL_DB) ** 2)
    return float(found[0]), float(found[1])


def _levels_db(over_db: FloatArray, receivers: np.ndarray) -> dict[str, float]:
    """Median of each receiver that has entries enough."""
    mine = {name: over_db[receivers == name] for name in sorted(set(receivers.tolist()))}
    return {
        name: float(np.median(values))
        for name, values in mine.items()
        if len(values) >= _FEWEST_ENTRIES
    }
