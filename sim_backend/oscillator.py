"""Clocks of simulated nodes: what time they think it is, and how their phase trembles."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft

from drivers.geometry import FloatArray
from sim_backend.impairments import PHASE_NOISE_REFERENCE_HZ, MaskPoint
from sim_backend.resampling import unit_phasors
from sim_backend.scene import random_stream

# True time is an integer number of femtoseconds: exact over days, and 1 fs turns a carrier of
# 10 GHz by 6e-5 rad.
FS_PER_S = 10**15

# Phase noise from this offset on; slower wander is the clock's offset and drift.
_LOWEST_OFFSET_HZ = 10.0
_NUM_SLOW_TONES = 96
_BLOCK = 1 << 15
_HOP = _BLOCK // 2
_PAGE = 256
_WINDOW = np.sin(np.pi * (np.arange(_BLOCK) + 0.5) / _BLOCK)


@dataclass(frozen=True, slots=True)
class NodeClock:
    """Device time of a node against true time.

    Attributes
    ----------
    zero_fs
        True time at which the device's count was zero, in femtoseconds.
    offset
        Fractional frequency offset; a positive one counts too fast.
    drift_per_s
        Its change a second.
    """

    zero_fs: int = 0
    offset: float = 0.0
    drift_per_s: float = 0.0

    def error_s(self, device_s: float | FloatArray) -> float | FloatArray:
        """How far device time is ahead of true time since zero, in seconds."""
        return self.offset / (1.0 + self.offset) * device_s + self.drift_per_s * device_s**2 / 2.0

    def device_s(self, true_fs: int) -> float:
        """Device time at a true time, in seconds; to about 1e-16 of itself."""
        elapsed_s = (true_fs - self.zero_fs) / FS_PER_S
        device_s = elapsed_s
        for _ in range(3):
            device_s = elapsed_s + float(self.error_s(device_s))
        return device_s

    def true_fs(self, tick: int, rate_hz: float) -> int:
        """True time of a device tick, in femtoseconds."""
        error_fs = round(float(self.error_s(tick / rate_hz)) * FS_PER_S)
        return self.zero_fs + _ticks_fs(tick, rate_hz) - error_fs

    def tick(self, true_fs: int, rate_hz: float) -> int:
        """Device tick at a true time: the last one that has passed."""
        tick = int(self.device_s(true_fs) * rate_hz)
        while self.true_fs(tick, rate_hz) > true_fs:
            tick -= 1
        while self.true_fs(tick + 1, rate_hz) <= true_fs:
            tick += 1
        return tick

    def tick_length_s(self, tick: int, rate_hz: float) -> float:
        """True length of a tick, held within one burst or block, in seconds."""
        slope = self.offset / (1.0 + self.offset) + self.drift_per_s * tick / rate_hz
        return (1.0 - slope) / rate_hz

    def carrier_cycles(
        self, carrier_hz: float, tick: int, rate_hz: float, count: int
    ) -> FloatArray:
        """Cycles by which an oscillator of nominal frequency is ahead of a perfect one.

        At `count` samples from `tick` on, shape ``(count,)``; in step at device time zero.
        Oscillator and sampling clock share the reference, so the oscillator's phase is the carrier
        times device time.
        """
        first = carrier_hz * float(self.error_s(tick / rate_hz))
        slope = carrier_hz * (1.0 / rate_hz - self.tick_length_s(tick, rate_hz))
        return np.asarray((first % 1.0) + slope * np.arange(float(count)))


def _ticks_fs(tick: int, rate_hz: float) -> int:
    """Nominal length of ticks in femtoseconds, exact to the rounding of the rate."""
    numerator, denominator = rate_hz.as_integer_ratio()
    return (tick * FS_PER_S * denominator + numerator // 2) // numerator


def mask_level(mask: Sequence[MaskPoint], offset_hz: FloatArray) -> FloatArray:
    """Single-sideband level of a mask, linear in 1/Hz: straight lines in dB over log-frequency."""
    at_hz, level_db = np.array(mask).T
    found_db = np.interp(np.log10(np.maximum(offset_hz, 1e-3)), np.log10(at_hz), level_db)
    return np.asarray(10.0 ** (found_db / 10.0))


@dataclass(frozen=True, slots=True)
class _FastNoise:
    """Fast part of an oscillator's phase noise; see `PhaseNoise`."""

    mask: tuple[MaskPoint, ...]
    rate_hz: float
    seed: int
    key: tuple[int, ...]
    num_blocks: int | None

    @property
    def lowest_hz(self) -> float:
        # Blocks begin with their second bin, which reaches down to one and a half. At low rates
        # that is under the lowest offset: then the tones have no width and no power.
        return max(1.5 * self.rate_hz / _BLOCK, _LOWEST_OFFSET_HZ)

    def stream(self, *key: int) -> np.random.Generator:
        return random_stream(self.seed, "phase_noise", *self.key, *key)

    def drawn(self, rng: np.random.Generator) -> FloatArray:
        """One block, periodic, with a mean of zero."""
        std = _bin_std(self.mask, self.rate_hz, self.lowest_hz)
        parts = rng.standard_normal((2, len(std)))
        return np.asarray(scipy.fft.irfft((parts[0] + 1j * parts[1]) * std, _BLOCK))


# What was drawn is kept for all oscillators together: 16, 8 and at most 128 MiB.


