"""Cases of one receiver: from a capture to its report."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from drivers.geometry import ComplexArray
from drivers.link_budget import delay_var_s2, sine_var
from processing.detect import detect
from processing.power_map import PowerMap
from processing.refine import RefinedEcho, refine
from processing.report import LinkReport
from testbed.bench.case import Counts, Work
from testbed.bench.literal import literal_module
from testbed.bench.machine import fft_flop
from testbed.bench.workload import Workload

_REFINEMENT_SNR = 1e3  # 30 dB
_BYTES = 8  # of a complex64 number


def _pass_bytes(load: Workload, count: int) -> float:
    """Bytes of so many passes over numbers for all tones and elements."""
    return float(count * load.residual.size * _BYTES)


def align_and_subtract(load: Workload) -> Work:
    """Eqs. (2) and (9) with an alignment."""
    chain: Any = load.chain()
    capture, background = load.moved_capture, load.background

    def literal() -> ComplexArray:
        residual: ComplexArray = chain.residual(capture.rx_pilots, background.channel, align=True)
        return residual

    return Work(
        run=lambda: load.processor.suppressed(capture, background).residual,
        literal=None if chain is None else literal,
        counts=Counts(memory_bytes=_pass_bytes(load, 3)),
    )


def map_counts(load: Workload) -> Counts:
    """What a map needs at least, also one that is not exact over the band."""
    plan = load.processor.map_plan
    num_angles, num_bins = load.found.power.shape
    num_tones, num_elements = load.residual.shape
    return Counts(
        memory_bytes=_pass_bytes(load, 1),
        cache_bytes=4.0 * num_angles * num_bins,
        product_flop=8.0 * num_angles * plan.array.num_elements * num_bins,
        fft_flop=fft_flop(num_tones, num_elements, num_bins),
    )


def power_map(load: Workload) -> Work:
    """Eqs. (10) and (11), steering made anew for each map."""
    chain: Any = load.chain()
    return Work(
        run=lambda: load.processor.map_of(load.residual),
        literal=None if chain is None else lambda: chain.power_map(load.residual),
        error=_map_error,
        counts=map_counts(load),
    )


def power_map_cached(load: Workload) -> Work:
    """The same against steering vectors of all angles and tones that are kept."""
    literal = literal_module("map")
    plan = load.processor.map_plan
    run = partial(load.processor.map_of, load.residual)
    if literal is None:
        return Work(run=run, counts=map_counts(load))
    array = plan.array
    kept = literal.all_steering(
        load.grid.frequency_hz, plan.angle_grid_rad, array.num_elements, array.spacing_m
    )
    length = plan.fft_length
    return Work(
        run=run,
        literal=lambda: length**2 * literal.power_map_with(load.residual, kept, length),
        error=_map_error,
        counts=map_counts(load),
    )


def _map_error(found: PowerMap, literal: Any) -> float | None:
    """Largest difference of two maps over the peak; ``None`` without a literal one."""
    if literal is None:
        return None
    physical = literal[:, : found.power.shape[1]]
    return float(np.abs(found.power - physical).max() / physical.max())


def detection(load: Workload) -> Work:
    """CA-CFAR and suppression on the map of physical delays."""
    chain: Any = load.chain()
    found, cfar = load.found, load.processor.cfar
    low_s, high_s = load.delay_limits_s
    count = load.processor.settings.max_hypotheses + 1

    def literal() -> list[tuple[int, int]]:
        cells: list[tuple[int, int]] = chain.detect(
            found.power, found.noise_power, load.delay_limits_s, count
        )
        return cells

    return Work(
        run=lambda: detect(
            found, cfar, min_delay_s=low_s, max_delay_s=high_s, max_candidates=count
        ),
        literal=None if chain is None else literal,
        error=lambda cells, expected: None if expected is None else float(cells != expected),
        counts=Counts(cache_bytes=float(found.power.nbytes + cfar.threshold.nbytes)),
    )


def refinement(load: Workload) -> Work:
    """Delay and angle of one candidate; its error is against the bound, not the literal one."""
    chain: Any = load.chain()
    plan = load.processor.map_plan
    report = load.report(load.capture)
    delay_s, sine = load.found.plan.delay_grid_s[1], 0.0
    if report.hypotheses:
        delay_s, sine = report.hypotheses[0].delay_s, report.hypotheses[0].sine or 0.0
    row = int(np.argmin(np.abs(np.sin(plan.angle_grid_rad) - sine)))
    bin_index = int(np.argmin(np.abs(plan.delay_grid_s - delay_s)))
    delay_s, angle_rad = float(plan.delay_grid_s[bin_index]), float(plan.angle_grid_rad[row])
    cell = row, bin_index

    def run() -> RefinedEcho:
        return refine(load.residual, plan.grid, plan.array, delay_s, angle_rad)

    return Work(
        run=run,
        literal=None if chain is None else lambda: chain.refine(load.residual, cell),
        error=lambda _echo, _literal: _error_over_bound(load, cell),
        counts=Counts(memory_bytes=_pass_bytes(load, 1)),
    )


def _error_over_bound(load: Workload, cell: tuple[int, int]) -> float:
    """Root mean square of delay and sine errors over their bounds, over draws of noise."""
    plan = load.processor.map_plan
    grid, array = plan.grid, plan.array
    rng = np.random.default_rng(load.seed)
    delay_std_s = np.sqrt(delay_var_s2(_REFINEMENT_SNR, grid.rms_bandwidth_hz))
    wavelengths = array.spacing_m / grid.wavelength_m
    sine_std = np.sqrt(sine_var(_REFINEMENT_SNR, array.num_elements, wavelengths))
    coarse_s, coarse_rad = plan.delay_grid_s[cell[1]], plan.angle_grid_rad[cell[0]]
    size = grid.num_subcarriers * array.num_elements
    scale = np.float32(np.sqrt(size / _REFINEMENT_SNR / 2.0))
    errors = []
    for _ in range(load.sizes.num_noise_draws):
        delay_s = coarse_s + rng.uniform(-0.5, 0.5) / grid.bandwidth_hz
        sine = np.clip(np.sin(coarse_rad) + rng.uniform(-0.3, 0.3) / array.num_elements, -1, 1)
        late_s = delay_s + array.element_delay_s(sine)
        echo = np.exp(-2j * np.pi * grid.frequency_hz[:, None] * late_s).astype(np.complex64)
        noise = rng.standard_normal((*echo.shape, 2), dtype=np.float32).view(np.complex64)[..., 0]
        found = refine(echo + scale * noise, grid, array, float(coarse_s), float(coarse_rad))
        errors.append((found.delay_s - delay_s) / delay_std_s)
        if found.sine is not None:
            errors.append((found.sine - sine) / sine_std)
    return float(np.sqrt(np.mean(np.square(errors))))


def report(load: Workload) -> Work:
    """Capture to report, the capture lying as its background."""
    return _report(load, align=False)


def report_aligned(load: Workload) -> Work:
    """Capture to report with alignment; the literal one aligns once, without the echoes."""
    return _report(load, align=True)


def _report(load: Workload, *, align: bool) -> Work:
    chain: Any = load.chain()
    capture = load.moved_capture if align else load.capture

    def literal() -> Sequence[tuple[float, float, float]]:
        found: Sequence[tuple[float, float, float]] = chain.report(
            capture.rx_pilots, load.background.channel, load.delay_limits_s, align=align
        )
        return found

    lower = map_counts(load)
    return Work(
        run=lambda: load.report(capture),
        literal=None if chain is None else literal,
        error=lambda found, literal: _report_error(load, found, literal),
        counts=Counts(_pass_bytes(load, 2), lower.cache_bytes, lower.product_flop, lower.fft_flop),
    )


def _report_error(load: Workload, found: LinkReport, literal: Any) -> float | None:
    """Largest difference of the strongest echo's delay or sine, in resolution cells or beams."""
    if not literal or not found.hypotheses:
        return None
    best, array = found.hypotheses[0], load.processor.array
    errors = [abs(best.delay_s - literal[0][0]) * load.grid.bandwidth_hz]
    if best.sine is not None:
        beam = load.grid.wavelength_m / (array.num_elements * array.spacing_m)
        errors.append(abs(best.sine - literal[0][1]) / beam)
    return float(max(errors))
