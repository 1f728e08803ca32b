"""Quality flags of captures."""

import pytest

from drivers.capture import CaptureQuality


@pytest.mark.parametrize(
    ("quality", "usable"),
    [
        (CaptureQuality(), True),
        (CaptureQuality(clock_locked=True), True),
        (CaptureQuality(clock_locked=None), True),  # the radio cannot tell
        (CaptureQuality(clock_locked=False), False),
        (CaptureQuality(overflow=True), False),
        (CaptureQuality(late=True), False),
        (CaptureQuality(overflow=True, late=True, clock_locked=True), False),
    ],
)
def test_usable(quality, usable):
    assert quality.usable is usable