@lru_cache(maxsize=128)
def _hop(noise: _FastNoise, index: int) -> FloatArray:
    """Noise where the second half of one block lies over the first half of the next."""
    return _windowed_block(noise, index - 1)[_HOP:] + _windowed_block(noise, index)[:_HOP]


@lru_cache(maxsize=32)
def _windowed_block(noise: _FastNoise, index: int) -> FloatArray:
    # Times before zero exist (a clock set late); spawn keys must not be negative.
    if noise.num_blocks is None:
        return _WINDOW * noise.drawn(noise.stream(abs(index), int(index < 0)))
    page, line = divmod(index, _PAGE)
    which, begin = _choices(noise, noise.num_blocks, page)[line]
    return _WINDOW.astype(np.float32) * _two_periods(noise, which)[begin : begin + _BLOCK]


@lru_cache(maxsize=64)
def _choices(noise: _FastNoise, num_blocks: int, page: int) -> list[tuple[int, int]]:
    """Which of the drawn blocks comes when, and where in its period it begins."""
    rng = noise.stream(abs(page), 3 + int(page < 0))
    drawn: list[tuple[int, int]] = rng.integers((num_blocks, _BLOCK), size=(_PAGE, 2)).tolist()
    return drawn


@lru_cache(maxsize=512)
def _two_periods(noise: _FastNoise, which: int) -> FloatArray:
    return np.tile(noise.drawn(noise.stream(which, 2)).astype(np.float32), 2)


@lru_cache(maxsize=8)
def _bin_std(mask: tuple[MaskPoint, ...], rate_hz: float, lowest_hz: float) -> FloatArray:
    offset_hz = scipy.fft.rfftfreq(_BLOCK, 1.0 / rate_hz)
    level = np.where(offset_hz >= lowest_hz, mask_level(mask, offset_hz), 0.0)
    return np.asarray(np.sqrt(level * rate_hz * _BLOCK / 2.0))


class PhaseNoise:
    """Phase noise of one oscillator, a function of true time alone.

    Every receiver that hears a transmitter hears the same noise of it. Slow parts are a sum of
    tones, fast parts overlapping blocks of shaped noise whose windows' squares add up to one.

    Parameters
    ----------
    mask
        Level at 5.5 GHz; empty for none.
    seed, key
        Of the oscillator's random streams.
    num_blocks
        How many blocks are drawn at most, for who has to keep up with time: a block is then one of
        them, turned about by a random part of its period. As its mean is zero, what is heard at
        different times stays uncorrelated. Without it every block is new.
    """

    def __init__(
        self, mask: Sequence[MaskPoint], carrier_hz: float, rate_hz: float, seed: int,
        key: tuple[int, ...], num_blocks: int | None = None,
    ) -> None:  # fmt: skip
        self._mask = tuple(mask)
        self._scale = carrier_hz / PHASE_NOISE_REFERENCE_HZ
        self._rate_hz = rate_hz
        self._fast_noise = _FastNoise(self._mask, rate_hz, seed, key, num_blocks)
        if self._mask:
            self._draw_slow_tones(random_stream(seed, "phase_noise", *key))

    def phase_rad(self, start_fs: int, step_s: float, count: int) -> FloatArray:
        """Phase at `count` instants from a true time on, shape ``(count,)``."""
        if not self._mask:
            return np.zeros(count)
        phase = self._slow(start_fs, step_s, count)
        phase += self._fast(start_fs, step_s, count)
        phase *= self._scale
        return phase

    def _draw_slow_tones(self, rng: np.random.Generator) -> None:
        highest_hz = self._fast_noise.lowest_hz
        edges = np.geomspace(_LOWEST_OFFSET_HZ, highest_hz, _NUM_SLOW_TONES + 1)
        self._tone_hz = rng.uniform(edges[:-1], edges[1:])
        # A tone's power is that of its band, both sidebands.
        self._tone_rad = 2.0 * np.sqrt(mask_level(self._mask, self._tone_hz) * np.diff(edges))
        self._tone_cycles = rng.uniform(0.0, 1.0, _NUM_SLOW_TONES)

    def _slow(self, start_fs: int, step_s: float, count: int) -> FloatArray:
        stride = max(1, int(self._rate_hz / self._fast_noise.lowest_hz / 64.0))
        num_knots = -(-count // stride) + 1
        knot_s = start_fs / FS_PER_S + np.arange(num_knots) * (stride * step_s)
        cycles = self._tone_hz * knot_s[:, None] + self._tone_cycles
        knots = unit_phasors(cycles).real @ self._tone_rad
        between = np.diff(knots)[:, None] * (np.arange(stride) / stride)
        between += knots[:-1, None]
        return between.ravel()[:count]

    def _fast(self, start_fs: int, step_s: float, count: int) -> FloatArray:
        # The nearest sample on the noise's own axis: rounding down would tell whole ticks, whose
        # femtoseconds are rounded, apart from their neighbours.
        start = start_fs * self._rate_hz / FS_PER_S
        at = np.rint(start + np.arange(float(count)) * (step_s * self._rate_hz)).astype(np.int64)
        first, last = int(at[0]) // _HOP, int(at[-1]) // _HOP
        at -= first * _HOP
        hops = [_hop(self._fast_noise, index) for index in range(first, last + 1)]
        return np.concatenate(hops)[at]
