"""What is known of one burst besides the samples that a receiver got of it."""

from dataclasses import dataclass

from drivers.burst import SoundingBurst
from drivers.radio import TransmitReport


@dataclass(frozen=True, slots=True)
class Sounding:
    """One transmission, as its receivers need to know it.

    Attributes
    ----------
    tx_id
        Who sent.
    burst
        What was sent.
    start_tick
        Tick at which its first sample left, on the time that the radios share; ``None`` where
        they share none.
    tx_full_scale_dbm
        Nominal power at the transmitter's port of magnitude 1.
    report
        What the transmitter says became of it.
    """

    tx_id: str
    burst: SoundingBurst
    start_tick: int | None
    tx_full_scale_dbm: float
    report: TransmitReport
