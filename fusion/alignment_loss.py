"""What alignment to the direct path takes of the echoes of each link, for planning."""

import numpy as np
from numpy.typing import NDArray

from drivers.compiled import compiled
from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    ComplexArray,
    FloatArray,
    angle_from_boresight_rad,
    distance_m,
)
from drivers.waveform import OfdmGrid
from processing.accuracy import LEAST_SHARE, shares_left

# Below these, in resolution cells and in sines, quotients are those of small numbers.
_SMALL_CELLS, _SMALL_SINE = 0.05, 0.01

_Indices = NDArray[np.intp]


# Distances, and phases of unit modulus whose products are sums of angles: half a turn per
# resolution cell; half the phase step between elements; that of all elements. Of points, shape
# ``(P, N)`` as point, receiver; or of direct paths, ``(N, N)`` as tx, rx. No named tuple: an index
# of compiled functions cannot be read any more once a class that it names has moved.
Phasors = tuple[FloatArray, ComplexArray, ComplexArray, ComplexArray]


class AlignmentLoss:
    """Share of a link's echoes that alignment to its direct path leaves for detection.

    `processing.accuracy.shares_left` of what is reported, and all where the nodes do not see each
    other: there is no direct path to align to.

    Parameters
    ----------
    position_m, boresight_rad
        Of the nodes, shapes ``(N, 2)`` and ``(N,)``.
    num_elements, spacing_wavelengths
        Of their arrays, shape ``(N,)``.
    in_view
        Whether both ends of each link have each other in view, shape ``(N, N)`` as tx, rx.
    """

    def __init__(
        self,
        position_m: FloatArray,
        boresight_rad: FloatArray,
        num_elements: _Indices,
        spacing_wavelengths: FloatArray,
        in_view: NDArray[np.bool_],
        grid: OfdmGrid,
    ) -> None:
        self._position_m, self._boresight_rad = position_m, boresight_rad
        self._num_elements, self._spacing_wavelengths = num_elements, spacing_wavelengths
        self._in_view = in_view
        self._cells_per_m = grid.bandwidth_hz / SPEED_OF_LIGHT_M_PER_S
        self._direct = self.phasors(position_m)

    def shares_of(self, points_m: FloatArray, i: int, j: int) -> tuple[FloatArray, FloatArray]:
        """`processing.accuracy.shares_left` on the link from node `i` to `j`, of the points."""
        if not self._in_view[i, j]:
            return np.ones(points_m.shape[:-1]), np.ones(points_m.shape[:-1])
        position = self._position_m
        range_m = distance_m(position[i], points_m) + distance_m(position[j], points_m)
        excess_m = range_m - distance_m(position[i], position[j])
        sine, direct = (
            np.sin(angle_from_boresight_rad(position[j], self._boresight_rad[j], to))
            for to in (points_m, position[i])
        )
        size = int(self._num_elements[j])
        beams = size * self._spacing_wavelengths[j]
        excess = excess_m * self._cells_per_m
        return shares_left(excess, (sine - direct) * beams, size)

    def scale(self, snr: FloatArray, points: Phasors, tx: _Indices, rx: _Indices) -> None:
        """Multiply SNR of links from nodes `tx` to `rx`, ``(P, I, J)``, by the share; in place."""
        _scale(
            snr, points, self._direct, self._in_view, self._num_elements,
            self._cells_per_m, LEAST_SHARE, tx, rx,
        )  # fmt: skip

    def phasors(self, points_m: FloatArray) -> Phasors:
        """Of points ``(P, 2)``, for `scale`."""
        points = points_m[:, None]
        range_m = distance_m(self._position_m, points)
        angle = angle_from_boresight_rad(self._position_m, self._boresight_rad, points)
        half_step = np.pi * self._spacing_wavelengths * np.sin(angle)
        return (
            range_m,
            np.exp(1j * np.pi * self._cells_per_m * range_m),
            np.exp(1j * half_step),
            np.exp(1j * half_step * self._num_elements),
        )


@compiled
def _scale(
    snr: FloatArray,
    points: Phasors,
    direct: Phasors,
    in_view: NDArray[np.bool_],
    num_elements: _Indices,
    cells_per_m: float,
    least_share: float,
    tx: _Indices,
    rx: _Indices,
) -> None:
    range_m, delay, element, whole = points
    direct_m, direct_delay, direct_element, direct_array = direct
    for p in range(snr.shape[0]):
        for row in range(snr.shape[1]):
            i = tx[row]
            for column in range(snr.shape[2]):
                j = rx[column]
                if not in_view[i, j] or snr[p, row, column] == 0.0:
                    continue
                excess_m = range_m[p, i] + range_m[p, j] - direct_m[i, j]
                turn = delay[p, i] * delay[p, j] * direct_delay[i, j].conjugate()
                alike, slope = _delay_parts(abs(excess_m * cells_per_m), turn)
                half_step = (element[p, j] * direct_element[i, j].conjugate()).imag
                half_steps = (whole[p, j] * direct_array[i, j].conjugate()).imag
                array = _array_part(half_step, half_steps, num_elements[j])
                least = 1.0 - (alike + slope) * array
                snr[p, row, column] *= least + slope / 2.0 * array if least >= least_share else 0.0


@compiled
def _delay_parts(cells: float, turn: complex) -> tuple[float, float]:
    """Shares that a flat band loses of an echo so many cells late: in any phase, and in one of two.

    Parameters
    ----------
    turn
        Of half a turn for each cell.
    """
    cosine, sine = turn.real, turn.imag
    if cells < _SMALL_CELLS:
        cells = max(cells, 1e-4)
        cosine, sine = np.cos(np.pi * cells), np.sin(np.pi * cells)
    alike = sine / (np.pi * cells)
    slope = (cosine - alike) / cells * (np.sqrt(3.0) / np.pi)
    return alike * alike, slope * slope


@compiled
def _array_part(half_step: float, half_steps: float, num_elements: int) -> float:
    """Square of the Dirichlet kernel from the sines of half a step and of all half steps."""
    if abs(half_step) < 1e-15:
        return 1.0
    if abs(half_step) < _SMALL_SINE:
        half_steps = np.sin(num_elements * np.arcsin(half_step))
    quotient = half_steps / (num_elements * half_step)
    return quotient * quotient
