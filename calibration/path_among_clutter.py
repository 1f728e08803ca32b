"""Maximum-likelihood fit of one path among scatterers that come later than it."""

from dataclasses import dataclass, field

import numpy as np

from calibration.clutter import ClutterStatistics, beam_shares, clutter_covariance
from calibration.fitted_path import FittedPath
from drivers.geometry import ComplexArray, FloatArray

# Twice the log-likelihood that one more path must bring: four real parameters of a thousand data
# (Bayesian information criterion).
_LEAST_GAIN = 28.0
_START_CELLS = np.arange(-0.3, 0.31, 0.1)
_FURTHEST_STEP = 0.3  # cells: a scatterer that moves the path further has taken its place
_NEAREST_CELLS = 0.15  # nearer scatterers are part of the covariance only
_NUM_ITERATIONS = 6
_NUM_LEVEL_ROUNDS = 12
# What is not modelled, whatever the noise: a thousandth of the path's amplitude.
_LEAST_VAR = 1e-6
_FIRST_DAMPING, _LEAST_DAMPING = 1e-2, 1e-6


@dataclass
class _State:
    """Paths and levels of the covariance as they are now."""

    cells: FloatArray  # (1 + P, 2): delay and beam, the direct path first
    level: FloatArray  # (3,): of scatterers, of noise that all elements share, of noise
    cost: float = np.inf
    amplitude: ComplexArray = field(default_factory=lambda: np.empty(0, dtype=np.complex128))


