"""Times drawn for nodes in known places, embedded in what they hear of each other, estimated back.

A receiver whose clock is ahead by ``t_j`` sees what a transmitter ahead by ``t_i`` sends, a
distance ``d`` away, at ``d / c + t_j - t_i``.
"""

import itertools
import math

import numpy as np

from calibration.node_calibration import NodeCalibration, NodeCalibrator
from drivers.array import ElementPattern, UniformLinearArray
from drivers.capture import Capture
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, Pose
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.alignment import shifted
from tests.contract.calibrations import Errors, Outcome, whitened

_TIME_S = 100e-9  # largest, either way
# Of the difference of two such times, which is what radios state.
_STATED_VAR_S2 = 2.0 * _TIME_S**2 / 3.0
_QUIET_DB = -200.0  # noise figure: below the rounding of complex64
_CENTRE_M, _RADIUS_M = 30.0, (15.0, 25.0)


class Network:
    """Nodes about a hall that all hear each other, each by its own time.

    Parameters
    ----------
    snr_db
        Of a tone at one element over the typical distance, 30 m.
    """

    def __init__(
        self,
        seed: int,
        grid: OfdmGrid,
        num_nodes: int,
        snr_db: float,
        *,
        num_elements: int = 2,
        noise: bool = True,
    ) -> None:
        self.grid, self._noise = grid, noise
        self._rng = rng = np.random.default_rng([seed, 32])
        around_rad = 2.0 * np.pi * (np.arange(num_nodes) + rng.uniform(-0.2, 0.2)) / num_nodes
        radius_m = rng.uniform(*_RADIUS_M, num_nodes)
        place_m = _CENTRE_M + radius_m * np.stack((np.cos(around_rad), np.sin(around_rad)))
        self.nodes = [
            self._node(f"n{n}", x, y, snr_db, num_elements) for n, (x, y) in enumerate(place_m.T)
        ]
        self.time_s = rng.uniform(-_TIME_S, _TIME_S, num_nodes)
        self.links = list(itertools.permutations(range(num_nodes), 2))

    def _node(self, name: str, x: float, y: float, snr_db: float, num_elements: int) -> Node:
        array = UniformLinearArray(num_elements, self.grid.wavelength_m / 2.0)
        around = ElementPattern(kind="omnidirectional")
        pose = Pose((float(x), float(y)), float(self._rng.uniform(-np.pi, np.pi)))
        node = Node(name, name, pose, array, around, around, tx_power_dbm=0.0, noise_figure_db=0.0)
        noise_var = channel_noise_var(node, node, self.grid)
        power_dbm = snr_db + 10.0 * math.log10(noise_var / self._amplitude(_CENTRE_M) ** 2)
        quiet_db = 0.0 if self._noise else _QUIET_DB
        return Node(
            name, name, pose, array, around, around, tx_power_dbm=power_dbm,
            noise_figure_db=quiet_db,
        )  # fmt: skip

    def _amplitude(self, range_m: float) -> float:
        return self.grid.wavelength_m / (4.0 * np.pi * range_m)

    def _range_m(self, i: int, j: int) -> float:
        return float(np.linalg.norm(self.nodes[i].pose.position - self.nodes[j].pose.position))

    def wave(self, i: int, j: int) -> np.ndarray:
        """Channel of one link if all clocks were right; the oscillators' phase is its own."""
        tx, rx = self.nodes[i].pose, self.nodes[j].pose
        x, y = tx.position - rx.position
        sine = math.sin(math.atan2(y, x) - rx.boresight_rad)
        path_m = self._range_m(i, j) + self.nodes[j].array.element_offset_m * sine
        phasor = self._amplitude(self._range_m(i, j)) * np.exp(2j * np.pi * self._rng.uniform())
        cycles = self.grid.frequency_hz[:, None] * path_m / SPEED_OF_LIGHT_M_PER_S
        return phasor * np.exp(-2j * np.pi * cycles)

    def measured(self, wave: np.ndarray, i: int, j: int) -> np.ndarray:
        """What the clocks make of it, with noise."""
        late_s = self.time_s[j] - self.time_s[i]
        late = wave * np.exp(-2j * np.pi * self.grid.offset_hz[:, None] * late_s)
        if not self._noise:
            return late
        parts = self._rng.standard_normal((*late.shape, 2)) * self.noise_std(i, j)
        return late + parts.view(np.complex128)[..., 0]

    def noise_std(self, i: int, j: int) -> float:
        """Of the real or imaginary part of an entry of a channel."""
        return math.sqrt(channel_noise_var(self.nodes[i], self.nodes[j], self.grid) / 2.0)

    def calibrated(self) -> NodeCalibration:
        """What one sounding of every link tells."""
        calibrator = NodeCalibrator(self.nodes, self.grid)
        pilots = pilot_symbols(self.grid)[:, None]
        for i, j in self.links:
            received = (self.measured(self.wave(i, j), i, j) * pilots).astype(np.complex64)
            capture = Capture(
                f"n{i}", f"n{j}", received, 1, self.grid.waveform_hash, delay_var_s2=_STATED_VAR_S2
            )
            assert calibrator.add(capture)
        return calibrator.solved()

    def errors(self, found: NodeCalibration) -> Errors:
        """Estimate minus truth, in seconds, less their mean: the common time nobody can see."""
        error_s = np.array([found.time_s[node.node_id] for node in self.nodes]) - self.time_s
        return {"time": error_s - error_s.mean()}

    def bound(self) -> Errors:
        """Cramér–Rao bound of `errors`, a covariance.

        A link tells the difference of two times with variance ``1 / (2 (2 pi W_c)^2 K M snr)``,
        phase and level being unknown. With ``D`` the differences (one row a link, ``+1`` at the
        receiver and ``-1`` at the transmitter) and ``V`` these variances, it is the pseudo-inverse
        of ``D^T V^-1 D``.
        """
        information = np.zeros((len(self.nodes), len(self.nodes)))
        slope = 2.0 * np.pi * self.grid.rms_bandwidth_hz
        for i, j in self.links:
            size = self.nodes[j].array.num_elements
            snr = (self._amplitude(self._range_m(i, j)) / self.noise_std(i, j)) ** 2 / 2.0
            difference = np.zeros(len(self.nodes))
            difference[[i, j]] = -1.0, 1.0
            told = 2.0 * slope**2 * self.grid.num_subcarriers * size * snr
            information += told * np.outer(difference, difference)
        return {"time": np.linalg.pinv(information, rcond=1e-9, hermitian=True)}


class TimingCalibration:
    """The contract's view of a network."""

    def __init__(self, grid: OfdmGrid, num_nodes: int) -> None:
        self._grid, self._num_nodes = grid, num_nodes

    def draw(self, seed: int) -> Outcome:
        network = Network(seed, self._grid, self._num_nodes, 20.0)
        found = network.calibrated()
        late_s = found.late_s("n0", "n1", 0)
        wave = network.wave(0, 1)
        return Outcome(
            normalized_error=whitened(network.errors(found), network.bound()),
            corrected=shifted(network.measured(wave, 0, 1), self._grid, -late_s),
            wanted=wave,
            corrected_std=network.noise_std(0, 1),
        )

    def without_noise(self, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
        network = Network(seed, self._grid, self._num_nodes, 20.0, noise=False)
        left = network.errors(network.calibrated())["time"] * self._grid.bandwidth_hz
        # cells, of complex64 and of iterations that stop
        return left, np.zeros_like(left), 2e-6
