"""Halls without signals: link reports straight from the true geometry.

An echo's matched-filter output is its amplitude plus one complex Gaussian, its delay and sine err
by their Cramer-Rao bounds, and whether it is reported is decided on its power: what the
signal chain does at its best, without its cost. The equations are written out here and not taken
from the package that is tested.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node
from drivers.waveform import OfdmGrid
from fusion.controller import Controller, FusionSettings
from fusion.network import Network
from fusion.sensing import PositionEstimate, SensingConfig
from processing.report import Hypothesis, LinkReport

C_M_PER_S = 299_792_458.0
GRID = OfdmGrid(carrier_hz=10e9, subcarrier_spacing_hz=15e3, num_subcarriers=6666)
AREA_M = (0.0, 0.0, 200.0, 200.0)
# A false alarm in a million cells, as on the maps of section VI.
DETECTION_SNR = 18.0
OMNIDIRECTIONAL = ElementPattern(kind="omnidirectional")
HALF_PLANE = ElementPattern(front_to_back_db=math.inf)


def make_node(
    name: str,
    position_m: tuple[float, float],
    boresight_rad: float = 0.0,
    num_elements: int = 4,
    receive_pattern: ElementPattern = HALF_PLANE,
    **fields,
) -> Node:
    array = UniformLinearArray(num_elements, GRID.wavelength_m / 2)
    pose = Pose(position_m, boresight_rad)
    return Node(name, f"at-{name}", pose, array, receive_pattern, **fields)


def random_nodes(
    seed: int,
    count: int,
    num_elements: int | None = 4,
    receive_pattern: ElementPattern = HALF_PLANE,
    **fields,
) -> list[Node]:
    """Nodes uniform over the area; arrays of 1 to 8 elements if `num_elements` is ``None``."""
    rng = np.random.default_rng([seed, 0, 4, count])
    nodes = []
    for n in range(count):
        x, y = rng.uniform(AREA_M[:2], AREA_M[2:]).tolist()
        boresight, drawn = rng.uniform(0.0, 2 * math.pi), int(rng.integers(1, 9))
        elements = drawn if num_elements is None else num_elements
        nodes.append(make_node(f"n{n:02d}", (x, y), boresight, elements, receive_pattern, **fields))
    return nodes


def mixed_nodes(seed: int, count: int) -> list[Node]:
    """Nodes of unlike arrays, patterns, powers and noise figures."""
    rng = np.random.default_rng([seed, 0, 5, count])
    patterns = (
        HALF_PLANE, OMNIDIRECTIONAL, ElementPattern(kind="3gpp_38901"),
        ElementPattern(field_of_view_rad=math.radians(120.0), gain_dbi=5.0),
    )  # fmt: skip
    return [
        replace(
            node,
            receive_pattern=patterns[rng.integers(4)],
            transmit_pattern=patterns[rng.integers(1, 4)],
            tx_power_dbm=float(rng.uniform(17.0, 30.0)),
            noise_figure_db=float(rng.uniform(0.0, 8.0)),
        )
        for node in random_nodes(seed, count, None)
    ]


def true_range_m(tx: Node, rx: Node, point_m: np.ndarray) -> float:
    return math.dist(tx.pose.position_m, point_m) + math.dist(rx.pose.position_m, point_m)


def true_angle_rad(rx: Node, point_m: np.ndarray) -> float:
    x, y = rx.pose.position_m
    return math.atan2(point_m[1] - y, point_m[0] - x) - rx.pose.boresight_rad


def true_snr(
    tx: Node, rx: Node, point_m: np.ndarray, rcs_m2: float, grid: OfdmGrid = GRID
) -> float:
    """Matched-cell SNR by the radar equation over thermal noise of -174 dBm/Hz."""
    tx_gain = float(tx.transmit_pattern.power_gain(true_angle_rad(tx, point_m)))
    rx_gain = float(rx.receive_pattern.power_gain(true_angle_rad(rx, point_m)))
    tx_leg_m = math.dist(tx.pose.position_m, point_m)
    rx_leg_m = math.dist(rx.pose.position_m, point_m)
    power_gain = tx_gain * rx_gain * grid.wavelength_m**2 * rcs_m2 / (4 * math.pi) ** 3
    power_gain /= (tx_leg_m * rx_leg_m) ** 2
    tone_mw = 10 ** (tx.tx_power_dbm / 10) / grid.num_subcarriers
    noise_mw = 10 ** ((-174 + rx.noise_figure_db) / 10) * grid.subcarrier_spacing_hz
    return power_gain * tone_mw / noise_mw * grid.num_subcarriers * rx.array.num_elements


def range_std_m(snr: float) -> float:
    """Of the bistatic range, from ``1 / (8 pi^2 W_c^2 snr)``."""
    tone = np.arange(GRID.num_subcarriers) - (GRID.num_subcarriers - 1) / 2
    rms_hz = GRID.subcarrier_spacing_hz * math.sqrt(np.mean(tone**2))
    return C_M_PER_S / (2 * math.pi * rms_hz * math.sqrt(2 * snr))


def sine_std(snr: float, num_elements: int) -> float:
    """Of the sine, from ``6 / (snr pi^2 (M^2 - 1))``: elements half a wavelength apart."""
    return math.sqrt(6 / (snr * math.pi**2 * (num_elements**2 - 1)))


def hypothesis_at(
    tx: Node,
    rx: Node,
    point_m: np.ndarray,
    snr: float,
    rng: np.random.Generator | None = None,
    stated_snr: float | None = None,
) -> Hypothesis:
    """What the link reports of an echo: exact without `rng`, else with errors of that SNR."""
    stated = snr if stated_snr is None else stated_snr
    range_error, sine_error = (0.0, 0.0) if rng is None else rng.standard_normal(2)
    range_m = true_range_m(tx, rx, point_m) + range_error * range_std_m(snr)
    sine: float | None = None
    var: float | None = None
    if rx.array.num_elements > 1:
        sine = math.sin(true_angle_rad(rx, point_m))
        sine += sine_error * sine_std(snr, rx.array.num_elements)
        sine = (sine + 1.0) % 2.0 - 1.0  # half a wavelength: endfire aliases to endfire
        var = sine_std(stated, rx.array.num_elements) ** 2
    range_var = range_std_m(stated) ** 2
    return Hypothesis(range_m / C_M_PER_S, range_var / C_M_PER_S**2, sine, var, stated)


def report_of(
    tx: Node,
    rx: Node,
    *hypotheses: Hypothesis,
    sensing_index: int = 0,
    delay_is_absolute: bool = True,
    detection_snr: float = DETECTION_SNR,
    truncated: bool = False,
) -> LinkReport:
    return LinkReport(
        tx_id=tx.node_id,
        rx_id=rx.node_id,
        sensing_index=sensing_index,
        hypotheses=hypotheses,
        detection_snr=detection_snr,
        noise_var=1e-12,
        delay_is_absolute=delay_is_absolute,
        config_epoch=0,
        background_hash=None,
        truncated=truncated,
    )


@dataclass(frozen=True)
class Hall:
    """One target among nodes.

    Attributes
    ----------
    nodes
        As surveyed; their true poses differ by one draw of their survey.
    target_m
        Shape ``(2,)``.
    seed
        Of looks and survey errors.
    rcs_m2
        Mean RCS; steady unless `fading`.
    fading
        Swerling I, drawn anew for every look.
    delay_is_absolute
        Whether nodes share a time.
    """

    nodes: Sequence[Node]
    target_m: np.ndarray
    seed: int = 0
    rcs_m2: float = 1.0
    fading: bool = True
    delay_is_absolute: bool = True

    def _true(self, node_id: str) -> tuple[int, Node]:
        index = next(n for n, node in enumerate(self.nodes) if node.node_id == node_id)
        node = self.nodes[index]
        error = np.random.default_rng([self.seed, 1, index]).standard_normal(3)
        x, y = node.pose.position + error[:2] * node.survey.position_std_m
        boresight = node.pose.boresight_rad + error[2] * node.survey.boresight_std_rad
        return index, replace(node, pose=Pose((float(x), float(y)), boresight))

    def look(self, tx_id: str, rx_id: str, sensing_index: int) -> LinkReport:
        """Report of one look; the same look gives the same report."""
        (i, tx), (j, rx) = self._true(tx_id), self._true(rx_id)
        rng = np.random.default_rng([self.seed, 2, i, j, sensing_index])
        rcs_m2 = self.rcs_m2 * (rng.standard_exponential() if self.fading else 1.0)
        snr = true_snr(tx, rx, self.target_m, rcs_m2)
        output = math.sqrt(snr) + complex(*rng.standard_normal(2)) / math.sqrt(2)
        found = []
        if abs(output) ** 2 > DETECTION_SNR:
            # The matched power holds one noise power besides the echo's.
            stated = abs(output) ** 2 - 1.0
            found = [hypothesis_at(tx, rx, self.target_m, max(snr, 1.0), rng, stated)]
        return report_of(
            tx, rx, *found,
            sensing_index=sensing_index, delay_is_absolute=self.delay_is_absolute,
        )  # fmt: skip

    def sense(self, config: SensingConfig, sensing_index: int) -> list[LinkReport]:
        return [self.look(config.tx_id, rx_id, sensing_index) for rx_id in config.rx_ids]

    def controller(self, seed: int = 0, **settings) -> Controller:
        return Controller(
            Network(self.nodes, GRID), AREA_M, self.rcs_m2, DETECTION_SNR,
            FusionSettings(**settings), np.random.default_rng(seed),
        )  # fmt: skip

    def error_m(self, estimate: PositionEstimate) -> float:
        return float(np.hypot(*(estimate.position_m - self.target_m)))

    def nees(self, estimate: PositionEstimate) -> float:
        """Squared error normalized by the stated covariance, chi-square of two degrees."""
        offset = estimate.position_m - self.target_m
        return float(offset @ np.linalg.solve(estimate.covariance_m2, offset))


def random_hall(seed: int, nodes: Sequence[Node], **fields) -> Hall:
    target_m = np.random.default_rng([seed, 0, 3]).uniform(AREA_M[:2], AREA_M[2:])
    return Hall(nodes, target_m, seed, **fields)


def run(hall: Hall, controller: Controller) -> tuple[list[SensingConfig], list[PositionEstimate]]:
    """Sense until the controller has had enough; configurations and estimates."""
    configs: list[SensingConfig] = []
    estimates: list[PositionEstimate] = []
    while (config := controller.next_config()) is not None:
        estimates.append(controller.update(hall.sense(config, len(configs))))
        configs.append(config)
    return configs, estimates
