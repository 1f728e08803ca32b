"""Statistics of one link: accuracy against its bounds, and false alarms against the set rate.

    python -m tests.paper.link_statistics --draws 1000

prints the full-size tables; the tests beside this module run the same functions with fewer draws.
The waveform is that of section VI: 6666 tones of 15 kHz at 10 GHz, elements half a wavelength
apart, and delays up to the 566 m that 200 m x 200 m allow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import click
import numpy as np

from drivers.array import UniformLinearArray
from drivers.capture import Capture
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, ComplexArray, FloatArray, wrap_angle
from drivers.link_budget import delay_var_s2, sine_var
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.detect import exceedances
from processing.pipeline import LinkProcessor
from processing.search import ProcessingSettings
from sim_backend.channel import grid_channel
from sim_backend.paths import Paths
from sim_backend.source import complex_noise

GRID = OfdmGrid(carrier_hz=10e9, subcarrier_spacing_hz=15e3, num_subcarriers=6666)
MAX_DELAY_S = 2 * math.hypot(200.0, 200.0) / SPEED_OF_LIGHT_M_PER_S
MAX_ANGLE_RAD = math.radians(60.0)
# One stream of random numbers per experiment, and one child of it per trial.
_BOUND_STREAM, _FALSE_ALARM_STREAM, _BOOTSTRAP_STREAM = 0, 1, 2
_NUM_RESAMPLES = 2000
_PILOTS = pilot_symbols(GRID)[:, None]
_WAVEFORM_HASH = GRID.waveform_hash


@dataclass(frozen=True)
class LinkErrors:
    """Errors of the strongest hypothesis at one SNR, over draws in which there was one.

    Attributes
    ----------
    snr_db
        Matched-cell signal-to-noise ratio (SNR) of the echo, in every draw.
    num_missed
        Draws without any hypothesis.
    delay_over_bound, angle_over_bound
        Errors over the Cramer-Rao bound's standard deviation at the true SNR and angle.
    delay_over_reported, angle_over_reported
        Errors over the standard deviation that the report claims.
    snr_over_true
        Reported SNR over the true one.
    """

    snr_db: float
    num_missed: int
    delay_over_bound: FloatArray
    angle_over_bound: FloatArray
    delay_over_reported: FloatArray
    angle_over_reported: FloatArray
    snr_over_true: FloatArray

    @property
    def missed_fraction(self) -> float:
        """Draws without any hypothesis, of all."""
        return self.num_missed / (self.num_missed + len(self.delay_over_bound))


@dataclass(frozen=True)
class FalseAlarms:
    """Cells over the threshold in captures of noise alone.

    Attributes
    ----------
    count
        Cells per capture, shape ``(T,)``.
    expected
        Cells of a map times the set probability.
    """

    count: FloatArray
    expected: float

    @property
    def ratio(self) -> float:
        """False-alarm rate over the set one."""
        return float(np.mean(self.count) / self.expected)


def _generator(seed: int, stream: int, trial: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(stream, trial)))


def _processor(num_elements: int, false_alarm_probability: float) -> LinkProcessor:
    array = UniformLinearArray(num_elements, GRID.wavelength_m / 2)
    settings = ProcessingSettings(false_alarm_probability=false_alarm_probability)
    return LinkProcessor(GRID, array, MAX_DELAY_S, settings)


def link_errors(
    num_elements: int, snr_db: Sequence[float], num_draws: int, seed: int = 0
) -> list[LinkErrors]:
    """Errors of one steady echo at random delays and angles (up to 60 degrees), off every grid.

    SNRs are compared on the same draws of delay, angle and noise.
    """
    link = _processor(num_elements, ProcessingSettings().false_alarm_probability)
    rows: list[list[tuple[float, ...] | None]] = [[] for _ in snr_db]
    for draw in range(num_draws):
        rng = _generator(seed, _BOUND_STREAM, draw)
        # five cells clear of the ends of the map
        delay_s = rng.uniform(5.0 / GRID.bandwidth_hz, MAX_DELAY_S - 5.0 / GRID.bandwidth_hz)
        angle_rad = rng.uniform(-MAX_ANGLE_RAD, MAX_ANGLE_RAD)
        path_delay_s = delay_s + link.array.element_delay_s(np.sin([angle_rad]))
        unit_echo = grid_channel(GRID, Paths(np.ones(1), path_delay_s)).astype(np.complex64)
        noise = complex_noise(rng, unit_echo.shape, 1.0)
        for row, value_db in zip(rows, snr_db, strict=True):
            amplitude = np.float32(math.sqrt(10 ** (value_db / 10) / unit_echo.size))
            channel = noise + amplitude * unit_echo
            row.append(_errors_of_draw(link, channel, delay_s, angle_rad, value_db))
    return [_collect(*pair) for pair in zip(snr_db, rows, strict=True)]


def _errors_of_draw(
    link: LinkProcessor, channel: ComplexArray, delay_s: float, angle_rad: float, snr_db: float
) -> tuple[float, ...] | None:
    capture = Capture("tx", "rx", _PILOTS * channel, 1, _WAVEFORM_HASH)
    report = link.report(capture, None, sensing_index=0, delay_limits_s=(0.0, MAX_DELAY_S))
    if not report.hypotheses:
        return None
    found = report.hypotheses[0]
    snr = 10 ** (snr_db / 10)
    delay_error_s = found.delay_s - delay_s
    delay_bound_s = math.sqrt(delay_var_s2(snr, GRID.rms_bandwidth_hz))
    delay = delay_error_s / delay_bound_s, delay_error_s / math.sqrt(found.delay_var_s2)
    if found.angle_rad is None or found.angle_var_rad2 is None:  # a single element
        return (*delay, math.nan, math.nan, found.snr / snr)
    angle_error_rad = float(wrap_angle(found.angle_rad - angle_rad))
    sine_bound = math.sqrt(sine_var(snr, link.array.num_elements, 0.5))
    return (
        *delay,
        angle_error_rad / (sine_bound / math.cos(angle_rad)),
        angle_error_rad / math.sqrt(found.angle_var_rad2),
        found.snr / snr,
    )


def _collect(snr_db: float, rows: list[tuple[float, ...] | None]) -> LinkErrors:
    detected = np.array([row for row in rows if row is not None]).reshape(-1, 5).T
    return LinkErrors(
        snr_db=snr_db,
        num_missed=sum(row is None for row in rows),
        delay_over_bound=detected[0],
        delay_over_reported=detected[1],
        angle_over_bound=detected[2],
        angle_over_reported=detected[3],
        snr_over_true=detected[4],
    )


def false_alarms(
    num_elements: int, num_captures: int, probability: float = 1e-3, seed: int = 0
) -> FalseAlarms:
    """Cells over the threshold on whole maps of noise."""
    link = _processor(num_elements, probability)
    count = np.empty(num_captures)
    for capture in range(num_captures):
        rng = _generator(seed, _FALSE_ALARM_STREAM, capture)
        noise = complex_noise(rng, (GRID.num_subcarriers, num_elements), 1.0)
        count[capture] = exceedances(link.map_of(noise).power, link.cfar).sum()
    return FalseAlarms(count, probability * link.cfar.threshold.size)


def bootstrap_interval(
    values: FloatArray, confidence: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of the mean over trials, which are what is drawn again."""
    rng = _generator(seed, _BOOTSTRAP_STREAM, len(values))
    chosen = rng.integers(0, len(values), (_NUM_RESAMPLES, len(values)))
    means = values[chosen].mean(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _with_interval(value: float, interval: tuple[float, float]) -> str:
    return f"{value:5.3f} [{interval[0]:5.3f}, {interval[1]:5.3f}]"


def _rms(values: FloatArray) -> str:
    low, high = bootstrap_interval(values**2)
    return _with_interval(math.sqrt(np.mean(values**2)), (math.sqrt(low), math.sqrt(high)))


def _mean(values: FloatArray) -> str:
    return _with_interval(float(np.mean(values)), bootstrap_interval(values))


@click.command()
@click.option("--draws", default=1000, show_default=True, help="Echoes for every SNR.")
@click.option("--captures", default=200, show_default=True, help="Captures of noise alone.")
@click.option(
    "--elements", multiple=True, type=click.IntRange(min=2), default=(32, 4), show_default=True,
    help="Elements of the array; may be given several times.",
)  # fmt: skip
@click.option("--seed", default=0, show_default=True)
def main(draws: int, captures: int, elements: tuple[int, ...], seed: int) -> None:
    """Print accuracy over bound and false alarms over the set rate, with 95 % intervals."""
    header = ["SNR dB", "delay RMSE/bound", "angle RMSE/bound", "delay norm. var.",
              "angle norm. var.", "SNR reported/true", "missed"]  # fmt: skip
    for num_elements in elements:
        click.echo(f"M = {num_elements}, {draws} draws for every SNR, seed {seed}")
        click.echo("  ".join([header[0], *(f"{title:>20}" for title in header[1:-1]), header[-1]]))
        for point in link_errors(num_elements, range(20, 61, 10), draws, seed):
            cells = (
                _rms(point.delay_over_bound),
                _rms(point.angle_over_bound),
                _mean(point.delay_over_reported**2),
                _mean(point.angle_over_reported**2),
                _mean(point.snr_over_true),
            )
            texts = [f"{point.snr_db:6.0f}", *(f"{cell:>20}" for cell in cells)]
            click.echo("  ".join([*texts, f"{point.missed_fraction:6.4f}"]))
        alarms = false_alarms(num_elements, captures, seed=seed)
        ratio = _mean(alarms.count / alarms.expected)
        click.echo(f"false alarms over the set 1e-3, {captures} captures: {ratio}\n")


if __name__ == "__main__":
    main()
