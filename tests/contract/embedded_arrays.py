"""Errors drawn for an array, embedded in direct paths of known geometry, and estimated back.

The channel is built here from plane waves alone: a wave from bearing ``b`` reaches element ``m``,
at ``x_m (1 + e)`` along the array, later by ``x_m (1 + e) sin(b - boresight) / c``, and the
element answers with a complex gain at the carrier and a delay of the envelope about it.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from calibration.array_response import ArrayResponse
from calibration.node_calibration import NodeCalibration, NodeCalibrator
from drivers.array import ElementPattern, UniformLinearArray
from drivers.capture import Capture
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, Pose
from drivers.link_budget import channel_noise_var, direct_path_gain
from drivers.node import Node, SurveyUncertainty
from drivers.waveform import OfdmGrid, pilot_symbols
from tests.contract.calibrations import Errors, Outcome, whitened

GRIDS = {
    20: OfdmGrid(5.8e9, 60e3, 334),
    40: OfdmGrid(5.8e9, 30e3, 1332),
    100: OfdmGrid(10e9, 15e3, 6666),
}
_PHASE_RAD, _GAIN_DB, _DELAY_S = math.pi, 3.0, 2e-9  # largest, either way
_LINK_TIME_S = 100e-9
_QUIET_DB = -200.0  # noise figure: below the rounding of complex64
_WIDEST_RAD = math.radians(60.0)


@dataclass(frozen=True)
class ElementErrors:
    """What each element does: phase and delay, shape ``(M,)``, and the logarithm of its gain."""

    phase_rad: np.ndarray
    log_gain: np.ndarray
    delay_s: np.ndarray

    @property
    def gain(self) -> np.ndarray:
        return np.exp(self.log_gain + 1j * self.phase_rad)


class Bench:
    """One receiver, and transmitters in known places before it.

    Parameters
    ----------
    snr_db
        Of a tone at an element without error, the mean over links in dB.
    snr_spread_db
        Largest difference of a link from that, either way.
    boresight_std_rad, spacing_std
        Of the boresight and of the spacing's relative error; both are drawn with these.
    """

    def __init__(
        self,
        seed: int,
        grid: OfdmGrid,
        num_elements: int,
        snr_db: float,
        *,
        num_links: int = 6,
        snr_spread_db: float = 0.0,
        boresight_std_rad: float = 0.0,
        spacing_std: float = 0.0,
        noise: bool = True,
    ) -> None:
        self.grid, self._noise, self._spacing_std = grid, noise, spacing_std
        self._rng = rng = np.random.default_rng([seed, 31])
        array = UniformLinearArray(num_elements, grid.wavelength_m / 2.0)
        survey = SurveyUncertainty(0.0, boresight_std_rad)
        self.rx = Node("rx", "rx", Pose((0.0, 0.0), 0.0), array, survey=survey)
        spread = np.linspace(-1.0, 1.0, num_links) + rng.uniform(-0.1, 0.1, num_links)
        self._bearing_rad = np.clip(spread, -1.0, 1.0) * _WIDEST_RAD
        self._range_m = rng.uniform(10.0, 60.0, num_links)
        off_db = snr_spread_db * rng.permutation(np.linspace(-1.0, 1.0, num_links))
        self._snr = 10.0 ** ((snr_db + off_db) / 10.0)
        self.transmitters = [self._transmitter(n) for n in range(num_links)]
        if not noise:
            self.rx = replace(self.rx, noise_figure_db=_QUIET_DB)
        self.boresight_rad = boresight_std_rad * float(rng.standard_normal())
        self.spacing = spacing_std * float(rng.standard_normal())
        self.elements = ElementErrors(
            rng.uniform(-_PHASE_RAD, _PHASE_RAD, num_elements),
            rng.uniform(-_GAIN_DB, _GAIN_DB, num_elements) * np.log(10.0) / 20.0,
            rng.uniform(-_DELAY_S, _DELAY_S, num_elements),
        )

    def _transmitter(self, n: int) -> Node:
        """As loud as the signal-to-noise ratio asks for."""
        bearing_rad, range_m = self._bearing_rad[n], self._range_m[n]
        place = float(range_m * np.cos(bearing_rad)), float(range_m * np.sin(bearing_rad))
        array = UniformLinearArray(1, self.rx.array.spacing_m)
        pattern = ElementPattern(kind="omnidirectional")
        tx = Node(f"tx{n}", f"tx{n}", Pose(place, 0.0), array, pattern, tx_power_dbm=0.0)
        gain = direct_path_gain(tx, self.rx, self.grid.wavelength_m)
        power = self._snr[n] * channel_noise_var(tx, self.rx, self.grid) / gain**2
        return replace(tx, tx_power_dbm=10.0 * math.log10(power))

    def wave(self, n: int) -> np.ndarray:
        """Channel of one link as elements without error of their own see it, ``(K, M)``.

        Oscillator phase and time of the link are its own.
        """
        element_m = self.rx.array.element_offset_m * (1.0 + self.spacing)
        sine = math.sin(self._bearing_rad[n] - self.boresight_rad)
        path_m = self._range_m[n] + element_m * sine
        delay_s = path_m / SPEED_OF_LIGHT_M_PER_S + self._rng.uniform(-_LINK_TIME_S, _LINK_TIME_S)
        amplitude = self.grid.wavelength_m / (4.0 * np.pi * self._range_m[n])
        phasor = amplitude * np.exp(2j * np.pi * self._rng.uniform())
        return phasor * np.exp(-2j * np.pi * self.grid.frequency_hz[:, None] * delay_s)

    def measured(self, wave: np.ndarray, n: int) -> np.ndarray:
        """What the array makes of a wave, with noise, shape ``(K, M)``."""
        turn = np.exp(-2j * np.pi * self.grid.offset_hz[:, None] * self.elements.delay_s)
        clean = wave * self.elements.gain * turn
        if not self._noise:
            return clean
        parts = self._rng.standard_normal((*clean.shape, 2)) * self.noise_std(n)
        return clean + parts.view(np.complex128)[..., 0]

    def noise_std(self, n: int) -> float:
        """Of the real or imaginary part of an entry of a channel."""
        return math.sqrt(channel_noise_var(self.transmitters[n], self.rx, self.grid) / 2.0)

    def calibrated(self) -> NodeCalibration:
        """What one sounding of every link tells."""
        nodes = [self.rx, *self.transmitters]
        calibrator = NodeCalibrator(nodes, self.grid, self._spacing_std)
        pilots = pilot_symbols(self.grid)[:, None]
        for n, tx in enumerate(self.transmitters):
            received = (self.measured(self.wave(n), n) * pilots).astype(np.complex64)
            capture = Capture(
                tx.node_id, "rx", received, 1, self.grid.waveform_hash, delay_is_absolute=False
            )
            assert calibrator.add(capture)
        return calibrator.solved()

    def unseen(self, response: ArrayResponse) -> tuple[complex, float]:
        """Gain and delay by which all elements of an estimate differ from the truth alike.

        Nobody can tell them from the phase, level and time of the links.
        """
        ratio = response.gain / self.elements.gain
        turn = ratio.sum() / abs(ratio.sum())
        gain = turn * np.exp(np.mean(np.log(ratio / turn)))
        return complex(gain), float(np.mean(response.delay_s - self.elements.delay_s))

    def errors(self, found: NodeCalibration) -> Errors:
        """Estimate minus truth of elements, in radians, nepers and seconds, and of the pose."""
        response, node = found.responses["rx"], found.node("rx")
        gain, delay_s = self.unseen(response)
        left = np.log(response.gain / self.elements.gain / gain)
        spacing = node.array.spacing_m / self.rx.array.spacing_m - 1.0
        return {
            "phase": left.imag,
            "gain": left.real,
            "delay": response.delay_s - self.elements.delay_s - delay_s,
            "boresight": np.array([node.pose.boresight_rad - self.boresight_rad]),
            "spacing": np.array([spacing - self.spacing]),
        }

    def bound(self) -> Errors:
        """Cramér–Rao bound of `errors`: a covariance of each kind.

        With every tone of one link and element as one observation of log amplitude, phase and
        slope of phase (centred tones: the three do not mix), the information of each is
        ``2 K snr g_m^2``, of the slope in units of ``1 / (2 pi W_c)``. Unknown besides the elements
        are level, phase and time of each link, boresight and spacing; the last two have the prior
        they are drawn from. If both are known, with ``s_m = 1 / (2 K g_m^2 sum(snr))`` and less the
        mean over elements, variances of phase and log gain are
        ``(1 - 2 / M) s_m + mean(s) / M``, and of delays that over ``(2 pi W_c)^2``.
        """
        size, links = self.rx.array.num_elements, len(self.transmitters)
        slope = 2.0 * np.pi * self.grid.rms_bandwidth_hz
        carrier = 2.0 * np.pi * self.grid.carrier_hz
        angle = self._bearing_rad - self.boresight_rad
        later_s = self.rx.array.element_offset_m / SPEED_OF_LIGHT_M_PER_S
        by_pose = np.stack(
            (-np.outer(np.cos(angle), later_s).ravel(), np.outer(np.sin(angle), later_s).ravel())
        )
        own = np.hstack((np.tile(np.eye(size), (links, 1)), np.repeat(np.eye(links), size, axis=0)))
        none = np.zeros_like(own)
        pose_free = np.zeros((links * size, 2))
        derivative = np.vstack((
            np.hstack((own, none, none, pose_free)),  # phase
            np.hstack((none, own, none, pose_free)),  # log amplitude
            np.hstack((none, none, own, pose_free)),  # slope
        ))  # fmt: skip
        derivative[: links * size, -2:] = -carrier * by_pose.T
        derivative[2 * links * size :, -2:] = slope * by_pose.T
        power = np.outer(self._snr, np.abs(self.elements.gain) ** 2).ravel()
        weight = np.tile(2.0 * self.grid.num_subcarriers * power, 3)
        std = np.array([self.rx.survey.boresight_std_rad, self._spacing_std])
        scale = np.append(np.ones(derivative.shape[1] - 2), std)  # in units of the prior's
        information = (derivative * scale).T @ (derivative * scale * weight[:, None])
        information[-2:, -2:] += np.eye(2)
        covariance = np.linalg.pinv(information, rcond=1e-12, hermitian=True)
        covariance *= scale[:, None] * scale
        apart = np.eye(size) - 1.0 / size

        def block(first: int, unit: float) -> np.ndarray:
            part = covariance[first : first + size, first : first + size]
            return apart @ part @ apart * unit**2

        return {
            "phase": block(0, 1.0),
            "gain": block(size + links, 1.0),
            "delay": block(2 * (size + links), 1.0 / slope),
            "boresight": covariance[-2:-1, -2:-1],
            "spacing": covariance[-1:, -1:],
        }


class ArrayCalibration:
    """The contract's view of a bench with boresight and spacing unknown as well."""

    def __init__(self, grid: OfdmGrid, num_elements: int) -> None:
        self._grid, self._num_elements = grid, num_elements

    def _bench(self, seed: int, *, noise: bool) -> Bench:
        return Bench(
            seed, self._grid, self._num_elements, 20.0, boresight_std_rad=math.radians(2.0),
            spacing_std=0.01, noise=noise, snr_spread_db=6.0,
        )  # fmt: skip

    def draw(self, seed: int) -> Outcome:
        bench = self._bench(seed, noise=True)
        found = bench.calibrated()
        response = found.responses["rx"]
        wave = bench.wave(0)
        gain, delay_s = bench.unseen(response)
        alike = gain * np.exp(-2j * np.pi * self._grid.offset_hz[:, None] * delay_s)
        return Outcome(
            normalized_error=whitened(bench.errors(found), bench.bound()),
            corrected=bench.measured(wave, 0) / response.channel(self._grid) * alike,
            wanted=wave,
            corrected_std=bench.noise_std(0) / np.abs(bench.elements.gain),
        )

    def without_noise(self, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
        bench = self._bench(seed, noise=False)
        errors = bench.errors(bench.calibrated())
        errors["delay"] = errors["delay"] * self._grid.bandwidth_hz
        left = np.concatenate(list(errors.values()))
        # Radians, nepers and cells. Two degrees from where it is surveyed a wave also turns over
        # the band, which the fit of one direct path takes for a faint scatterer.
        # The fit stops where a residual 60 dB below the path is left: 0.03 dB at most.
        return left, np.zeros_like(left), 3e-3
