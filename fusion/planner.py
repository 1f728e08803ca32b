"""Who senses next, of the nodes that can take part: initialization, search and P2."""

import numpy as np

from drivers.geometry import FloatArray
from fusion.belief import Belief
from fusion.initialization import expected_error_plan, field_of_view_plan
from fusion.likelihood import detection_probability
from fusion.modes import Mode
from fusion.network import Network
from fusion.planning import Plan, best_configuration
from fusion.sensing import MIN_NODES, SensingConfig, TooFewNodesError
from fusion.settings import FusionSettings

# A mode is sensed by P2 once it is more probable than not; below that the search goes on.
_REFINE_PROBABILITY = 0.5
# Below this spread (root of the trace) every link looks the same from all over the mode.
_NARROW_M = 0.1


class Planner:
    """Plans one sensing after the other, with the nodes that can take part.

    All plans of one sensing share its random numbers, and how many those are does not depend on
    who is absent: so a plan follows from the belief and from who is absent now, not from who was
    in between.

    Parameters
    ----------
    network, area_m, mean_rcs_m2, detection_snr, settings, rng
        See `fusion.controller.Controller`.
    belief
        Before the first sensing.
    """

    def __init__(
        self,
        network: Network,
        area_m: tuple[float, float, float, float],
        mean_rcs_m2: float,
        detection_snr: float,
        settings: FusionSettings,
        rng: np.random.Generator,
        belief: Belief,
    ) -> None:
        self._network = network
        is_blind = settings.selection == "blind"
        self._facing = network.without_fields_of_view() if is_blind else network  # for P2
        self._area_m = area_m
        self._mean_rcs_m2 = mean_rcs_m2
        self._detection_snr = detection_snr
        self._settings = settings
        self._rng = rng
        self._belief = belief
        self._first = True
        self._order: list[str] | None = None
        self._samples: tuple[FloatArray, FloatArray] | None = None

    def begin(self, belief: Belief) -> None:
        """Go on to the next sensing, from what is believed after the last one."""
        self._belief = belief
        self._first = False
        self._order = self._samples = None

    def plan(self, absent: frozenset[str]) -> Plan:
        """Best configuration of the nodes that are not absent.

        With fewer receivers than are wanted where nodes are too few for them.

        Raises
        ------
        TooFewNodesError
            If fewer than two are left.
        """
        present = [node_id for node_id in self._network.index if node_id not in absent]
        if len(present) < MIN_NODES:
            msg = (
                f"a sensing needs {MIN_NODES} nodes, one to send and one to listen; "
                f"present: {present}, absent: {sorted(absent)}; see why they are, or wait"
            )
            raise TooFewNodesError(msg)
        num_receivers = min(self._settings.num_receivers, len(present) - 1)
        return (self._initial_plan if self._first else self._next_plan)(present, num_receivers)

    def _initial_plan(self, present: list[str], num_receivers: int) -> Plan:
        if self._settings.initialization == "random":
            return self._random_plan(present, num_receivers)
        network = self._network.only(present)
        if self._settings.initialization == "field_of_view":
            points_m = self._uniform_points_m()
            return field_of_view_plan(network, points_m, self._mean_rcs_m2, num_receivers)
        return self._search_plan(network, num_receivers)

    def _random_plan(self, present: list[str], num_receivers: int) -> Plan:
        if self._order is None:
            picked = self._rng.permutation(len(self._network.nodes))
            self._order = [self._network.nodes[int(n)].node_id for n in picked]
        tx, *rx = [node_id for node_id in self._order if node_id in present]
        return Plan(SensingConfig(tx, tuple(rx[:num_receivers])), float("inf"))

    def _uniform_points_m(self) -> FloatArray:
        if self._samples is None:
            size = self._settings.num_scene_samples, 2
            points_m = self._rng.uniform(self._area_m[:2], self._area_m[2:], size=size)
            self._samples = points_m, np.full(len(points_m), self._mean_rcs_m2)
        return self._samples[0]

    def _next_plan(self, present: list[str], num_receivers: int) -> Plan:
        found, network = self._belief.best, self._network.only(present)
        if self._settings.recovery == "random":
            if found is None:
                return self._random_plan(present, num_receivers)
        elif found is None or found[1] < _REFINE_PROBABILITY:
            return self._search_plan(network, num_receivers)
        plan = self._refine_plan(self._facing.only(present), num_receivers, found[0])
        return plan if np.isfinite(plan.peb_m) else self._search_plan(network, num_receivers)

    def _search_plan(self, network: Network, num_receivers: int) -> Plan:
        if self._samples is None:
            count = self._settings.num_scene_samples
            self._samples = self._belief.grid.sample(self._rng, count)
        span_m = float(np.hypot(*np.subtract(self._area_m[2:], self._area_m[:2])))
        return expected_error_plan(
            network, *self._samples, self._detection_snr, span_m, num_receivers
        )

    def _refine_plan(self, network: Network, num_receivers: int, mode: Mode) -> Plan:
        """P2 at the mode, on top of what is known already where sensings are accumulated."""
        latest = self._settings.fusion == "latest"
        prior = np.zeros(3) if latest else _entries(np.asarray(np.linalg.inv(mode.covariance_m2)))
        mean = self._expected_information(network, mode)
        return best_configuration(network, mean, prior, num_receivers)

    def _expected_information(self, network: Network, mode: Mode) -> FloatArray:
        """What each link is expected to bring about the mode, shape ``(N, N, 3)``."""
        at_a_point = self._settings.selection != "visible"
        points, weights = mode.points_m, mode.weights
        if at_a_point or np.trace(mode.covariance_m2) < _NARROW_M**2:
            points, weights = mode.position_m[None], np.ones(1)
        snr = network.snr(points, np.full(len(points), mode.rcs_m2))
        if at_a_point:
            return np.asarray(network.information(points, snr)[0])
        snr *= self._link_memory(network, mode)
        seen = detection_probability(snr, self._detection_snr)
        information = network.information(points, snr) * seen[..., None]
        return np.asarray(np.tensordot(weights, information, axes=1))

    def _link_memory(self, network: Network, mode: Mode) -> FloatArray:
        """What each link has shown over what was predicted, drawn towards one; ``(N, N)``.

        Whether fades last is unknown. The mean of one imagined average look and the looks taken
        moves away from a link that keeps fading, and costs little where every look is new.
        """
        size, index = len(network.nodes), network.index
        total, count = np.zeros((size, size)), np.zeros((size, size))
        for link, chosen in self._belief.explained(mode):
            tx_id, rx_id = link.report.tx_id, link.report.rx_id
            if tx_id not in index or rx_id not in index:
                continue
            expected = float(link.unit_snr(mode.position_m)) * mode.rcs_m2
            if expected > 0.0:
                seen = 0.0 if chosen is None else link.report.hypotheses[chosen].snr
                total[index[tx_id], index[rx_id]] += seen / expected
                count[index[tx_id], index[rx_id]] += 1.0
        return (1.0 + total) / (1.0 + count)


def _entries(matrix: FloatArray) -> FloatArray:
    return np.array([matrix[0, 0], matrix[0, 1], matrix[1, 1]])
