"""From a site to the stations of an agent: simulated pilots, simulated radios, or real ones."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from drivers.node import Node
from drivers.radio import Radio, RadioSpec
from drivers.registry import RadioFactory
from sim_backend.source import SimulatedSource
from testbed.build import build_burst, build_calibration_burst, build_grid, build_nodes, build_scene
from testbed.radios import open_radios
from testbed.site import Site
from testbed.stations import PilotStation, Station

if TYPE_CHECKING:
    from testbed.bus.sockets import Caller

OpenNode = Callable[[str, int], Station]


def pilot_stations(site: Site, seed: int) -> OpenNode:
    """Stations whose captures are simulated at pilot fidelity; both sessions are alike."""
    nodes = build_nodes(site, seed)
    scene = build_scene(site, nodes, seed)
    grid = build_grid(site)

    def open_node(node_id: str, _session: int) -> Station:
        # A source of its own each, because nodes have threads of their own.
        return PilotStation(SimulatedSource(scene, nodes, grid), node_id)

    return open_node


def radio_stations(site: Site, seed: int, air: "Callable[[], Caller] | None" = None) -> OpenNode:
    """Stations of the site's radios.

    Parameters
    ----------
    air
        Connects to the process that simulates them, where one does.
    """
    nodes = build_nodes(site, seed)
    by_id = {node.node_id: node for node in nodes}

    def open_node(node_id: str, session: int) -> Station:
        from testbed.radio_station import RadioStation  # what finds bursts takes long to import

        if air is None:
            radio = open_radios(site, [by_id[node_id]], {})[node_id]
            return _station(RadioStation, site, nodes, node_id, radio)
        from testbed.remote_radio import RemoteRadio, RemoteWorld

        world = RemoteWorld(air(), session)

        def remote(spec: RadioSpec) -> Radio:
            return RemoteRadio(air(), spec.node_id, session, world)

        provided: dict[str, RadioFactory] = {"sim": remote}
        radio = open_radios(site, [by_id[node_id]], provided)[node_id]
        return RadioStation(
            node_id, nodes, radio, build_burst(site),
            calibration_burst=build_calibration_burst(site), world=world, wait_s=world.wait_s,
        )  # fmt: skip

    return open_node


def _station(kind: type, site: Site, nodes: Sequence[Node], node_id: str, radio: Radio) -> Station:
    station: Station = kind(
        node_id, nodes, radio, build_burst(site), calibration_burst=build_calibration_burst(site)
    )
    return station
