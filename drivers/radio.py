"""The radio contract: IQ samples and integer device ticks in, IQ samples at a tick out."""

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np

from drivers.geometry import ComplexArray
from drivers.radio_errors import BurstRefusedError, TuningError

ClockSource = Literal["internal", "external"]
TimeSource = Literal["none", "pps"]
Range = tuple[float, float]

# Rates and carriers closer than this are the same setting (synthesizers step in about 1 Hz).
_SAME_SETTING_HZ = 1.0


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
        Receive channels whose relative phases stay put between retunes.
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


@dataclass(frozen=True, slots=True)
class RadioInfo:
    """Who a radio is.

    Attributes
    ----------
    kind, serial, software
        Kind in the registry, the device's serial, and driver and firmware versions.
    capabilities
        What it can do.
    """

    kind: str
    serial: str
    software: str
    capabilities: Capabilities


@dataclass(frozen=True, slots=True)
class IqBlock:
    """One stretch of received samples, with everything that makes it trustworthy or not.

    Attributes
    ----------
    samples
        Shape ``(num_samples, M)``, complex64, one column a channel; magnitude 1 is full scale.
    first_sample_tick
        Device tick of the first sample, ``None`` where the device cannot say.
    tick_rate_hz
        Nominal ticks per second.
    tuning
        As the device applied it.
    full_scale_dbm
        Nominal power at the antenna port of magnitude 1 at the gain in use.
    config_epoch
        Goes up with every change of carrier, rate, gain or source.
    overflow, late, discontinuity
        Samples were lost, the block missed its time, the samples are not one stretch.
    gain_is_manual
        False where the device sets the gain itself.
    clock_locked, pps_locked
        Of the external reference; ``None`` where there is none or nobody can tell.
    temperature_c
        Of the device, where known.
    """

    samples: ComplexArray
    first_sample_tick: int | None
    tick_rate_hz: float
    tuning: Tuning
    full_scale_dbm: float
    config_epoch: int
    overflow: bool = False
    late: bool = False
    discontinuity: bool = False
    gain_is_manual: bool = True
    clock_locked: bool | None = None
    pps_locked: bool | None = None
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True)
class TransmitReport:
    """What became of the last transmission.

    Attributes
    ----------
    first_sample_tick
        Device tick at which it began, ``None`` where the device cannot say or nothing was sent.
    underflow, late
        The device ran out of samples, or the burst missed its time and was not sent.
    config_epoch
        Of the transmitting radio, as in `IqBlock`.
    clock_locked, pps_locked
        As in `IqBlock`.
    """

    first_sample_tick: int | None = None
    underflow: bool = False
    late: bool = False
    config_epoch: int = 0
    clock_locked: bool | None = None
    pps_locked: bool | None = None


@dataclass(frozen=True, slots=True)
class RadioHealth:
    """State of a radio between blocks; what it cannot tell is ``None``.

    Attributes
    ----------
    clock_locked, pps_locked, temperature_c
        As in `IqBlock`.
    num_overflows, num_underflows, num_lates
        Since it was opened.
    """

    clock_locked: bool | None = None
    pps_locked: bool | None = None
    temperature_c: float | None = None
    num_overflows: int = 0
    num_underflows: int = 0
    num_lates: int = 0


class Radio(Protocol):
    """One radio. Calls may block and may raise any `RadioError`; one thread at a time.

    Reception is armed first and fetched later, so that one caller can arm all receivers, then
    let the transmitter send, as the order of a real burst demands.
    """

    @property
    def info(self) -> RadioInfo:
        """Identity and capabilities."""
        ...

    def configure(self, tuning: Tuning) -> Tuning:
        """Apply a tuning and return what the device really applied.

        Raises
        ------
        TuningError
            Outside the capabilities; the old tuning stays.
        """
        ...

    def time_ticks(self) -> int:
        """Device time now, in ticks of the sample rate."""
        ...

    def transmit(
        self, samples: ComplexArray, at_tick: int | None = None, repeat_s: float = 0.0
    ) -> None:
        """Send samples, shape ``(num_samples,)``, magnitude at most 1.

        Parameters
        ----------
        at_tick
            Device tick of the first sample; ``None`` for at once.
        repeat_s
            Send them over and over for this long, on radios that can.

        Raises
        ------
        LateCommandError
            If the device can say at once that the time has passed.
        BurstRefusedError
            Too many samples, too large, or not as this radio sends them.
        TransmitForbiddenError
            The host's interlock refuses.
        """
        ...

    def stop_transmit(self) -> None:
        """End a transmission at once; harmless if there is none. Safe from any thread."""
        ...

    def transmit_report(self) -> TransmitReport:
        """What became of the last transmission, once it is over."""
        ...

    def arm_receive(self, num_samples: int, at_tick: int | None = None) -> None:
        """Prepare one block that begins at a tick, or at once; `fetch` returns it.

        Raises
        ------
        LateCommandError
            If the device can say at once that the time has passed.
        BurstRefusedError
            More samples than the radio takes in a block.
        """
        ...

    def fetch(self) -> IqBlock:
        """Wait for the armed block and return it.

        Raises
        ------
        LateCommandError
            If the block's time had passed when the device saw the command.
        RadioTimeoutError, RadioLostError
            If the device does not answer, or is gone.
        """
        ...

    def health(self) -> RadioHealth:
        """Locks, temperature, counters."""
        ...

    def close(self) -> None:
        """Stop transmitting and release the device; harmless a second time."""
        ...


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
    elif not (largest := float(np.abs(samples).max())) <= 1.0:  # also catches NaN
        problem = f"samples must be finite and of magnitude at most 1, the largest is {largest:.6g}"
    if problem:
        raise BurstRefusedError(problem, "scale or shorten the burst")


def transmit_power_dbm(capabilities: Capabilities, tx_gain_db: float, mean_square: float) -> float:
    """Nominal power at the transmit port of samples of a given mean square, in dBm."""
    below_highest_db = capabilities.tx_gain_range_db[1] - tx_gain_db
    return capabilities.tx_full_scale_dbm - below_highest_db + 10.0 * float(np.log10(mean_square))


@dataclass(frozen=True, slots=True)
class RadioSpec:
    """What a radio is opened with.

    Attributes
    ----------
    node_id
        The node that it belongs to.
    num_elements
        Receive channels that the node's array needs.
    address
        The radio's own device string.
    options
        The site file's ``options`` for this radio, for its driver alone.
    """

    node_id: str
    num_elements: int
    address: str | None = None
    options: dict[str, object] = field(default_factory=dict)
