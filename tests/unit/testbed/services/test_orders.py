"""What a node does of an order, and what it says where that fails."""

from dataclasses import replace

import pytest

from drivers.capture import missing_capture
from drivers.radio import TransmitReport
from drivers.radio_errors import RadioLostError
from drivers.waveform import OfdmGrid
from testbed.bus.order_messages import Done, FetchCapture
from testbed.services.node_crew import NodeCrew
from testbed.services.orders import fetched
from testbed.stations import Cue, PilotStation, Sent
from tests.unit.testbed.bus.loops import in_loop

GRID = OfdmGrid(5.8e9, 30e3, 64)
ORDER = FetchCapture(
    request_id=1, lease="mine", serial=1, until_s=float("inf"), session=1, node_id="a",
    cue=Cue("sensing", 0, "b", "sensing"), start_tick=None, sent=Sent(0.0, TransmitReport()),
    run_id="run", worker=None,
)  # fmt: skip


class Fetching(PilotStation):
    """A station that hears what it is told, or raises it."""

    def __init__(self, heard) -> None:
        super().__init__(None, "a")
        self._heard = heard

    def fetch(self, cue, start_tick, sent):
        if isinstance(self._heard, Exception):
            raise self._heard
        return self._heard


@in_loop
async def test_lost_samples_are_said_where_they_are_why_no_burst_is_found():
    capture = missing_capture("b", "a", GRID, "no burst found")
    capture = replace(capture, quality=replace(capture.quality, overflow=True))
    crew = NodeCrew("a", lambda _session: Fetching(capture), follows_host=True)
    done, pilots = await fetched(ORDER, {"a": crew})
    crew.close()
    assert done == Done(request_id=1, fault="no burst found, samples were lost (overflow)")
    assert pilots is None


@in_loop
async def test_a_device_that_is_lost_while_a_block_comes_is_opened_again():
    stations = [Fetching(RadioLostError("gone")), PilotStation(None, "a")]
    crew = NodeCrew("a", lambda _session: stations.pop(0), follows_host=True)
    with pytest.raises(RadioLostError):
        await fetched(ORDER, {"a": crew})
    assert crew.state().fault.startswith("gone")
    assert await crew.does(1, type) is PilotStation
    crew.close()
