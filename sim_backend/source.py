"""A capture source at pilot fidelity: channel plus noise, straight to demodulated pilots."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from scipy import special

from drivers.capture import Capture
from drivers.geometry import ComplexArray
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.waveform import OfdmGrid, pilot_symbols
from sim_backend.channel import background_channel, target_channel
from sim_backend.scene import Scene, random_stream

StaticModel = Literal["synthesized", "cancelled"]

# Static channels kept: a campaign asks for the same link N_BG times in a row.
_NUM_CACHED_LINKS = 4


@lru_cache
def median_var_ratio(num_captures: int) -> float:
    """Variance of the median of `num_captures` unit Gaussians; 1 for one, pi/(2 n) for many.

    Integrated from the joint density of the two middle order statistics (David and Nagaraja,
    Order Statistics, section 2.2), so that it holds for small numbers as well.
    """
    # Middle order statistics of many samples lie within a few 1/sqrt(n) of zero.
    span = min(8.0, 10.0 * np.sqrt(np.pi / (2.0 * num_captures)))
    x = np.linspace(-span, span, 1_601)
    half = (num_captures - 1) // 2
    log_point = -(x**2) / 2.0  # of the standard normal density, without its constant
    log_lower = log_point + half * special.log_ndtr(x)
    log_upper = log_point + half * special.log_ndtr(-x)
    if num_captures % 2:
        log_density = log_lower + log_upper - log_point
        density = np.exp(log_density - log_density.max())
        return float(np.sum(x**2 * density) / np.sum(density))
    ordered = x[:, None] <= x[None]
    log_joint = np.where(ordered, log_lower[:, None] + log_upper[None], -np.inf)
    joint = np.exp(log_joint - log_joint.max())
    np.fill_diagonal(joint, np.diag(joint) / 2.0)
    middle = (x[:, None] + x[None]) / 2.0
    return float(np.sum(middle**2 * joint) / np.sum(joint))


def complex_noise(rng: np.random.Generator, shape: tuple[int, int], var: float) -> ComplexArray:
    """Circular complex Gaussian noise of the given variance, complex64.

    In polar form (Box and Muller 1958): exponential power and uniform phase, which processors draw
    twice as fast as two Gaussians. Powers end at 16.6 variances, which one entry in 2**24 reaches.
    """
    power, turn = rng.random((2, *shape), dtype=np.float32)
    np.log(np.subtract(1.0, power, out=power), out=power)
    amplitude = np.sqrt(np.multiply(power, np.float32(-var), out=power), out=power)
    turn *= np.float32(2.0 * np.pi)
    noise = np.empty(shape, dtype=np.complex64)
    np.multiply(np.cos(turn), amplitude, out=noise.real)
    np.multiply(np.sin(turn), amplitude, out=noise.imag)
    return noise


class SimulatedSource:
    """Captures of one scene at pilot fidelity (`drivers.capture.CaptureSource`).

    Parameters
    ----------
    scene
        The drawn hall with true poses; kept as an attribute.
    surveyed
        The same nodes as the edge server knows them.
    grid
        The waveform.
    static_model
        ``synthesized``: clutter and direct path are part of every capture.
        ``cancelled``: they are left out, for studies whose background would take exactly the
        same channel away again; `entry_noise` then gives what a learned entry would leave.
    num_symbols
        Of one burst that senses; its capture is their mean. They follow one another within a
        fraction of a coherence time: one draw of the target's RCS holds for all of them, which is
        what Swerling I says of the pulses of one scan, and only noise is averaged.
    """

    def __init__(
        self,
        scene: Scene,
        surveyed: Sequence[Node],
        grid: OfdmGrid,
        static_model: StaticModel = "synthesized",
        num_symbols: int = 1,
    ) -> None:
        self.scene = scene
        self._nodes = tuple(surveyed)
        self._grid = grid
        self._static_model = static_model
        self._num_symbols = num_symbols
        self._index = {node.node_id: n for n, node in enumerate(self._nodes)}
        self._pilots = pilot_symbols(grid)
        self._waveform_hash = grid.waveform_hash
        self._static: OrderedDict[tuple[int, int], ComplexArray] = OrderedDict()

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
        """Seed, and a digest of all that the static channel depends on."""
        return f"simulated seed {self.scene.seed}, static scene {self.scene.static_hash}"

    def of_symbols(self, num_symbols: int) -> "SimulatedSource":
        """The same scene, sensed with bursts of so many symbols."""
        return SimulatedSource(self.scene, self._nodes, self._grid, self._static_model, num_symbols)

    def sense(self, tx_id: str, rx_ids: Sequence[str], sensing_index: int) -> tuple[Capture, ...]:
        """Return captures with the target present; the same key gives the same capture."""
        return tuple(self._sense(tx_id, rx_id, sensing_index) for rx_id in rx_ids)

    def sense_background(
        self,
        tx_id: str,
        rx_ids: Sequence[str],
        capture_index: int,
        *,
        brief: bool = False,  # noqa: ARG002  background bursts are of one symbol
    ) -> tuple[Capture, ...]:
        """Return target-free captures for calibration."""
        return tuple(self._sense_background(tx_id, rx_id, capture_index) for rx_id in rx_ids)

    def _sense(self, tx_id: str, rx_id: str, sensing_index: int) -> Capture:
        link = self._index[tx_id], self._index[rx_id]
        rcs = self.scene.target_rcs_m2(*link, sensing_index)
        channel = target_channel(self.scene, self._grid, *link, rcs)
        if self._static_model == "synthesized":
            channel = channel + self.static_channel(*link)
        rng = random_stream(self.scene.seed, "noise", *link, sensing_index)
        return self._capture(link, channel, rng, self._num_symbols)

    def _sense_background(self, tx_id: str, rx_id: str, capture_index: int) -> Capture:
        link = self._index[tx_id], self._index[rx_id]
        rng = random_stream(self.scene.seed, "background", *link, capture_index)
        return self._capture(link, self.static_channel(*link), rng)

    def entry_noise(self, tx_id: str, rx_id: str, num_captures: int) -> ComplexArray:
        """Noise that the median (8) of `num_captures` leaves in an entry, shape ``(K, M)``."""
        link = self._index[tx_id], self._index[rx_id]
        rng = random_stream(self.scene.seed, "entry", *link)
        var = self._noise_var(link) * median_var_ratio(num_captures)
        return complex_noise(rng, self._shape(link), var)

    def static_channel(self, tx_index: int, rx_index: int) -> ComplexArray:
        """Noise-free background of a link, shape ``(K, M)``, complex64."""
        link = tx_index, rx_index
        if link not in self._static:
            channel = background_channel(self.scene, self._grid, *link)
            self._static[link] = channel.astype(np.complex64)
            if len(self._static) > _NUM_CACHED_LINKS:
                self._static.popitem(last=False)
        return self._static[link]

    def _noise_var(self, link: tuple[int, int]) -> float:
        return channel_noise_var(self._nodes[link[0]], self._nodes[link[1]], self._grid)

    def _shape(self, link: tuple[int, int]) -> tuple[int, int]:
        return self._grid.num_subcarriers, self._nodes[link[1]].array.num_elements

    def _capture(
        self,
        link: tuple[int, int],
        channel: ComplexArray,
        rng: np.random.Generator,
        num_symbols: int = 1,
    ) -> Capture:
        var = self._noise_var(link) / num_symbols
        received = complex_noise(rng, self._shape(link), var)
        received += channel
        received *= self._pilots[:, None]  # eq. (1); noise is circular, so it may turn as well
        return Capture(
            tx_id=self._nodes[link[0]].node_id,
            rx_id=self._nodes[link[1]].node_id,
            rx_pilots=received,
            num_averaged=num_symbols,
            waveform_hash=self._waveform_hash,
        )
