"""What this machine is, what it does at its best, and the floor that this sets under any work."""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft
from threadpoolctl import threadpool_info

from sim_backend.source import complex_noise
from testbed.bench.case import Counts

_BEYOND_CACHE_BYTES = 64 << 20
_IN_CACHE_BYTES = 64 << 10
_PRODUCT_SIZE = 384
_FFT_LENGTH, _NUM_FFTS = 6720, 32


@dataclass(frozen=True, slots=True)
class Rates:
    """Measured rates of one thread.

    Attributes
    ----------
    memory_bytes_per_s, cache_bytes_per_s
        Bytes read plus bytes written by a copy, beyond the caches and in the nearest ones.
    product_flop_per_s
        Real operations of a complex64 matrix product (BLAS), eight for a multiplication and sum.
    fft_flop_per_s
        ``5 N log2 N`` for a complex64 FFT of length N.
    normals_per_s
        Gaussian numbers of single precision, in pairs by NumPy's generator.
    """

    memory_bytes_per_s: float
    cache_bytes_per_s: float
    product_flop_per_s: float
    fft_flop_per_s: float
    normals_per_s: float


def measured_rates() -> Rates:
    """Best of several runs of each; takes about a second."""
    large = np.ones(_BEYOND_CACHE_BYTES // 4, dtype=np.float32)
    small = np.ones(_IN_CACHE_BYTES // 4, dtype=np.float32)
    to_large, to_small = np.empty_like(large), np.empty_like(small)
    square = np.ones((_PRODUCT_SIZE, _PRODUCT_SIZE), dtype=np.complex64)
    rows = np.ones((_NUM_FFTS, _FFT_LENGTH), dtype=np.complex64)
    rng = np.random.default_rng(0)
    return Rates(
        memory_bytes_per_s=2.0 * large.nbytes / _best_s(lambda: np.copyto(to_large, large)),
        cache_bytes_per_s=2.0 * small.nbytes / _best_s(lambda: np.copyto(to_small, small), 200),
        product_flop_per_s=8.0 * _PRODUCT_SIZE**3 / _best_s(lambda: square @ square),
        fft_flop_per_s=fft_flop(_FFT_LENGTH, _NUM_FFTS) / _best_s(lambda: scipy.fft.fft(rows)),
        normals_per_s=1e5 / _best_s(lambda: complex_noise(rng, (50_000, 1), 1.0)),
    )


def _best_s(function: Callable[[], Any], repeats: int = 12) -> float:
    times_s = []
    for _ in range(repeats):
        started_s = time.perf_counter()
        function()
        times_s.append(time.perf_counter() - started_s)
    return min(times_s)


def fft_flop(length: int, count: float, num_outputs: int | None = None) -> float:
    """Operations of FFTs, ``5 N log2 L`` where only L of N values go in or come out."""
    return 5.0 * length * float(np.log2(max(num_outputs or length, 2))) * count


def floor_s(counts: Counts, rates: Rates) -> float:
    """Least time that moving and computing so much takes one thread, in seconds.

    Moving and computing may overlap, so the longer of the two counts; what is drawn, and what was
    measured by itself, comes on top.
    """
    moving = counts.memory_bytes / rates.memory_bytes_per_s
    moving += counts.cache_bytes / rates.cache_bytes_per_s
    computing = counts.product_flop / rates.product_flop_per_s
    computing += counts.fft_flop / rates.fft_flop_per_s
    return max(moving, computing) + counts.normals / rates.normals_per_s + counts.constant_s


def machine_info() -> dict[str, object]:
    """Processor, cores and versions of what computes."""
    blas = [
        f"{found['internal_api']} {found.get('version')} ({found.get('architecture', 'unknown')})"
        for found in threadpool_info()
        if found.get("user_api") == "blas"
    ]
    return {
        "cpu": _cpu_model(),
        "num_cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "scipy": version("scipy"),
        "numba": version("numba"),
        "blas": blas,
    }


def _cpu_model() -> str:
    """The processor's own name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
