"""From a site to the stations of an agent: simulated pilots, simulated radios, or real ones."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from sim_backend.source import SimulatedSource
from testbed.build import build_burst, build_calibration_burst, build_grid, build_nodes, build_scene
from testbed.radios import open_radios
from testbed.site import Site
from testbed.stations import PilotStation, Station

if TYPE_CHECKING:
    from testbed.bus.air_messages import Session
    from testbed.remote_radio import AirLink, RemoteWorld

# Opens a node's station in a session.
OpenNode = Callable[[str, int], Station]


def pilot_stations(site: Site, seed: int) -> OpenNode:
    """Stations whose captures are simulated at pilot fidelity; both sessions are alike."""
    nodes = build_nodes(site, seed)
    scene = build_scene(site, nodes, seed)
    grid = build_grid(site)

    def open_node(node_id: str, _session: int) -> Station:
        # A source of its own each, because nodes have threads of their own.
        source = SimulatedSource(scene, nodes, grid, num_symbols=site.waveform.num_symbols)
        return PilotStation(source, node_id)

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

        world = None if air is None else _world(air, session)
        factories = {} if world is None else {"sim": world.open_radio}
        radio = open_radios(site, [by_id[node_id]], factories)[node_id]
        try:
            return RadioStation(
                node_id, nodes, radio, bursts[0],
                calibration_burst=bursts[1], world=world,
                wait_s=time.sleep if world is None else world.wait_s, repeat_s=repeat_s,
            )  # fmt: skip
        except BaseException:
            radio.close()  # or it would be in use when it is tried again
            raise

    return open_node


def _world(air: "AirLink", session: int) -> "RemoteWorld":
    """A session of the process that simulates radios."""
    from testbed.remote_radio import RemoteWorld

    return RemoteWorld(air, cast("Session", session))
