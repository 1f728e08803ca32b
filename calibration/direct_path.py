"""The direct path in a channel: its delay, its direction, and how far clutter may pull them.

A direct path has a known length and direction, so where it is found tells of clocks, arrays and
surveys. What limits this is not noise but scatterers within a resolution cell of it. They all come
later, and how much later is known on average, so the path is estimated in coloured noise of that
kind: what arrives first weighs most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft

from calibration.clutter import ClutterStatistics
from calibration.path_among_clutter import PathAmongClutter
from drivers.array import steering_matrix
from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    ComplexArray,
    FloatArray,
    arrival_angle_rad,
    distance_m,
)
from drivers.link_budget import direct_path_gain
from drivers.node import Node
from drivers.waveform import OfdmGrid
from processing.alignment import align

# Sub-bands of a window, at least: it passes delays within half as many cells of the path.
_NUM_BANDS = 32
# Scatterers nearer to a node than this are not drawn apart from its antenna.
_NEAREST_M = 0.3
# Share of the window's power that one wave at each element must explain.
_MIN_SHARE = 0.3
# One strong scatterer beside the path is fitted for each so many elements that tell it apart.
ELEMENTS_PER_SCATTERER = 4
# The scatterers of a hall are few, not Gaussian: errors over what the fit states, as variances;
# the sine's for each element. Nodes that hear each other measure these factors anew
# (`calibration.timing`).
_DELAY_MODEL_VAR = 2.5
_ONE_ELEMENT_VAR = 3.2  # and more where no array tells anything
_SINE_MODEL_VAR = 0.9
# No direction is surer among scatterers, however well the fit explains them: nodes that look
# surest are chosen. Beams; and beams for each unit of amplitude besides the path's.
_LEAST_BEAMS, _BEAMS_BY_OTHERS = 0.012, 0.25
# A scatterer too near to be told from the path changes amplitude, delay and direction together:
# cells and beams off for each unit of relative amplitude (decision 23).
_PULL_CELLS, _PULL_BEAMS = 0.04, 0.13
# Relative amplitude of such scatterers: 0.11 to 0.35 at 18 and 40 MHz in a hall of 24 x 20 m with
# 10 and 30 scatterers (decision 16).
_MOST_SCATTERED, _SCATTERED_BY_OTHERS = 0.2, 2.0


def usable_direct_path(tx: Node, rx: Node) -> bool:
    """Whether both ends have each other in view, so that the direct path stands out."""
    heard = rx.receive_pattern.in_view(arrival_angle_rad(rx.pose, tx.pose.position_m))
    sent = tx.transmit_pattern.in_view(arrival_angle_rad(tx.pose, rx.pose.position_m))
    return bool(heard and sent)


def direct_path_channel(tx: Node, rx: Node, grid: OfdmGrid) -> ComplexArray:
    """Channel of the direct path alone, as surveyed, shape ``(K, M)``, complex64."""
    delay_s = float(distance_m(tx.pose.position_m, rx.pose.position_m)) / SPEED_OF_LIGHT_M_PER_S
    angle_rad = arrival_angle_rad(rx.pose, tx.pose.position_m)
    steering = steering_matrix(rx.array, grid.frequency_hz, np.atleast_1d(angle_rad))[:, 0]
    turn = np.exp(-2j * np.pi * grid.frequency_hz * delay_s)[:, None]
    gain = direct_path_gain(tx, rx, grid.wavelength_m)
    return (gain * turn * steering).astype(np.complex64)


@dataclass(frozen=True)
class DirectPathWindow:
    """A channel over its surveyed direct path, near that path's delay.

    Attributes
    ----------
    tx, rx
        The link's nodes as surveyed.
    ratio
        Means over sub-bands, turned back by `delay_s`, shape ``(B, M)``: all equal if there were
        nothing but the direct path, exactly that late, and an array as stated.
    bands
        The sub-bands as a grid.
    delay_s
        About how much later than surveyed the path is.
    noise_var
        Of an entry of `ratio`, the mean over elements.
    """

    tx: Node
    rx: Node
    ratio: ComplexArray
    bands: OfdmGrid
    delay_s: float
    noise_var: float

    def corrected(self, gain: ComplexArray, delay_s: FloatArray) -> "DirectPathWindow":
        """The window as elements without these gains and delays, shapes ``(M,)``, had seen it."""
        turn = np.exp(2j * np.pi * self.bands.offset_hz[:, None] * delay_s)
        noise_var = self.noise_var * float(np.mean(np.abs(gain) ** -2.0))
        return replace(self, ratio=self.ratio * turn / gain, noise_var=noise_var)

    def of_elements(self, elements: Sequence[int]) -> "DirectPathWindow":
        """The window as some of the elements have seen it."""
        return replace(self, ratio=self.ratio[:, list(elements)])

    def about(self, tx: Node, rx: Node) -> "DirectPathWindow":
        """The window over the direct path that the nodes have as given here."""
        other = direct_path_channel(tx, rx, self.bands)
        ratio = self.ratio * direct_path_channel(self.tx, self.rx, self.bands) / other
        return replace(self, tx=tx, rx=rx, ratio=ratio)


def direct_path_window(
    channel: ComplexArray, tx: Node, rx: Node, grid: OfdmGrid, noise_var: float
) -> DirectPathWindow | None:
    """The window about the strongest delay of a channel, shape ``(K, M)``.

    ``None`` where the direct path is out of view, or one wave does not explain the window.

    Parameters
    ----------
    noise_var
        Of an entry of the channel.
    """
    if not usable_direct_path(tx, rx):
        return None
    reference = direct_path_channel(tx, rx, grid)
    friis_power = float(np.abs(reference[0, 0]) ** 2)
    ratio = channel * (reference.conj() / np.float32(friis_power))
    profile = scipy.fft.ifft(ratio, axis=0)
    size = len(ratio)
    peak = int(np.argmax(np.sum(np.abs(profile) ** 2, axis=1)))
    delay_s = (peak if peak < size // 2 else peak - size) / grid.bandwidth_hz
    tones = max(1, size // _NUM_BANDS)
    num_bands = size // tones
    first = (size - tones * num_bands) // 2
    kept = slice(first, first + tones * num_bands)
    middle_hz = float(grid.offset_hz[kept].mean())
    turn = np.exp(2j * np.pi * (grid.offset_hz[kept, None] - middle_hz) * delay_s)
    means = (ratio[kept] * turn).reshape(num_bands, tones, -1).mean(axis=1)
    bands = OfdmGrid(grid.carrier_hz + middle_hz, tones * grid.subcarrier_spacing_hz, num_bands)
    window = DirectPathWindow(
        tx, rx, means.astype(np.complex128), bands, delay_s, noise_var / (tones * friis_power)
    )
    return _centred(window)


def _centred(window: DirectPathWindow) -> DirectPathWindow | None:
    """The window about the path's delay to a fraction of a cell, each element on its own."""
    _, lay = align(
        window.ratio, np.ones_like(window.ratio), window.bands, [[m] for m in range(_size(window))]
    )
    share = float(np.mean(np.abs(lay.gain) ** 2) / np.mean(np.abs(window.ratio) ** 2))
    if share < _MIN_SHARE:
        return None
    late_s = float(np.median(lay.delay_s))
    turn = np.exp(2j * np.pi * window.bands.offset_hz[:, None] * late_s)
    # Means over sub-bands pass less of an element the later it is.
    passed = np.sinc(window.bands.subcarrier_spacing_hz * lay.delay_s)
    return replace(window, ratio=window.ratio * turn / passed, delay_s=window.delay_s + late_s)


