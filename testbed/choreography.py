"""How one burst is sounded, in this process or over several."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

from drivers.burst import SoundingBurst
from drivers.capture import Capture, missing_capture
from drivers.radio_errors import RadioError
from testbed.stations import Cue, Sent, Station

# What a receiver's part in a burst comes to: a capture here, or word of one that is elsewhere.
Heard_co = TypeVar("Heard_co", covariant=True)

# A burst is scheduled this far ahead, if the site does not say otherwise: time for every radio to
# be told.
LEAD_S = 10e-3


class Stations(Protocol[Heard_co]):
    """The stations of all nodes, asked in batches, so that remote ones can be asked at once.

    What goes wrong with a node is entered in `faults`, by node id and in words.
    """

    def start_tick(self, node_ids: Sequence[str], faults: dict[str, str]) -> int | None:
        """Tick of the common time, ahead of all; ``None`` where one of them has no timed bursts."""
        ...

    def arm(
        self, rx_ids: Sequence[str], cue: Cue, start_tick: int | None, faults: dict[str, str]
    ) -> None:
        """Make receivers ready; see `Station.arm`."""
        ...

    def transmit(self, cue: Cue, start_tick: int | None, faults: dict[str, str]) -> Sent | None:
        """Let the cue's transmitter send; ``None`` if it failed. See `Station.transmit`."""
        ...

    def fetch(
        self, rx_ids: Sequence[str], cue: Cue, start_tick: int | None, sent: Sent
    ) -> Mapping[str, Heard_co]:
        """What each of the armed receivers heard; see `Station.fetch`."""
        ...

    def missing(self, cue: Cue, rx_id: str, fault: str) -> Heard_co:
        """What stands for a link that gave nothing, and why."""
        ...

    def stop(self, tx_id: str) -> None:
        """End a transmission, as far as the radio still obeys."""
        ...

    def retune(self, node_ids: Sequence[str]) -> None:
        """Tune radios away and back, as far as they still obey."""
        ...


def sound(stations: Stations[Heard_co], cue: Cue, rx_ids: Sequence[str]) -> tuple[Heard_co, ...]:
    """Let the cue's transmitter send one burst; what each receiver heard, in their order.

    A node that fails costs its own captures only; a transmitter's are all of the burst.
    """
    faults: dict[str, str] = {}
    start_tick = stations.start_tick((cue.tx_id, *rx_ids), faults)
    listening = [rx_id for rx_id in rx_ids if rx_id not in faults]
    # Receivers first, so that nothing is sent that nobody is ready for; but where no time is
    # common the burst repeats while they listen.
    if start_tick is not None:
        stations.arm(listening, cue, start_tick, faults)
    sent = None if cue.tx_id in faults else stations.transmit(cue, start_tick, faults)
    heard: Mapping[str, Heard_co] = {}
    if sent is None:
        faults = dict.fromkeys(rx_ids, f"transmitter {cue.tx_id}: {faults[cue.tx_id]}")
    else:
        if start_tick is None:
            stations.arm(listening, cue, None, faults)
        armed = [rx_id for rx_id in listening if rx_id not in faults]
        heard = stations.fetch(armed, cue, start_tick, sent)
    if start_tick is None:  # also where it failed: it may have begun
        stations.stop(cue.tx_id)
    return tuple(
        stations.missing(cue, rx_id, faults[rx_id]) if rx_id in faults else heard[rx_id]
        for rx_id in rx_ids
    )


class LocalStations:
    """The stations of this process, one after the other (`Stations`).

    Parameters
    ----------
    stations
        One of each node, by node id.
    burst
        What is sent to sense: its rate is the radios' ticks, its grid that of all captures.
    lead_s
        A burst is scheduled this far ahead.
    """

    def __init__(
        self, stations: Mapping[str, Station], burst: SoundingBurst, lead_s: float = LEAD_S
    ) -> None:
        self._stations = dict(stations)
        self._grid = burst.grid
        self._lead_ticks = int(lead_s * burst.sample_rate_hz)

    def start_tick(self, node_ids: Sequence[str], faults: dict[str, str]) -> int | None:
        """Latest of all device times, and the lead."""
        now: list[int] = []
        for node_id in node_ids:
            try:
                tick = self._stations[node_id].common_tick()
            except RadioError as error:
                faults[node_id] = str(error)
                continue
            if tick is None:
                return None
            now.append(tick)
        return max(now, default=0) + self._lead_ticks

    def arm(
        self, rx_ids: Sequence[str], cue: Cue, start_tick: int | None, faults: dict[str, str]
    ) -> None:
        """Make receivers ready."""
        for rx_id in rx_ids:
            try:
                self._stations[rx_id].arm(cue, start_tick)
            except RadioError as error:
                faults[rx_id] = str(error)

    def transmit(self, cue: Cue, start_tick: int | None, faults: dict[str, str]) -> Sent | None:
        """Let the transmitter send."""
        try:
            return self._stations[cue.tx_id].transmit(cue, start_tick)
        except RadioError as error:
            faults[cue.tx_id] = str(error)
            return None

    def fetch(
        self, rx_ids: Sequence[str], cue: Cue, start_tick: int | None, sent: Sent
    ) -> dict[str, Capture]:
        """The captures of the receivers."""
        return {rx_id: self._fetched(rx_id, cue, start_tick, sent) for rx_id in rx_ids}

    def _fetched(self, rx_id: str, cue: Cue, start_tick: int | None, sent: Sent) -> Capture:
        try:
            return self._stations[rx_id].fetch(cue, start_tick, sent)
        except RadioError as error:
            return self.missing(cue, rx_id, str(error))

    def missing(self, cue: Cue, rx_id: str, fault: str) -> Capture:
        """A capture without pilots that says why."""
        return missing_capture(cue.tx_id, rx_id, self._grid, fault)

    def stop(self, tx_id: str) -> None:
        """End a transmission."""
        self._stations[tx_id].stop()

    def retune(self, node_ids: Sequence[str]) -> None:
        """Tune radios away and back; one that fails says so when it is used."""
        for node_id in node_ids:
            with suppress(RadioError):
                self._stations[node_id].retune()

    def close(self) -> None:
        """Stop and release all radios."""
        for station in self._stations.values():
            station.close()
