"""What counts as a stall of the event loop, with times by hand."""

import asyncio

import pytest

from testbed.services.stall import StallMeter


class EndOfTimesError(Exception):
    pass


def measured(times_s):
    left_s = list(times_s)

    def clock():
        if not left_s:
            raise EndOfTimesError
        return left_s.pop(0)

    meter = StallMeter(0.001, clock)
    with pytest.raises(EndOfTimesError):
        asyncio.run(meter.run())
    return meter


def test_a_stall_is_what_goes_beyond_the_period():
    meter = measured([0.0, 0.001, 1.0, 1.501, 2.0, 2.011])
    assert meter.last_s == pytest.approx(0.01)
    assert meter.worst_s == pytest.approx(0.5)


def test_a_loop_that_is_served_at_once_has_no_stall():
    meter = measured([0.0, 0.001, 1.0, 1.0005])
    assert meter.last_s == 0.0
    assert meter.worst_s == 0.0
