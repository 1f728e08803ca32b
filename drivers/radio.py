"""The radio contract: IQ samples and integer device ticks in, IQ samples at a tick out."""

from dataclasses import dataclass, field
from typing import Protocol

from drivers.geometry import ComplexArray
from drivers.tuning import Capabilities, Tuning


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
        Goes up with every change of carrier, rate, gain or source, and with every opening.
    overflow, late, discontinuity
        Samples were lost, the block missed its time, the samples are not one stretch.
    gain_is_manual
        False where the device sets the gain itself.
    coherent_groups
        As in `Capabilities`; empty for all channels.
    clock_locked, pps_locked
        Of the external reference; ``None`` where there is none or nobody can tell.
    temperature_c
        Of the device, where known.
    time_std_s
        Standard deviation of the device's time about the time that all radios share.
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
    coherent_groups: tuple[tuple[int, ...], ...] = ()
    clock_locked: bool | None = None
    pps_locked: bool | None = None
    temperature_c: float | None = None
    time_std_s: float = 0.0


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
    clock_locked, pps_locked, time_std_s
        As in `IqBlock`.
    """

    first_sample_tick: int | None = None
    underflow: bool = False
    late: bool = False
    config_epoch: int = 0
    clock_locked: bool | None = None
    pps_locked: bool | None = None
    time_std_s: float = 0.0


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
