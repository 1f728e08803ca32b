"""What synchronization costs: output SNR against a receiver that knows carrier, clock and time.

    python -m tests.paper.synchronization --draws 10

Transmitter and receiver share no clock: up to 50 ppm lie between them, on carrier and sampling
clock alike, and the burst lies anywhere in the block. Received samples are made of the burst's
Fourier series: each line has its channel, and lies where the transmitter's clock puts it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import click
import numpy as np
from scipy.optimize import minimize_scalar
from scipy.signal import czt

from drivers.burst import SoundingBurst
from drivers.capture import CaptureRefusedError
from drivers.geometry import ComplexArray
from drivers.grids import preset_burst
from drivers.radio import IqBlock, TransmitReport
from drivers.sounding import Sounding
from drivers.tuning import Tuning
from drivers.waveform import pilot_symbols
from processing.demodulate import demodulate

SNRS_DB = (-10.0, 0.0, 10.0, 20.0, 30.0, 40.0)
# Grid and carrier; the paper's has 40 times the samples of the smallest, so it gets fewer draws.
GRIDS = (
    ("pluto_20mhz", 5.8e9),
    ("pluto_20mhz", 10e9),
    ("e320_50mhz", 5.8e9),
    ("e320_50mhz", 10e9),
    ("paper", 10e9),
)
NUM_SYMBOLS = 4
MAX_PPM = 50.0
# Echoes come up to so much later than the direct path: a room, up to what the presets' prefixes
# are made for.
_SPREADS_S = (50e-9, 2e-6)
_NUM_ECHOES = 40
# Power of the direct path over all echoes together. Without it: behind the array's back.
_DIRECT_OVER_ECHOES_DB = {True: 10.0, False: -30.0}


@dataclass(frozen=True)
class Draw:
    """One link, received without noise and with unit noise.

    Attributes
    ----------
    burst, ppm, first
        What was sent, by how much faster a clock, and where in the block its first sample lies.
    channel
        Shape ``(K, M)``, of unit mean power.
    signal, noise
        Shape ``(N, M)``; the noise has unit power in each tone's channel estimate.
    """

    burst: SoundingBurst
    ppm: float
    first: float
    channel: ComplexArray
    signal: ComplexArray
    noise: ComplexArray


@dataclass(frozen=True)
class Outcome:
    """What became of one burst.

    Attributes
    ----------
    loss_db
        Output SNR under that of perfect synchronization; infinite if the burst was missed.
    ideal_over_known
        Noise of perfect synchronization in this draw over its known variance, linear.
    clock_error_ppm
        Of the reported offset, absolute.
    snr_error_db
        Reported over true.
    """

    loss_db: float
    ideal_over_known: float = math.nan
    clock_error_ppm: float = math.nan
    snr_error_db: float = math.nan


def draw_link(
    burst: SoundingBurst, num_elements: int, rng: np.random.Generator, *, direct: bool
) -> Draw:
    """A burst that repeats, over a direct path and echoes of random delays and phases."""
    period = burst.num_samples
    count = 2 * period + burst.prefix_length  # as a radio without common time receives
    ppm, first = rng.uniform(-MAX_PPM, MAX_PPM), rng.uniform(0.0, period)
    spread_s = math.exp(rng.uniform(*np.log(_SPREADS_S)))
    delay = rng.uniform(0.0, spread_s, _NUM_ECHOES) * burst.sample_rate_hz
    parts = rng.standard_normal((_NUM_ECHOES, num_elements, 2)) / math.sqrt(2.0 * _NUM_ECHOES)
    # the direct path is a plane wave; each echo is a few of them
    steady = 10.0 ** (_DIRECT_OVER_ECHOES_DB[direct] / 20.0)
    direct_gain = steady * np.exp(2j * np.pi * rng.uniform(size=(1, num_elements)))
    gain = np.concatenate((direct_gain, parts.view(np.complex128)[..., 0]))
    delay = np.concatenate(([0.0], delay))

    tone = np.arange(burst.grid.num_subcarriers) - burst.null_index
    channel = response(tone / burst.symbol_length, gain, delay)
    scale = 1.0 / np.sqrt(np.mean(np.abs(_sent(burst, channel)) ** 2))
    signal = received(burst, gain * scale, delay, ppm, first, count)
    # White noise of power s^2 has s^2 / (N A^2) in a tone's estimate.
    std = burst.tone_amplitude * math.sqrt(burst.symbol_length / 2.0)
    noise = rng.standard_normal((count, num_elements, 2)) * std
    return Draw(burst, ppm, first, channel * scale, signal, noise.view(np.complex128)[..., 0])


def response(frequency: np.ndarray, gain: ComplexArray, delay: np.ndarray) -> ComplexArray:
    """Channel at frequencies in cycles per sample, shape ``(F, M)``; gains ``(P, M)``."""
    return np.exp(-2j * np.pi * np.outer(frequency, delay)) @ gain


def received(
    burst: SoundingBurst,
    gain: ComplexArray,
    delay: np.ndarray,
    ppm: float,
    first: float,
    count: int,
) -> ComplexArray:
    """Burst after burst over paths, by a receiver whose clock is slower, shape ``(count, M)``.

    Delays are in the transmitter's samples; `first` is where a burst begins, in the receiver's.
    """
    period, ratio = burst.num_samples, 1.0 + ppm * 1e-6
    line = np.arange(period) - period // 2
    series = np.fft.fftshift(np.fft.fft(burst.samples().astype(np.complex128))) / period
    lines = series[:, None] * response(line / period, gain, delay)
    step = 2j * np.pi * ratio / period
    signal = czt(lines, count, w=np.exp(step), a=np.exp(step * first), axis=0)
    sample = np.arange(count)
    lowest = np.exp(line[0] * step * (sample - first))
    cycles = ppm * 1e-6 * burst.local_oscillator_hz / burst.sample_rate_hz
    return signal * (lowest * np.exp(2j * np.pi * cycles * sample))[:, None]


def perfect(draw: Draw, samples: ComplexArray, start: float) -> ComplexArray:
    """Channel estimate of a receiver that knows clock, carrier and time, shape ``(K, M)``.

    Transforms of the block at the very frequencies of the tones, averaged over the symbols in the
    windows of a burst at `start`; no resampling.
    """
    burst, ratio = draw.burst, 1.0 + draw.ppm * 1e-6
    size, tone = burst.symbol_length, np.arange(burst.grid.num_subcarriers) - burst.null_index
    carrier = draw.ppm * 1e-6 * burst.local_oscillator_hz / burst.sample_rate_hz
    step = ratio / size  # from tone to tone, cycles per sample
    lowest = np.exp(2j * np.pi * (carrier + step * tone[0]))
    total = np.zeros((len(tone), samples.shape[1]), dtype=np.complex128)
    for symbol in range(burst.num_symbols):
        into_burst = burst.first_symbol_sample + symbol * size - burst.prefix_length // 2
        begin = round(start + into_burst / ratio)
        window = samples[begin : begin + size]
        tones = czt(window, len(tone), np.exp(-2j * np.pi * step), lowest, axis=0)
        sent = (begin - draw.first) * ratio % burst.num_samples  # the burst repeats
        turns = carrier * begin + tone * (sent - burst.first_symbol_sample) / size
        total += tones * np.exp(-2j * np.pi * turns)[:, None]
    matched = burst.pilots.conj()[:, None] / (size * burst.tone_amplitude)
    return total * matched / burst.num_symbols


def error_power(burst: SoundingBurst, estimate: ComplexArray, channel: ComplexArray) -> float:
    """Noise and distortion over signal, after the best common gain and delay; sent tones only."""
    tone = np.arange(burst.grid.num_subcarriers) - burst.null_index
    product = np.sum(estimate * channel.conj(), axis=1)
    product[burst.null_index] = 0.0
    size = 8 * burst.symbol_length
    spectrum = np.zeros(size, dtype=np.complex128)
    spectrum[tone % size] = product
    rough = np.abs(np.fft.ifft(spectrum))
    peak = (int(np.argmax(rough)) + size // 2) % size - size // 2

    def unlike(shift: float) -> float:
        return -float(np.abs(np.exp(2j * np.pi * tone * shift / size) @ product))

    best = minimize_scalar(unlike, bounds=(peak - 1.0, peak + 1.0), options={"xatol": 1e-6})
    power = np.sum(np.abs(_sent(burst, channel)) ** 2)
    signal = best.fun**2 / power  # that part of the estimate that is the channel
    return (float(np.sum(np.abs(_sent(burst, estimate)) ** 2)) - signal) / signal


def _sent(burst: SoundingBurst, tones: ComplexArray) -> ComplexArray:
    return np.delete(tones, burst.null_index, axis=0)


def outcome(draw: Draw, snr_db: float) -> Outcome:
    """What demodulation makes of a draw whose tones have a mean SNR of `snr_db`."""
    burst, std = draw.burst, 10.0 ** (-snr_db / 20.0)
    samples = (draw.signal + std * draw.noise).astype(np.complex64)
    tuning = Tuning(burst.local_oscillator_hz, burst.sample_rate_hz, 0.0, 0.0)
    block = IqBlock(samples, None, burst.sample_rate_hz, tuning, 0.0, 0)
    try:
        pilots, report = demodulate(block, Sounding("tx", burst, None, 0.0, TransmitReport()))
    except CaptureRefusedError:
        return Outcome(math.inf)
    ideal = std * perfect(draw, draw.noise, report.start_sample)
    estimate = pilots * pilot_symbols(burst.grid).conj()[:, None]
    error = error_power(burst, estimate, draw.channel)
    least = error_power(burst, draw.channel + ideal, draw.channel)
    known = std**2 / burst.num_symbols
    return Outcome(
        10.0 * math.log10(error / least),
        float(np.mean(np.abs(_sent(burst, ideal)) ** 2)) / known,
        abs(report.clock_offset_ppm - draw.ppm),
        10.0 * math.log10(report.snr or math.nan) - snr_db,
    )


def outcomes(
    burst: SoundingBurst, snrs_db: Sequence[float], num_draws: int, *, direct: bool, seed: int = 0
) -> list[list[Outcome]]:
    """Outcomes at each SNR, of the same links with one element and with two, in turn."""
    rows: list[list[Outcome]] = [[] for _ in snrs_db]
    for index in range(2 * num_draws):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(direct), index)))
        draw = draw_link(burst, 1 + index % 2, rng, direct=direct)
        for row, snr_db in zip(rows, snrs_db, strict=True):
            row.append(outcome(draw, snr_db))
    return rows


def summary(row: Sequence[Outcome]) -> str:
    """Median and worst loss, missed bursts, and the report's largest errors."""
    found = [one for one in row if math.isfinite(one.loss_db)]
    if not found:
        return f"none of {len(row)} found".rjust(43)
    loss = [one.loss_db for one in found]
    return (
        f"{np.median(loss):7.2f}{max(loss):7.2f}{len(row) - len(found):7d}"
        f"{max(one.clock_error_ppm for one in found):12.5f}"
        f"{max((one.snr_error_db for one in found), key=abs):10.2f}"
    )


@click.command()
@click.option("--draws", default=10, show_default=True, help="Links for each number of elements.")
@click.option("--seed", default=0, show_default=True)
def main(draws: int, seed: int) -> None:
    """Print loss of output SNR in dB: median, worst; missed bursts; largest errors reported."""
    parts = f"{'median':>7}{'worst':>7}{'missed':>7}{'ppm error':>12}{'SNR error':>10}"
    title = f"{'grid':<12}{'GHz':>5}{'SNR dB':>7}{'bursts':>7}"
    for direct in (True, False):
        click.echo(f"{'with' if direct else 'without'} a usable direct path\n{title}{parts}")
        for name, carrier_hz in GRIDS:
            burst = preset_burst(name, carrier_hz, num_symbols=NUM_SYMBOLS)
            num_draws = max(1, draws // 5) if name == "paper" else draws
            rows = outcomes(burst, SNRS_DB, num_draws, direct=direct, seed=seed)
            for snr_db, row in zip(SNRS_DB, rows, strict=True):
                place = f"{name:<12}{carrier_hz / 1e9:5.1f}{snr_db:7.0f}{len(row):7d}"
                click.echo(place + summary(row))


if __name__ == "__main__":
    main()
