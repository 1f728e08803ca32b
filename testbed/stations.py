"""One burst and one node: what has to be known before it sounds, and what a node does for it."""

from dataclasses import dataclass
from typing import Literal, Protocol

from drivers.capture import Capture
from drivers.radio import RadioHealth, RadioInfo, TransmitReport
from drivers.recording_schema import Phase
from sim_backend.source import SimulatedSource

BurstKind = Literal["sensing", "calibration"]


@dataclass(frozen=True, slots=True)
class Cue:
    """One burst to be sounded, as all nodes that take part in it know it before.

    Attributes
    ----------
    phase, index
        Which sensing, or which background capture.
    tx_id
        Who sends.
    burst
        What is sent.
    """

    phase: Phase
    index: int
    tx_id: str
    burst: BurstKind

    @property
    def look(self) -> int | None:
        """Sensing index for a simulated world, ``None`` where its target is away."""
        return self.index if self.phase == "sensing" else None


@dataclass(frozen=True, slots=True)
class Sent:
    """What a transmitter says of a burst, which its receivers need to demodulate it.

    Attributes
    ----------
    tx_full_scale_dbm
        Nominal power at its port of magnitude 1.
    report
        What became of the transmission.
    """

    tx_full_scale_dbm: float
    report: TransmitReport


class Station(Protocol):
    """One node of this process, as a burst needs it; see `testbed.choreography.sound`."""

    @property
    def node_id(self) -> str:
        """Whose station it is."""
        ...

    @property
    def info(self) -> RadioInfo | None:
        """Of its radio, ``None`` without one."""
        ...

    def common_tick(self) -> int | None:
        """Device time now, ``None`` where bursts cannot be timed on a time that is common.

        Raises
        ------
        RadioError
        """
        ...

    def arm(self, cue: Cue, start_tick: int | None) -> None:
        """Get ready to receive a burst that starts at a tick, or that repeats already.

        Raises
        ------
        RadioError
        """
        ...

    def transmit(self, cue: Cue, start_tick: int | None) -> Sent:
        """Send a burst at a tick; or, without one, over and over, and return once it is on air.

        Raises
        ------
        RadioError
        """
        ...

    def fetch(self, cue: Cue, start_tick: int | None, sent: Sent) -> Capture:
        """What was heard.

        Raises
        ------
        RadioError
        """
        ...

    def stop(self) -> None:
        """End a transmission, as far as the radio still obeys."""
        ...

    def retune(self) -> None:
        """Tune away and back.

        Raises
        ------
        RadioError
        """
        ...

    def health(self) -> RadioHealth | None:
        """State of its radio, ``None`` without one.

        Raises
        ------
        RadioError
        """
        ...

    def close(self) -> None:
        """Release the radio; harmless a second time."""
        ...


class PilotStation:
    """A node without a radio (`Station`): its captures are simulated at pilot fidelity.

    Parameters
    ----------
    source
        Simulates the captures of all nodes.
    node_id
        Whose station it is.
    """

    info = None

    def __init__(self, source: SimulatedSource, node_id: str) -> None:
        self._source = source
        self.node_id = node_id

    def common_tick(self) -> int:
        """Always 0: pilots have no time."""
        return 0

    def arm(self, cue: Cue, start_tick: int | None) -> None:
        """Nothing: what is heard depends on the cue alone."""

    def transmit(self, cue: Cue, start_tick: int | None) -> Sent:  # noqa: ARG002
        """Nothing is sent, and nothing goes wrong."""
        return Sent(0.0, TransmitReport(first_sample_tick=start_tick))

    def fetch(self, cue: Cue, start_tick: int | None, sent: Sent) -> Capture:  # noqa: ARG002
        """The simulated capture; the same cue gives the same."""
        if cue.phase == "sensing":
            (capture,) = self._source.sense(cue.tx_id, (self.node_id,), cue.index)
        else:
            (capture,) = self._source.sense_background(cue.tx_id, (self.node_id,), cue.index)
        return capture

    def stop(self) -> None:
        """Nothing is on air."""

    def retune(self) -> None:
        """Nothing is tuned."""

    def health(self) -> None:
        """Nothing to be told."""

    def close(self) -> None:
        """Nothing to be released."""
