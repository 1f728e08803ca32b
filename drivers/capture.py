"""Captures: the demodulated pilots of one sensing burst at one receiver, and who makes them."""

from dataclasses import dataclass, field
from typing import Protocol

from drivers.geometry import ComplexArray
from drivers.node import Node
from drivers.waveform import OfdmGrid


@dataclass(frozen=True, slots=True)
class CaptureQuality:
    """What makes a capture trustworthy or not.

    Attributes
    ----------
    overflow, late
        Samples were lost, or the burst missed its time.
    clock_locked
        ``None`` where the radio cannot tell.
    """

    overflow: bool = False
    late: bool = False
    clock_locked: bool | None = None

    @property
    def usable(self) -> bool:
        """Whether the pilots may be processed."""
        return not (self.overflow or self.late or self.clock_locked is False)


@dataclass(frozen=True, slots=True)
class Capture:
    """Demodulated pilots of one burst on one link.

    Attributes
    ----------
    tx_id, rx_id
        The link's nodes.
    rx_pilots
        ``Y`` of eq. (1), shape ``(K, M)``, complex64, per unit transmitted tone amplitude.
    num_averaged
        Repeated symbols that were averaged into `rx_pilots`.
    waveform_hash
        Of the pilots that were sent, see ``OfdmGrid.waveform_hash``.
    config_epoch
        Goes up with every change of tuning; a background of another epoch does not apply.
    delay_is_absolute
        Whether the delay axis starts at transmission. False for radios without common time.
    quality
        Flags that travel with the data.
    """

    tx_id: str
    rx_id: str
    rx_pilots: ComplexArray
    num_averaged: int
    waveform_hash: str
    config_epoch: int = 0
    delay_is_absolute: bool = True
    quality: CaptureQuality = field(default_factory=CaptureQuality)


class CaptureSource(Protocol):
    """Anything that turns a sensing command into captures: simulated, live or recorded."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes as surveyed."""
        ...

    @property
    def grid(self) -> OfdmGrid:
        """The waveform in use."""
        ...

    @property
    def origin(self) -> str:
        """What the captures are of: a simulated scene, the radios' identity, a recording.

        Backgrounds learned from one origin do not apply to another.
        """
        ...

    def sense(self, tx_id: str, rx_id: str, sensing_index: int) -> Capture:
        """Return one capture of the scene as it is now, on the link ``tx_id`` to ``rx_id``."""
        ...

    def sense_background(self, tx_id: str, rx_id: str, capture_index: int) -> Capture:
        """Return one target-free capture for calibration."""
        ...
