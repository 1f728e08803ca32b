"""From a site to the stations of an agent: simulated pilots, simulated radios, or real ones."""

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from sim_backend.source import SimulatedSource
from testbed.build import build_burst, build_calibration_burst, build_grid, build_nodes, build_scene
from testbed.radios import open_radios
from testbed.site import Site
from testbed.stations import PilotStation, Station

if TYPE_CHECKING:
    from testbed.bus.air_messages import Session
    from testbed.remote_radio import AirLink

# Opens a node's station in a session.
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


def radio_stations(site: Site, seed: int, air: "AirLink | None" = None) -> OpenNode:
    """Stations of the site's radios.

    Parameters
    ----------
    air
        Connection to the process that simulates them, where one does.
    """
    nodes = build_nodes(site, seed)
    by_id = {node.node_id: node for node in nodes}
    bursts = build_burst(site), build_calibration_burst(site)
    repeat_s = site.bursts.repeat_ms / 1e3

    def open_node(node_id: str, session: int) -> Station:
        from testbed.radio_station import RadioStation  # what finds bursts takes long to import

        if air is None:
            radio = open_radios(site, [by_id[node_id]], {})[node_id]
            return RadioStation(
                node_id, nodes, radio, bursts[0], calibration_burst=bursts[1], repeat_s=repeat_s
            )
        from testbed.remote_radio import RemoteWorld

        world = RemoteWorld(air, cast("Session", session))
        radio = open_radios(site, [by_id[node_id]], {"sim": world.open_radio})[node_id]
        return RadioStation(
            node_id, nodes, radio, bursts[0],
            calibration_burst=bursts[1], world=world, wait_s=world.wait_s, repeat_s=repeat_s,
        )  # fmt: skip

    return open_node
