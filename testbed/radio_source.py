"""Captures through stations: real or simulated radios, of this process or of several."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from drivers.burst import SoundingBurst
from drivers.capture import Capture
from drivers.node import Node
from drivers.radio import IqBlock, Radio
from drivers.recording_schema import Phase
from drivers.sounding import Sounding
from drivers.waveform import OfdmGrid
from testbed.choreography import LEAD_S, LocalStations, Stations, sound
from testbed.radio_station import REPEAT_S, BlockListener, RadioStation, World
from testbed.stations import BurstKind, Cue


class BurstSource(ABC):
    """Captures of bursts, however they are sounded (`drivers.capture.CaptureSource`).

    Parameters
    ----------
    nodes
        As surveyed.
    grid
        The waveform.
    origin
        See `drivers.capture.CaptureSource`.
    fresh_tuning
        Whether radios are tuned away and back before each burst that a background is learned
        from, so that nothing of one tuning's own state is learned with it.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        grid: OfdmGrid,
        origin: str,
        *,
        fresh_tuning: bool = False,
    ) -> None:
        self._nodes = tuple(nodes)
        self._grid = grid
        self._origin = origin
        self._fresh_tuning = fresh_tuning

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes as surveyed."""
        return self._nodes

    @property
    def grid(self) -> OfdmGrid:
        """The waveform in use."""
        return self._grid

    @property
    def origin(self) -> str:
        """What the captures are of."""
        return self._origin

    def sense(self, tx_id: str, rx_ids: Sequence[str], sensing_index: int) -> tuple[Capture, ...]:
        """Send one burst and return what each receiver heard."""
        return self._sound(Cue("sensing", sensing_index, tx_id, "sensing"), rx_ids)

    def sense_background(
        self, tx_id: str, rx_ids: Sequence[str], capture_index: int, *, brief: bool = False
    ) -> tuple[Capture, ...]:
        """The same, of a hall without target: simulated so, or believed to be so."""
        if self._fresh_tuning and not brief:
            self._retune((tx_id, *rx_ids))
        burst: BurstKind = "sensing" if brief else "calibration"
        return self._sound(Cue("background", capture_index, tx_id, burst), rx_ids)

    @abstractmethod
    def _sound(self, cue: Cue, rx_ids: Sequence[str]) -> tuple[Capture, ...]:
        """Captures of one burst, in the order of its receivers."""

    @abstractmethod
    def _retune(self, node_ids: Sequence[str]) -> None:
        """Tune radios away and back."""


class StationSource(BurstSource):
    """Captures of stations that hand them over; the other parameters as of `BurstSource`.

    Parameters
    ----------
    stations
        Of all nodes.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        stations: Stations[Capture],
        grid: OfdmGrid,
        origin: str,
        *,
        fresh_tuning: bool = False,
    ) -> None:
        super().__init__(nodes, grid, origin, fresh_tuning=fresh_tuning)
        self._stations = stations

    def _sound(self, cue: Cue, rx_ids: Sequence[str]) -> tuple[Capture, ...]:
        return sound(self._stations, cue, rx_ids)

    def _retune(self, node_ids: Sequence[str]) -> None:
        self._stations.retune(node_ids)


class RadioSource(StationSource):
    """Captures of the radios of this process.

    A radio that fails costs its own captures only: they come back without pilots and say why.

    Parameters
    ----------
    radios
        One of each node, by node id.
    burst, calibration_burst, world, wait_s, repeat_s
        See `testbed.radio_station.RadioStation`.
    lead_s
        With common time, a burst is scheduled this far ahead.
    listener
        Shown every received block.

    Raises
    ------
    RadioError
        If a radio cannot send or receive the burst, or cannot be tuned to it.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        radios: Mapping[str, Radio],
        burst: SoundingBurst,
        origin: str,
        *,
        calibration_burst: SoundingBurst | None = None,
        fresh_tuning: bool = False,
        world: World | None = None,
        listener: BlockListener | None = None,
        wait_s: Callable[[float], None] = time.sleep,
        lead_s: float = LEAD_S,
        repeat_s: float = REPEAT_S,
    ) -> None:
        self.listener = listener
        self._local = LocalStations(
            {
                node_id: RadioStation(
                    node_id, nodes, radio, burst, calibration_burst=calibration_burst,
                    world=world, listener=self._show, wait_s=wait_s, repeat_s=repeat_s,
                )
                for node_id, radio in radios.items()
            },
            burst,
            lead_s,
        )  # fmt: skip
        super().__init__(nodes, self._local, burst.grid, origin, fresh_tuning=fresh_tuning)

    def close(self) -> None:
        """Stop and release all radios."""
        self._local.close()

    def _show(
        self, phase: Phase, index: int, rx_id: str, block: IqBlock, sounding: Sounding
    ) -> None:
        if self.listener is not None:
            self.listener(phase, index, rx_id, block, sounding)
