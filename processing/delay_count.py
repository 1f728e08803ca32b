"""What the delays of a link's report count from."""

from dataclasses import dataclass

from drivers.capture import Capture
from processing.suppression import Background


@dataclass(frozen=True, slots=True)
class DelayCount:
    """See `processing.report.LinkReport`."""

    is_absolute: bool
    on_direct_path: bool
    var_s2: float


def delay_count(
    capture: Capture, background: Background | None, own_time_late_s: float | None
) -> DelayCount:
    """Of a capture's own time if it is calibrated, of transmission, or of what it is aligned to."""
    if background is None or not capture.needs_alignment:
        return DelayCount(capture.delay_is_absolute, False, capture.delay_var_s2)
    if own_time_late_s is not None:  # the nodes' joint errors say how well it is known
        return DelayCount(True, False, 0.0)
    return DelayCount(
        background.delay_is_absolute, background.on_direct_path, background.delay_var_s2
    )
