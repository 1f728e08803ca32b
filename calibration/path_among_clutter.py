"""Maximum-likelihood fit of one path among scatterers that come later than it."""

import numpy as np
from scipy.optimize import least_squares, minimize_scalar

from drivers.geometry import ComplexArray, FloatArray

# One strong scatterer beside the path is fitted for each so many elements that tell it apart.
_ELEMENTS_PER_SCATTERER = 8
_LEAST_GAIN = 12.0  # log-likelihood that a fitted scatterer must bring
_START_CELLS = np.arange(-0.2, 0.21, 0.05)
_FURTHEST_START = 0.3  # cells: a scatterer that moves the path further has taken its place
_NUM_ROUNDS = 2


class PathAmongClutter:
    """Maximum-likelihood fit of a direct path among scatterers that come later.

    Everything in resolution cells: delays times bandwidth, sines times elements times spacing in
    wavelengths (beams). Data are rotated by the path's delay and direction, so that it is a
    constant, and expanded in the eigenvectors of the scatterers' covariance over the band and in
    beams over the elements: there the covariance is diagonal.

    Parameters
    ----------
    bands
        Shape ``(B, M)``.
    offset
        Of the sub-bands, over the bandwidth, shape ``(B,)``.
    separation, nearest
        Length of the direct path and of the shortest one drawn apart from an antenna, in cells.
    noise_var
        Of one entry of `bands`.
    """

    def __init__(
        self,
        bands: ComplexArray,
        offset: FloatArray,
        separation: float,
        noise_var: float,
        nearest: float,
    ) -> None:
        self._bands = bands.astype(np.complex128)
        self._size = bands.shape[1]
        self._band_phase = 2j * np.pi * offset
        element = np.arange(self._size) - (self._size - 1) / 2.0
        self._element_phase = 2j * np.pi * element / self._size
        values, vectors = np.linalg.eigh(_clutter_covariance(offset, separation, nearest))
        self._modes = vectors.conj().T
        index = np.arange(self._size)
        self._beams = np.exp(-2j * np.pi * np.outer(index, index) / self._size)
        self._beams /= np.sqrt(self._size)
        shape = np.maximum(values, 0.0)[:, None] * _beam_shares(self._size)
        self._clutter = shape
        # Below a millionth of the path's power nothing is modelled.
        self._noise = max(noise_var, 1e-6 * float(np.mean(np.abs(bands) ** 2)))
        self._level = 1e-2
        self._path = np.zeros(self._per_path)

    @property
    def _per_path(self) -> int:
        return 2 if self._size > 1 else 1

    def found(self) -> tuple[FloatArray, FloatArray]:
        """Delay and beam of the direct path, and their covariance, in cells; ``(2,)``, ``(2, 2)``.

        For one element the beam is zero.
        """
        best = np.inf
        for start in _START_CELLS:
            path = np.full(self._per_path, 1e-3)
            path[0] = start
            level = self._fitted_level(path, self._level)
            if (cost := self._cost(path, level)) < best:
                best, self._path, self._level = cost, path, level
        path, level, jacobian = self._refined(self._path, self._level)
        cost = self._cost(path, level)
        for _ in range(self._size // _ELEMENTS_PER_SCATTERER):
            longer = np.append(path, self._strongest_scatterer(path, level))
            trial = self._refined(longer, level)
            trial_cost = self._cost(*trial[:2])
            if trial_cost > cost - _LEAST_GAIN or abs(trial[0][0] - path[0]) > _FURTHEST_START:
                break
            (path, level, jacobian), cost = trial, trial_cost
        self._path, self._level = path, level
        covariance = np.linalg.pinv(jacobian.T @ jacobian) / 2.0  # half a variance in each part
        cells = np.zeros(2)
        cells[: self._per_path] = path[: self._per_path]
        stated = np.zeros((2, 2))
        stated[: self._per_path, : self._per_path] = covariance[: self._per_path, : self._per_path]
        return cells, stated

    def element_gain(self) -> tuple[ComplexArray, float]:
        """Path amplitude at each element about the found direction, and its variance."""
        turned = self._turned(self._path)
        for wave, amplitude in zip(
            np.moveaxis(self._waves(self._path), 2, 0)[1:],
            self._solved(self._path, self._level)[0][1:],
            strict=True,
        ):
            turned = turned - amplitude * wave
        by_element = turned @ self._beams.conj().T
        weight = 1.0 / (self._level * self._clutter.mean(axis=1) + self._noise)
        ones = self._modes @ np.ones(len(weight))
        information = float(np.sum(np.abs(ones) ** 2 * weight))
        gain = (ones.conj() * weight) @ by_element / information
        return np.asarray(gain), 1.0 / information

    def _turned(self, path: FloatArray) -> ComplexArray:
        turn = np.exp(self._band_phase * path[0])[:, None]
        if self._size > 1:
            turn = turn * np.exp(self._element_phase * path[1])
        return np.asarray(self._modes @ (self._bands * turn) @ self._beams)

    def _waves(self, path: FloatArray) -> ComplexArray:
        """Unit waves of direct path and scatterers, shape ``(B, M, P)``."""
        others = path.reshape(-1, self._per_path).copy()
        others[0] = 0.0
        beam = others[:, 1] if self._size > 1 else np.zeros(len(others))
        over_band = self._modes @ np.exp(-np.outer(self._band_phase, others[:, 0]))
        over_array = self._beams.T @ np.exp(-np.outer(self._element_phase, beam))
        return np.asarray(over_band[:, None] * over_array[None])

    def _std(self, level: float) -> FloatArray:
        return np.sqrt(level * self._clutter + self._noise)

    def _solved(self, path: FloatArray, level: float) -> tuple[ComplexArray, ComplexArray]:
        """Amplitudes ``(P,)`` and whitened residual ``(B, M)``."""
        std = self._std(level)
        waves = (self._waves(path) / std[..., None]).reshape(std.size, -1)
        data = (self._turned(path) / std).ravel()
        amplitude = np.linalg.lstsq(waves, data, rcond=1e-8)[0]
        return amplitude, (data - waves @ amplitude).reshape(std.shape)

    def _refined(self, path: FloatArray, level: float) -> tuple[FloatArray, float, FloatArray]:
        def residual(trial: FloatArray) -> FloatArray:
            left = self._solved(trial - 1.0, level)[1]
            return np.concatenate((left.real.ravel(), left.imag.ravel()))

        for _ in range(_NUM_ROUNDS):
            solution = least_squares(
                # Steps of differences are relative, so zero lies at one.
                residual,
                path + 1.0,
                x_scale=0.05,
                diff_step=1e-4,
                max_nfev=15,
                xtol=1e-7,
            )
            path = solution.x - 1.0
            level = self._fitted_level(path, level)
        return path, level, solution.jac

    def _fitted_level(self, path: FloatArray, level: float) -> float:
        """Power of the scatterers that explains the residual best."""
        for _ in range(2):
            left = np.abs(self._solved(path, level)[1] * self._std(level)) ** 2

            def cost(log_level: float, left: FloatArray = left) -> float:
                var = 10.0**log_level * self._clutter + self._noise
                return float(np.sum(left / var + np.log(var)))

            level = 10.0 ** float(minimize_scalar(cost, bounds=(-8, 1), method="bounded").x)
        return level

    def _cost(self, path: FloatArray, level: float) -> float:
        left = self._solved(path, level)[1]
        return float(np.sum(np.abs(left) ** 2) + 2.0 * np.log(self._std(level)).sum())

    def _strongest_scatterer(self, path: FloatArray, level: float) -> FloatArray:
        """Delay and beam, in cells, where the residual is most like one more path."""
        std = self._std(level)
        left = self._solved(path, level)[1] / std
        delays = np.arange(0.1, 6.0, 0.2)
        beams = np.arange(-self._size / 2.0, self._size / 2.0, 0.25)
        over_band = self._modes @ np.exp(-np.outer(self._band_phase, delays))
        over_array = self._beams.T @ np.exp(-np.outer(self._element_phase, beams))
        match = np.abs(over_band.conj().T @ left @ over_array.conj()) ** 2
        match /= np.abs(over_band.T) ** 2 @ (1.0 / std**2) @ np.abs(over_array) ** 2
        best = np.unravel_index(int(np.argmax(match)), match.shape)
        return np.array([delays[best[0]], beams[best[1]]])[: self._per_path]


def _clutter_covariance(offset: FloatArray, separation: float, nearest: float) -> ComplexArray:
    """Covariance over the band of scatterers spread evenly over the plane, shape ``(B, B)``.

    In elliptic coordinates about the two nodes, the power of scatterers of excess delay ``x`` on
    a path of length ``D`` falls as ``1 / (x (2 D + x) (D + x))``, all in cells. Sub-band means
    pass long delays weakly.
    """
    num_bands = len(offset)
    excess = np.concatenate(
        (np.geomspace(nearest / 30.0, 1.0, 150)[:-1], np.arange(1.0, 3.0 * num_bands, 0.15))
    )
    power = np.gradient(excess) / (
        (excess + nearest) * (2.0 * separation + excess) * (separation + excess)
    )
    power = power * np.sinc(excess / num_bands) ** 2
    waves = np.exp(-2j * np.pi * np.outer(offset, excess))
    return np.asarray((waves * (power / power.sum())) @ waves.conj().T)


def _beam_shares(size: int) -> FloatArray:
    """Power of the scatterers in each beam off the direct path's, mean one, shape ``(M,)``.

    Half of it comes from near the receiver, from anywhere; half from near the transmitter, and so
    from about its direction.
    """
    index = np.arange(size)
    off = np.minimum(index, size - index)
    near = 1.0 / (1.0 + 4.0 * off**2)
    return np.asarray(0.5 + 0.5 * size * near / near.sum())