def _size(window: DirectPathWindow) -> int:
    return int(window.ratio.shape[1])


@dataclass(frozen=True)
class DirectPath:
    """A direct path as found, against where the survey puts it.

    Attributes
    ----------
    delay_s, delay_var_s2
        Found minus surveyed delay.
    sine, sine_var
        Found minus surveyed sine of arrival; zero and infinite for one element.
    element_gain
        Of each element over Friis' amplitude and a plane wave of the found direction, ``(M,)``.
    element_var
        Variance of each entry of `element_gain`.
    pull_s, pull_sine
        How far scatterers that double the amplitude pull at the delay, and at the sine: the delay
        later, as they come later, and as much earlier where they take as much away; the sine to
        either side.
    scattered
        What scatterers too near to be told from the path add to its amplitude, relative: the
        standard deviation that those further off suggest.
    """

    delay_s: float
    delay_var_s2: float
    sine: float
    sine_var: float
    element_gain: ComplexArray
    element_var: float
    pull_s: float = 0.0
    pull_sine: float = 0.0
    scattered: float = 0.0

    @property
    def amplitude(self) -> float:
        """Over Friis' amplitude, root mean square over elements."""
        return float(np.sqrt(np.mean(np.abs(self.element_gain) ** 2)))

    def expected_at(self, amplitude: float, std: float = 0.0) -> "DirectPath":
        """The same, without the pull of what an amplitude other than expected tells of.

        Parameters
        ----------
        amplitude
            Expected, over Friis' amplitude.
        std
            Of what is expected, relative.
        """
        ratio = self.amplitude / amplitude
        # Over what is left of the path: where they take most of it away, they are what is found.
        excess = (ratio - 1.0) / ratio
        excess_square = excess**2 + (std / ratio) ** 2
        return replace(
            self,
            delay_s=self.delay_s - excess * self.pull_s,
            delay_var_s2=self.delay_var_s2 + excess_square * self.pull_s**2,
            sine_var=self.sine_var + excess_square * self.pull_sine**2,
        )


