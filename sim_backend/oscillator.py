"""Clocks of simulated nodes: what time they think it is, and how their phase trembles."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft

from drivers.geometry import FloatArray
from sim_backend.impairments import PHASE_NOISE_REFERENCE_HZ, MaskPoint
from sim_backend.scene import random_stream

# True time is an integer number of femtoseconds: exact over days, and 1 fs turns a carrier of
# 10 GHz by 6e-5 rad.
FS_PER_S = 10**15

# Phase noise from this offset on; slower wander is the clock's offset and drift.
_LOWEST_OFFSET_HZ = 10.0
_NUM_SLOW_TONES = 96
_BLOCK = 1 << 15


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
        return np.asarray((first % 1.0) + slope * np.arange(count))


def _ticks_fs(tick: int, rate_hz: float) -> int:
    """Nominal length of ticks in femtoseconds, exact to the rounding of the rate."""
    numerator, denominator = rate_hz.as_integer_ratio()
    return (tick * FS_PER_S * denominator + numerator // 2) // numerator


def mask_level(mask: Sequence[MaskPoint], offset_hz: FloatArray) -> FloatArray:
    """Single-sideband level of a mask, linear in 1/Hz: straight lines in dB over log-frequency."""
    at_hz, level_db = np.array(mask).T
    found_db = np.interp(np.log10(np.maximum(offset_hz, 1e-3)), np.log10(at_hz), level_db)
    return np.asarray(10.0 ** (found_db / 10.0))


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
    """

    def __init__(
        self, mask: Sequence[MaskPoint], carrier_hz: float, rate_hz: float, seed: int,
        key: tuple[int, ...],
    ) -> None:  # fmt: skip
        self._mask = tuple(mask)
        self._scale = carrier_hz / PHASE_NOISE_REFERENCE_HZ
        self._rate_hz = rate_hz
        self._seed = seed
        self._key = key
        # Blocks begin with their second bin, which reaches down to one and a half. At low rates
        # that is under the lowest offset: then the tones have no width and no power.
        self._split_hz = max(1.5 * rate_hz / _BLOCK, _LOWEST_OFFSET_HZ)
        self._block = lru_cache(maxsize=8)(self._draw_block)
        if self._mask:
            self._draw_slow_tones()
            offset_hz = scipy.fft.rfftfreq(_BLOCK, 1.0 / rate_hz)
            level = np.where(offset_hz >= self._split_hz, mask_level(self._mask, offset_hz), 0.0)
            self._bin_std = np.sqrt(level * rate_hz * _BLOCK / 2.0)

    def phase_rad(self, start_fs: int, step_s: float, count: int) -> FloatArray:
        """Phase at `count` instants from a true time on, shape ``(count,)``."""
        if not self._mask:
            return np.zeros(count)
        slow, fast = self._slow(start_fs, step_s, count), self._fast(start_fs, step_s, count)
        return self._scale * (slow + fast)

    def _draw_slow_tones(self) -> None:
        rng = random_stream(self._seed, "phase_noise", *self._key)
        edges = np.geomspace(_LOWEST_OFFSET_HZ, self._split_hz, _NUM_SLOW_TONES + 1)
        self._tone_hz = rng.uniform(edges[:-1], edges[1:])
        # A tone's power is that of its band, both sidebands.
        self._tone_rad = 2.0 * np.sqrt(mask_level(self._mask, self._tone_hz) * np.diff(edges))
        self._tone_phase = rng.uniform(0.0, 2.0 * np.pi, _NUM_SLOW_TONES)

    def _slow(self, start_fs: int, step_s: float, count: int) -> FloatArray:
        stride = max(1, int(self._rate_hz / self._split_hz / 64.0))
        coarse_s = start_fs / FS_PER_S + np.arange(0, count + stride, stride) * step_s
        angle = 2.0 * np.pi * self._tone_hz * coarse_s[:, None] + self._tone_phase
        return np.interp(
            np.arange(count), np.arange(0, count + stride, stride), np.cos(angle) @ self._tone_rad
        )

    def _fast(self, start_fs: int, step_s: float, count: int) -> FloatArray:
        # The nearest sample on the noise's own axis: rounding down would tell whole ticks, whose
        # femtoseconds are rounded, apart from their neighbours.
        start = start_fs * self._rate_hz / FS_PER_S
        at = np.rint(start + np.arange(count) * (step_s * self._rate_hz)).astype(np.int64)
        first, span = int(at[0]), int(at[-1] - at[0]) + 1
        hop = _BLOCK // 2
        window = np.sin(np.pi * (np.arange(_BLOCK) + 0.5) / _BLOCK)
        phase = np.zeros(span)
        for index in range(first // hop - 1, (first + span) // hop + 1):
            begin = index * hop - first
            low, high = max(0, begin), min(span, begin + _BLOCK)
            if low < high:
                piece = slice(low - begin, high - begin)
                phase[low:high] += (window * self._block(index))[piece]
        return np.asarray(phase[at - first])

    def _draw_block(self, index: int) -> FloatArray:
        # Times before zero exist (a clock set late); spawn keys must not be negative.
        rng = random_stream(self._seed, "phase_noise", *self._key, abs(index), int(index < 0))
        parts = rng.standard_normal((2, len(self._bin_std)))
        spectrum = (parts[0] + 1j * parts[1]) * self._bin_std
        return np.asarray(scipy.fft.irfft(spectrum, _BLOCK))