class PathAmongClutter:
    """Maximum-likelihood fit of a direct path among scatterers that come later.

    Everything in resolution cells: delays times bandwidth, sines times elements times spacing in
    wavelengths (beams). Strong scatterers are plane waves of their own, added one by one while the
    likelihood asks for them. The others are a Gaussian field whose covariance is known up to its
    level; beside it there is noise, and noise that all elements share: phase noise of the
    oscillators spreads the direct path's power over the tones. Data are expanded in the
    eigenvectors of the scatterers' covariance over the band and in beams over the elements: there
    all of that is diagonal.

    Parameters
    ----------
    bands
        Rotated so that the direct path is about constant, shape ``(B, M)``.
    offset
        Of the sub-bands, over the bandwidth, shape ``(B,)``.
    clutter
        Of the hall.
    noise_var
        Of one entry of `bands`, at least.
    free_elements
        Whether each element has a gain of its own: the direct path then has no direction.
    max_scatterers
        Plane waves beside the direct path.
    """

    def __init__(
        self,
        bands: ComplexArray,
        offset: FloatArray,
        clutter: ClutterStatistics,
        noise_var: float,
        *,
        free_elements: bool = False,
        max_scatterers: int = 8,
    ) -> None:
        num_bands, self._size = bands.shape
        self._offset = offset
        self._element = (np.arange(self._size) - (self._size - 1) / 2.0) / self._size
        self._free = free_elements or self._size == 1
        self._max_scatterers = max_scatterers
        values, vectors = np.linalg.eigh(clutter_covariance(offset, clutter))
        self._modes = vectors.conj().T
        index = np.arange(self._size)
        self._beams = np.exp(-2j * np.pi * np.outer(index, index) / self._size)
        self._beams /= np.sqrt(self._size)
        self._data = self._modes @ bands.astype(np.complex128) @ self._beams
        self._power = float(np.mean(np.abs(bands) ** 2))
        shapes = np.zeros((3, num_bands, self._size))
        shapes[0] = np.maximum(values, 0.0)[:, None] * beam_shares(self._size)
        shapes[1, :, 0] = self._size
        shapes[2] = 1.0
        self._shapes = shapes.reshape(3, -1)
        self._least = np.array([1e-9, 1e-9, max(noise_var, _LEAST_VAR * self._power)])

    def found(self) -> FittedPath:
        """The direct path."""
        state = self._started()
        for _ in range(self._max_scatterers):
            longer = np.vstack((state.cells, self._strongest_scatterer(state)))
            trial = self._refined(_State(longer, state.level))
            moved = abs(trial.cells[0, 0] - state.cells[0, 0])
            if 2.0 * (state.cost - trial.cost) < _LEAST_GAIN or moved > _FURTHEST_STEP:
                break
            state = trial
        return self._described(state)

    def _started(self) -> _State:
        level = np.array([1e-2 * self._power, 1e-4 * self._power, self._least[2]])
        beam = self._strongest_beam()
        best = _State(np.array([[0.0, beam]]), level)
        for start in _START_CELLS:
            trial = _State(np.array([[start, beam]]), level)
            self._weigh(trial)
            if trial.cost < best.cost:
                best = trial
        return self._refined(best)

    def _strongest_beam(self) -> float:
        if self._free:
            return 0.0
        beams = np.arange(-self._size / 2.0, self._size / 2.0, 0.25)
        beams = beams[np.argsort(np.abs(beams), kind="stable")]
        over_array = self._beams.T @ np.exp(-2j * np.pi * np.outer(self._element, beams))
        over_band = self._modes @ np.ones(len(self._offset))
        power = np.abs(over_band.conj() @ self._data @ over_array.conj())
        return float(beams[int(np.argmax(power))])

    def _described(self, state: _State) -> FittedPath:
        jacobian = self._projected_jacobian(state)[0]
        covariance = np.linalg.pinv((jacobian.conj().T @ jacobian).real) / 2.0
        gain, gain_var = self._element_gain(state)
        return FittedPath(
            delay=float(state.cells[0, 0]),
            delay_var=float(covariance[0, 0]),
            beam=0.0 if self._free else float(state.cells[0, 1]),
            beam_var=np.inf if self._free else float(covariance[1, 1]),
            element_gain=gain,
            element_var=gain_var,
            num_scatterers=len(state.cells) - 1,
        )

    def _element_gain(self, state: _State) -> tuple[ComplexArray, float]:
        """Amplitude at each element about the found direction, and its variance."""
        std = self._std(state.level)
        basis = np.concatenate(
            (self._element_waves(state.cells[0, 0]), self._waves(state.cells[1:])[0]), 1
        )
        white = basis / std.reshape(-1, 1)
        inverse = np.linalg.inv(_gram(white))
        amplitude = inverse @ (white.conj().T @ (self._data / std).ravel())
        turn = np.exp(2j * np.pi * self._element * state.cells[0, 1])
        var = float(np.mean(np.diag(inverse).real[: self._size]))
        return amplitude[: self._size] * (1.0 if self._free else turn), var

    def _element_waves(self, delay: float) -> ComplexArray:
        """The direct path at each element alone, shape ``(B M, M)``."""
        over_band = self._modes @ np.exp(-2j * np.pi * self._offset * delay)
        return np.einsum("b,mn->bnm", over_band, self._beams).reshape(-1, self._size)

    def _waves(self, cells: FloatArray) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
        """Plane waves ``(B M, P)``, and their derivatives by delay and by beam."""
        band = np.exp(-2j * np.pi * np.outer(self._offset, cells[:, 0]))
        array = np.exp(-2j * np.pi * np.outer(self._element, cells[:, 1]))
        slope = -2j * np.pi * self._offset[:, None] * band
        turn = -2j * np.pi * self._element[:, None] * array
        over_band, over_slope = self._modes @ band, self._modes @ slope
        over_array, over_turn = self._beams.T @ array, self._beams.T @ turn

        def joined(left: ComplexArray, right: ComplexArray) -> ComplexArray:
            return (left[:, None] * right[None]).reshape(self._data.size, len(cells))

        return (
            joined(over_band, over_array),
            joined(over_slope, over_array),
            joined(over_band, over_turn),
        )

    def _std(self, level: FloatArray) -> FloatArray:
        return np.sqrt(level @ self._shapes).reshape(self._data.shape)

    def _basis(self, state: _State) -> ComplexArray:
        """All waves whose amplitudes are free, shape ``(B M, A)``; the direct path's first."""
        if not self._free:
            return self._waves(state.cells)[0]
        direct = self._element_waves(state.cells[0, 0])
        return np.concatenate((direct, self._waves(state.cells[1:])[0]), axis=1)

    def _weigh(self, state: _State) -> ComplexArray:
        """Solve for amplitudes, kept in `state` with the cost; the residual, shape ``(B, M)``."""
        std = self._std(state.level)
        white = self._basis(state) / std.reshape(-1, 1)
        data = (self._data / std).ravel()
        state.amplitude = np.linalg.solve(_gram(white), white.conj().T @ data)
        left = (data - white @ state.amplitude).reshape(std.shape)
        state.cost = float(np.sum(np.abs(left) ** 2) + 2.0 * np.log(std).sum())
        return left

    def _projected_jacobian(self, state: _State) -> tuple[ComplexArray, ComplexArray]:
        """Derivatives of the whitened model, amplitudes projected out; and the residual, flat."""
        left = self._weigh(state).ravel()
        std = self._std(state.level).reshape(-1, 1)
        _, by_delay, by_beam = self._waves(state.cells)
        if self._free:
            direct = self._size
            at_elements = self._element_waves_slope(state.cells[0, 0]) @ state.amplitude[:direct]
            columns = [at_elements[:, None]]
        else:
            direct = 1
            columns = [by_delay[:, :1] * state.amplitude[0], by_beam[:, :1] * state.amplitude[0]]
        others = state.amplitude[direct:]
        columns += [by_delay[:, 1:] * others]
        if self._size > 1:
            columns += [by_beam[:, 1:] * others]
        jacobian = np.concatenate(columns, axis=1) / std
        basis = self._basis(state) / std
        jacobian = jacobian - basis @ np.linalg.solve(_gram(basis), basis.conj().T @ jacobian)
        return jacobian, left

    def _element_waves_slope(self, delay: float) -> ComplexArray:
        slope = -2j * np.pi * self._offset * np.exp(-2j * np.pi * self._offset * delay)
        return np.einsum("b,mn->bnm", self._modes @ slope, self._beams).reshape(-1, self._size)

    def _moved(self, cells: FloatArray, step: FloatArray) -> FloatArray:
        """Paths after a step of `_projected_jacobian`'s columns; scatterers stay later."""
        moved = cells.copy()
        own = 1 if self._free else 2
        moved[0, :own] += step[:own]
        count = len(cells) - 1
        moved[1:, 0] += step[own : own + count]
        if self._size > 1:
            moved[1:, 1] += step[own + count :]
        moved[1:, 0] = np.maximum(moved[1:, 0], moved[0, 0] + _NEAREST_CELLS)
        return moved

    def _refined(self, state: _State) -> _State:
        """Levenberg and Marquardt's method, the levels fitted between its steps."""
        damping = _FIRST_DAMPING
        self._fit_levels(state)
        for _ in range(_NUM_ITERATIONS):
            jacobian, left = self._projected_jacobian(state)
            curvature = (jacobian.conj().T @ jacobian).real
            damped = curvature + damping * np.diag(np.diag(curvature) + 1e-12)
            step = np.linalg.solve(damped, (jacobian.conj().T @ left).real)
            trial = _State(self._moved(state.cells, np.clip(step, -0.3, 0.3)), state.level)
            self._weigh(trial)
            if trial.cost < state.cost:
                damping = max(damping / 10.0, _LEAST_DAMPING)
                done = state.cost - trial.cost < 0.1
                state = trial
                self._fit_levels(state)
                if done:
                    break
            else:
                damping *= 10.0
        return state

    def _fit_levels(self, state: _State) -> None:
        """Levels that explain the residual best, by multiplicative steps (Fevotte et al. 2009)."""
        left = self._weigh(state) * self._std(state.level)
        power = (left.real**2 + left.imag**2).ravel()
        level = state.level
        for _ in range(_NUM_LEVEL_ROUNDS):
            weight = 1.0 / (level @ self._shapes)
            rise, fall = self._shapes @ (power * weight**2), self._shapes @ weight
            level = np.maximum(level * rise / fall, self._least)
        state.level = level
        self._weigh(state)

    def _strongest_scatterer(self, state: _State) -> FloatArray:
        """Delay and beam, in cells, where the residual is most like one more path."""
        std = self._std(state.level)
        left = self._weigh(state) / std
        delays = state.cells[0, 0] + np.arange(_NEAREST_CELLS, len(self._offset) / 3.0, 0.25)
        beams = np.arange(-self._size / 2.0, self._size / 2.0, 0.5) if self._size > 1 else [0.0]
        over_band = self._modes @ np.exp(-2j * np.pi * np.outer(self._offset, delays))
        over_array = self._beams.T @ np.exp(-2j * np.pi * np.outer(self._element, beams))
        match = np.abs(over_band.conj().T @ left @ over_array.conj()) ** 2
        match /= np.abs(over_band.T) ** 2 @ (1.0 / std**2) @ np.abs(over_array) ** 2
        best = np.unravel_index(int(np.argmax(match)), match.shape)
        return np.array([delays[best[0]], beams[best[1]]])


def _gram(basis: ComplexArray) -> ComplexArray:
    """Inner products of waves, kept from being singular where two are nearly one."""
    gram = basis.conj().T @ basis
    return np.asarray(gram + 1e-9 * np.trace(gram).real / len(gram) * np.eye(len(gram)))
