"""A policy of one's own: no planning at all, which is what planning has to beat."""

from collections.abc import Iterator

from fusion.policy import World
from fusion.sensing import PositionEstimate, SensingConfig


class RoundRobin:
    """Each node sends in turn, and the ones after it listen."""

    def run(self, world: World) -> Iterator[PositionEstimate]:
        names = [node.node_id for node in world.network.nodes]
        belief = world.new_belief()
        for _ in range(world.settings.max_sensings):
            tx_id, *rx_ids = names[: 1 + world.settings.num_receivers]
            belief.update(world.sense(SensingConfig(tx_id, tuple(rx_ids))))
            yield belief.summary()
            names = [*names[1:], tx_id]
