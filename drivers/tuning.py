"""What a radio is set to, what it can be set to, and what it could send with that."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from drivers.geometry import ComplexArray
from drivers.radio_errors import BurstRefusedError, TuningError

ClockSource = Literal["internal", "external"]
TimeSource = Literal["none", "pps"]
Range = tuple[float, float]

# Rates and carriers closer than this are the same setting (synthesizers step in about 1 Hz).
_SAME_SETTING_HZ = 1.0
# Magnitude 1, as single precision rounds it.
_FULL_SCALE = 1.0 + 1e-6


@dataclass(frozen=True, slots=True)
class Tuning:
    """What a radio is set to; as asked for, or as the device really applied it.

    Attributes
    ----------
    carrier_hz
        Frequency of the local oscillator, for sending and receiving.
    sample_rate_hz
        Complex samples per second, both ways.
    rx_gain_db, tx_gain_db
        Manual gains of all channels.
    clock_source, time_source
        Where the reference clock and the time come from.
    """

    carrier_hz: float
    sample_rate_hz: float
    rx_gain_db: float
    tx_gain_db: float
    clock_source: ClockSource = "internal"
    time_source: TimeSource = "none"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a radio can do, as data: callers branch on these, never on the class.

    Attributes
    ----------
    num_rx_channels, num_tx_channels
        Channels that receive or send at once.
    carrier_range_hz, sample_rate_range_hz, rx_gain_range_db, tx_gain_range_db
        Inclusive limits of a tuning.
    max_bandwidth_hz
        Of the analogue filters: no waveform may be wider.
    max_transmit_samples, max_receive_samples
        Longest burst and longest block.
    tx_full_scale_dbm
        Nominal power at the transmit port of samples of magnitude 1 at the highest gain.
    rx_full_scale_dbm
        Nominal power at the receive port that gives magnitude 1 at 0 dB of gain.
    receive_damage_dbm
        Power at the receive port that may destroy it.
    timed_bursts
        Whether transmissions and receptions start at a given tick.
    repeats
        Whether a burst can be sent over and over.
    pps, external_clock
        Whether it takes a pulse per second, and a reference clock.
    hardware_trigger
        Whether an external line starts a block.
    overflow_detection
        Whether lost samples are noticed.
    phase_stable_retune
        Whether phases between coherent channels survive a retune.
    coherent_groups
        Receive channels whose relative phases stay put between retunes. Where groups have times of
        their own, the radio's time is that of the first, which transmits.
    radiates
        Whether transmitting makes a real wave, so that the host's permission is needed.
    """

    num_rx_channels: int
    num_tx_channels: int
    carrier_range_hz: Range
    sample_rate_range_hz: Range
    max_bandwidth_hz: float
    rx_gain_range_db: Range
    tx_gain_range_db: Range
    max_transmit_samples: int
    max_receive_samples: int
    tx_full_scale_dbm: float
    rx_full_scale_dbm: float
    receive_damage_dbm: float
    timed_bursts: bool
    repeats: bool
    pps: bool
    external_clock: bool
    hardware_trigger: bool
    overflow_detection: bool
    phase_stable_retune: bool
    coherent_groups: tuple[tuple[int, ...], ...]
    radiates: bool = True

    def check(self, tuning: Tuning) -> None:
        """Refuse a tuning outside the limits, all broken ones named.

        Raises
        ------
        TuningError
        """
        limits = (
            ("carrier_hz", tuning.carrier_hz, self.carrier_range_hz, "Hz"),
            ("sample_rate_hz", tuning.sample_rate_hz, self.sample_rate_range_hz, "samples/s"),
            ("rx_gain_db", tuning.rx_gain_db, self.rx_gain_range_db, "dB"),
            ("tx_gain_db", tuning.tx_gain_db, self.tx_gain_range_db, "dB"),
        )
        problems = [
            f"{name} must be between {low:.12g} and {high:.12g} {unit}, got {value:.12g}"
            for name, value, (low, high), unit in limits
            if not low <= value <= high
        ]
        if tuning.clock_source == "external" and not self.external_clock:
            problems.append("clock_source: this radio takes no external clock")
        if tuning.time_source == "pps" and not self.pps:
            problems.append("time_source: this radio takes no pulse per second")
        if problems:
            raise TuningError(", and ".join(problems))


def epoch_of_opening(time_ns: Callable[[], int] = time.time_ns) -> int:
    """Config epoch of a radio that has no tuning yet: above all those of its earlier openings."""
    return time_ns() // 10**6


def changes_epoch(old: Tuning, new: Tuning) -> bool:
    """Whether going from one tuning to another invalidates phases, so that the epoch goes up."""
    return (
        abs(old.carrier_hz - new.carrier_hz) >= _SAME_SETTING_HZ
        or abs(old.sample_rate_hz - new.sample_rate_hz) >= _SAME_SETTING_HZ
        or (old.rx_gain_db, old.tx_gain_db) != (new.rx_gain_db, new.tx_gain_db)
        or (old.clock_source, old.time_source) != (new.clock_source, new.time_source)
    )


def check_samples(samples: ComplexArray, capabilities: Capabilities) -> None:
    """Refuse samples that no radio of these capabilities can send.

    Raises
    ------
    BurstRefusedError
    """
    shape = np.shape(samples)
    problem = None
    if len(shape) != 1 or not 1 <= shape[0] <= capabilities.max_transmit_samples:
        problem = (
            f"a burst has 1 to {capabilities.max_transmit_samples} samples in one dimension, got "
            f"shape {shape}"
        )
    elif not (largest := float(np.abs(samples).max())) <= _FULL_SCALE:  # also catches NaN
        problem = f"samples must be finite and of magnitude at most 1, the largest is {largest:.6g}"
    if problem:
        raise BurstRefusedError(problem, "scale or shorten the burst")


def check_block_size(num_samples: int, capabilities: Capabilities) -> None:
    """Refuse a block that no radio of these capabilities can receive.

    Raises
    ------
    BurstRefusedError
    """
    longest = capabilities.max_receive_samples
    if not 1 <= num_samples <= longest:
        msg = f"a block holds 1 to {longest} samples, got {num_samples}"
        raise BurstRefusedError(msg)


def transmit_power_dbm(capabilities: Capabilities, tx_gain_db: float, mean_square: float) -> float:
    """Nominal power at the transmit port of samples of a given mean square, in dBm."""
    if mean_square == 0.0:
        return float("-inf")
    below_highest_db = capabilities.tx_gain_range_db[1] - tx_gain_db
    return capabilities.tx_full_scale_dbm - below_highest_db + 10.0 * float(np.log10(mean_square))
