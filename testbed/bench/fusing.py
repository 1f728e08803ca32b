"""Cases of the edge server: P1, P2 and the initialization."""

from collections.abc import Sequence

import numpy as np

from drivers.geometry import FloatArray, arrival_angle_rad, bistatic_delay_s
from drivers.link_budget import delay_var_s2, sine_var
from drivers.node import Node
from fusion.initialization import field_of_view_plan
from fusion.measurement import Measurement, bearing_range_points
from fusion.network import Network
from fusion.planning import Plan, best_configuration
from fusion.wls import WlsProblem, WlsSolution
from processing.report import Hypothesis
from sim_backend.scene import draw_uniform_poses
from testbed.bench.case import Counts, Work
from testbed.bench.literal import literal_module
from testbed.bench.workload import Workload

_NUM_LINKS = 3
_LINK_SNR = 1e3
_NO_PRIOR = np.zeros(3)


def hypothesis_of(
    tx: Node, rx: Node, network: Network, target_m: FloatArray, snr: float,
    errors: Sequence[float] = (0.0, 0.0),
) -> Hypothesis:  # fmt: skip
    """What a link reports of an echo, its delay and sine off by so many standard deviations."""
    wavelengths = rx.array.spacing_m / network.grid.wavelength_m
    delay_var = float(delay_var_s2(snr, network.grid.rms_bandwidth_hz))
    delay_s = float(bistatic_delay_s(tx.pose.position, rx.pose.position, target_m))
    delay_s += errors[0] * np.sqrt(delay_var)
    if rx.array.num_elements == 1:
        return Hypothesis(delay_s, delay_var, None, None, snr)
    var = float(sine_var(snr, rx.array.num_elements, wavelengths))
    sine = float(np.sin(arrival_angle_rad(rx.pose, target_m))) + errors[1] * np.sqrt(var)
    return Hypothesis(delay_s, delay_var, float(sine), var, snr)


def links_that_see(load: Workload, count: int) -> list[tuple[Node, Node]]:
    """Links whose echoes of the target are the strongest, each with a receiver of its own."""
    snr = load.network.snr(load.simulation.target_m[None], np.ones(1))[0]
    nodes = load.nodes
    best_tx = np.argmax(snr, axis=0)
    receivers = np.argsort(-snr.max(axis=0), kind="stable")[:count]
    return [(nodes[int(best_tx[rx])], nodes[int(rx)]) for rx in receivers]


def position(load: Workload) -> Work:
    """P1 over one sensing of each of several links, from both sides of the first one's array."""
    network, target_m = load.network, load.simulation.target_m
    rng = np.random.default_rng(load.seed)
    measurements = [
        Measurement(
            tx, rx,
            hypothesis_of(tx, rx, network, target_m, _LINK_SNR, rng.standard_normal(2).tolist()),
            network.sine_period(rx),
        )
        for tx, rx in links_that_see(load, _NUM_LINKS)
    ]  # fmt: skip
    starts = bearing_range_points(measurements[0]) or [target_m + 1.0]

    def run() -> WlsSolution:
        problem = WlsProblem(measurements, errors=network.errors)
        own = bearing_range_points(measurements[0]) or starts
        return min((problem.solve(start) for start in own), key=lambda found: found.cost)

    literal = literal_module("fusion")
    if literal is None or any(m.hypothesis.sine is None for m in measurements):
        return Work(run)
    poses = [
        (m.tx.pose.position, m.rx.pose.position, m.rx.pose.boresight_rad) for m in measurements
    ]
    delays = [(m.hypothesis.delay_s, m.hypothesis.delay_var_s2) for m in measurements]
    sines = [(m.hypothesis.sine, m.hypothesis.sine_var) for m in measurements]
    return Work(
        run=run,
        literal=lambda: literal.position(poses, delays, sines, starts),
        error=lambda found, best: float(np.sqrt(found.distance2(best[0]))),
    )


def exact_planning(load: Workload) -> Work:
    """P2 over all sets."""
    network, information = load.network, load.link_information
    count, literal = load.sizes.num_receivers, literal_module("fusion")

    def other_set(plan: Plan, best: tuple[int, tuple[int, ...], float] | None) -> float | None:
        if best is None:
            return None
        names = [load.nodes[n].node_id for n in (best[0], *best[1])]
        same = plan.config.tx_id == names[0] and set(plan.config.rx_ids) == set(names[1:])
        return float(not same)

    return Work(
        run=lambda: best_configuration(network, information, _NO_PRIOR, count),
        literal=(
            None
            if literal is None
            else lambda: literal.best_configuration(information, _NO_PRIOR, count)
        ),
        error=other_set,
        counts=Counts(cache_bytes=float(information.nbytes)),
    )


def drawn_network(load: Workload, num_nodes: int) -> Network:
    """Nodes like the hall's, but so many of them, uniform over its area."""
    poses = draw_uniform_poses(load.seed, load.site.area_m, num_nodes)
    like = load.nodes[0]
    nodes = [
        Node(f"n{n}", f"n{n}", pose, like.array, like.receive_pattern, like.transmit_pattern)
        for n, pose in enumerate(poses)
    ]
    return Network(nodes, load.grid)


def information_about(network: Network, target_m: FloatArray) -> FloatArray:
    """Information of all links about one point of unit RCS, shape ``(N, N, 3)``."""
    return network.information(target_m[None], network.snr(target_m[None], np.ones(1)))[0]


def large_planning(load: Workload) -> Work:
    """P2 over more sets than can be tried; its error is the gap that it proves itself."""
    network = drawn_network(load, load.sizes.many_nodes)
    information = information_about(network, load.simulation.target_m)
    count = load.sizes.many_receivers

    return Work(
        run=lambda: best_configuration(network, information, _NO_PRIOR, count),
        error=lambda plan, _literal: plan.gap,
        counts=Counts(memory_bytes=float(information.nbytes)),
    )


def initialization(load: Workload) -> Work:
    """SFI: coverage over all sets, then the mean bound of every transmitter."""
    network, count = load.network, load.sizes.num_receivers
    rng = np.random.default_rng(load.seed)
    area_m = load.site.area_m
    points = rng.uniform(area_m[:2], area_m[2:], (load.sizes.num_samples, 2))
    mean_rcs_m2, literal = 1.0, literal_module("fusion")
    counts = Counts(memory_bytes=24.0 * len(points) * len(load.nodes) * count)

    def run() -> Plan:
        return field_of_view_plan(network, points, mean_rcs_m2, count)

    if literal is None:
        return Work(run=run, counts=counts)

    def evaluated() -> tuple[int, tuple[int, ...]]:
        in_view = np.array(
            [n.receive_pattern.in_view(arrival_angle_rad(n.pose, points)) for n in load.nodes]
        )
        snr = network.snr(points, np.full(len(points), mean_rcs_m2))
        chosen: tuple[int, tuple[int, ...]] = literal.field_of_view_choice(
            in_view, network.information(points, snr), count
        )
        return chosen

    def other_choice(plan: Plan, chosen: tuple[int, tuple[int, ...]]) -> float:
        names = [load.nodes[n].node_id for n in (chosen[0], *chosen[1])]
        same = plan.config.tx_id == names[0] and set(plan.config.rx_ids) == set(names[1:])
        return float(not same)

    return Work(run=run, literal=evaluated, error=other_choice, counts=counts)