def find_direct_path(window: DirectPathWindow, *, free_elements: bool = False) -> DirectPath:
    """Delay and direction of the direct path in a window.

    Parameters
    ----------
    free_elements
        Whether each element has a gain of its own, as in an array that is not calibrated: then
        the direction is not found.
    """
    rx, bands = window.rx, window.bands
    size = _size(window)
    separation_m = float(distance_m(window.tx.pose.position_m, rx.pose.position_m))
    cells_per_m = bands.bandwidth_hz / SPEED_OF_LIGHT_M_PER_S
    fit = PathAmongClutter(
        window.ratio, bands.offset_hz / bands.bandwidth_hz,
        ClutterStatistics(separation_m * cells_per_m, _NEAREST_M * cells_per_m),
        window.noise_var, free_elements=free_elements,
        # Free elements take up what a scatterer near the path does to them.
        max_scatterers=1 if free_elements else size // ELEMENTS_PER_SCATTERER,
    )  # fmt: skip
    found = fit.found()
    delay_var = _DELAY_MODEL_VAR * found.delay_var * (_ONE_ELEMENT_VAR if size == 1 else 1.0)
    besides = _amplitude_besides(window, found.delay)
    least_beams = min(_LEAST_BEAMS, _BEAMS_BY_OTHERS * besides)
    sine_var = _SINE_MODEL_VAR * size * found.beam_var + least_beams**2
    beams_per_sine = size * rx.array.spacing_m / bands.wavelength_m
    return DirectPath(
        delay_s=window.delay_s + found.delay / bands.bandwidth_hz,
        delay_var_s2=delay_var / bands.bandwidth_hz**2,
        sine=found.beam / beams_per_sine,
        sine_var=sine_var / beams_per_sine**2,
        element_gain=found.element_gain,
        element_var=found.element_var,
        pull_s=_PULL_CELLS / bands.bandwidth_hz,
        pull_sine=_PULL_BEAMS / beams_per_sine,
        scattered=min(_MOST_SCATTERED, _SCATTERED_BY_OTHERS * besides),
    )


def _amplitude_besides(window: DirectPathWindow, delay_cells: float) -> float:
    """What a window holds besides one path of this delay and noise, over that path's amplitude."""
    bands = window.bands
    turn = np.exp(2j * np.pi * bands.offset_hz[:, None] / bands.bandwidth_hz * delay_cells)
    turned = window.ratio * turn
    path = turned.mean(axis=0)
    power = float(np.mean(np.abs(turned - path) ** 2)) - window.noise_var
    return float(np.sqrt(max(power, 0.0) / np.mean(np.abs(path) ** 2)))
