"""From a capture to what is found in it, equation after equation, with the literal functions."""

from dataclasses import dataclass

import numpy as np

from tests.oracles import literal_detection, literal_map


@dataclass(frozen=True)
class Chain:
    """What the chain needs of a waveform, an array and a detector.

    Attributes
    ----------
    num_bins
        Delay bins that an echo can have.
    windows
        Guard, training cells, and half width in angle.
    """

    frequency_hz: np.ndarray
    pilots: np.ndarray
    num_elements: int
    spacing_m: float
    angle_grid_rad: np.ndarray
    fft_length: int
    num_bins: int
    threshold: np.ndarray
    windows: tuple[int, int, int]
    max_hypotheses: int

    @property
    def spacing_hz(self) -> float:
        return float(self.frequency_hz[1] - self.frequency_hz[0])

    def power_map(self, residual: np.ndarray) -> np.ndarray:
        """Map of all delays, scaled as the package's: noise has the mean of one FFT bin."""
        power = literal_map.power_map(
            residual, self.frequency_hz, self.spacing_m, self.angle_grid_rad, self.fft_length
        )
        return power * self.fft_length**2

    def detect(
        self, power: np.ndarray, noise_power: float, delay_limits_s: tuple[float, float],
        max_candidates: int,
    ) -> list[tuple[int, int]]:  # fmt: skip
        """Cells of candidates on a map of the physical delays."""
        delay_grid_s = np.arange(self.num_bins) / (self.fft_length * self.spacing_hz)
        wavelengths = self.spacing_m * np.mean(self.frequency_hz) / 299_792_458.0
        return literal_detection.detect(
            power, noise_power, self.threshold, self.windows, self.angle_grid_rad, delay_grid_s,
            delay_limits_s, len(self.frequency_hz) * self.spacing_hz,
            (self.num_elements, wavelengths), max_candidates,
        )  # fmt: skip

    def refine(self, residual: np.ndarray, cell: tuple[int, int]) -> tuple[float, float, float]:
        """Delay, sine and matched power of the echo in a cell."""
        return literal_detection.refine(
            residual, self.frequency_hz, self.spacing_m,
            cell[1] / (self.fft_length * self.spacing_hz), self.angle_grid_rad[cell[0]],
        )  # fmt: skip

    def residual(
        self, rx_pilots: np.ndarray, background: np.ndarray, *, align: bool = False
    ) -> np.ndarray:
        """Eqs. (2) and (9); an alignment first, if asked for."""
        channel = rx_pilots / self.pilots[:, None]
        if align:
            channel = literal_map.aligned(channel, background, self.spacing_hz)
        return channel - background

    def report(
        self, rx_pilots: np.ndarray, background: np.ndarray,
        delay_limits_s: tuple[float, float], *, align: bool = False,
    ) -> list[tuple[float, float, float]]:  # fmt: skip
        """Delay, sine and SNR of what is found, strongest first.

        The noise floor is the median over ln 2 of the delays in the middle of the empty stretch.
        Alignment is not repeated with what was found taken out of it: less work than the package's.
        """
        residual = self.residual(rx_pilots, background, align=align)
        power = self.power_map(residual)
        margin = (self.fft_length - self.num_bins) // 4
        empty = power[:, self.num_bins + margin : self.fft_length - margin]
        noise_power = float(np.median(empty) / np.log(2.0))
        physical = power[:, : self.num_bins]
        cells = self.detect(physical, noise_power, delay_limits_s, self.max_hypotheses)
        noise_var = noise_power / len(residual)
        refined = [self.refine(residual, cell) for cell in cells]
        return [(delay_s, sine, matched / noise_var - 1.0) for delay_s, sine, matched in refined]
