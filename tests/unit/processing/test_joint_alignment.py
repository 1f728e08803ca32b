"""The echo is part of what is aligned: both are estimated together, or the echo suffers."""

import gc
import math
import weakref
from dataclasses import replace

import numpy as np
import pytest

import processing.near_residual
import processing.pipeline
from drivers.capture import Capture, CaptureRefusedError
from drivers.link_budget import delay_var_s2, sine_var
from drivers.waveform import pilot_symbols
from processing.alignment import alignment_of, shifted
from processing.pipeline import LinkProcessor
from processing.search import ProcessingSettings
from processing.suppression import Background
from tests.unit.processing.echoes import (
    CELL_S,
    GRID,
    MAX_DELAY_S,
    echo,
    half_wavelength_array,
    unit_noise,
)

ARRAY = half_wavelength_array(4)
DIRECT_S, SNR_DB, NUM_DRAWS = 40.2 * CELL_S, 35.0, 60


def draw(rng: np.random.Generator) -> tuple[Capture, Background, float, float]:
    """A capture under random phase, delay and gain, with an echo near a strong direct path."""
    background = echo(DIRECT_S, 0.3, ARRAY, 75.0)
    for _ in range(6):
        late_s = DIRECT_S + rng.uniform(1.0, 30.0) * CELL_S
        strength_db = rng.uniform(40.0, 55.0)
        phase = np.exp(2j * np.pi * rng.uniform())
        background = background + phase * echo(late_s, rng.uniform(-0.8, 0.8), ARRAY, strength_db)
    delay_s = DIRECT_S + rng.uniform(0.8, 1.6) * CELL_S
    sine = rng.uniform(0.1, 0.5)
    target = echo(delay_s, sine, ARRAY, SNR_DB) * np.exp(2j * np.pi * rng.uniform())
    heard = (background + target + unit_noise(rng, ARRAY)).astype(np.complex64)
    gain = np.complex64(math.exp(rng.normal(0.0, 0.2)) * np.exp(2j * np.pi * rng.uniform()))
    off = shifted(heard, GRID, rng.uniform(-5.0, 5.0) * CELL_S) * gain
    pilots = pilot_symbols(GRID)[:, None]
    capture = Capture("tx", "rx", pilots * off, 1, GRID.waveform_hash, needs_alignment=True)
    return capture, Background(background.astype(np.complex64), "known"), delay_s, sine


def normalized_errors(link: LinkProcessor) -> tuple[np.ndarray, np.ndarray]:
    """Errors of delay and sine over their bounds, and which draws were missed is an error."""
    snr = 10.0 ** (SNR_DB / 10.0)
    wavelengths = ARRAY.spacing_m / GRID.wavelength_m
    delay_std = math.sqrt(float(delay_var_s2(snr, GRID.rms_bandwidth_hz)))
    sine_std = math.sqrt(float(sine_var(snr, ARRAY.num_elements, wavelengths)))
    delays, sines = [], []
    for seed in range(NUM_DRAWS):
        capture, background, delay_s, sine = draw(np.random.default_rng(seed))
        report = link.report(
            capture, background, sensing_index=0, delay_limits_s=(DIRECT_S, MAX_DELAY_S)
        )
        assert report.hypotheses, seed
        best = report.hypotheses[0]
        delays.append((best.delay_s - delay_s) / delay_std)
        sines.append((best.sine - sine) / sine_std)
    return np.array(delays), np.array(sines)


@pytest.fixture(scope="module")
def link() -> LinkProcessor:
    return LinkProcessor(GRID, ARRAY, MAX_DELAY_S, ProcessingSettings())


def test_together_the_echo_keeps_its_accuracy(link):
    """Two cells from a direct path 40 dB stronger: a little over the bound without nuisances."""
    delays, sines = normalized_errors(link)
    # the median of squares of unit Gaussians is 0.455; 60 draws: plus or minus 0.25
    assert 0.2 < np.median(delays**2) < 1.2
    assert 0.2 < np.median(sines**2) < 1.2


def test_one_after_the_other_it_does_not(link, monkeypatch):
    """The control: what alignment alone would leave."""
    together = [np.median(errors**2) for errors in normalized_errors(link)]
    monkeypatch.setattr(processing.pipeline, "_MAX_JOINT_ROUNDS", 0)
    monkeypatch.setattr(processing.near_residual, "_CLEAR_SHARE", 0.0)
    apart = [np.median(errors**2) for errors in normalized_errors(link)]
    assert max(a / t for a, t in zip(apart, together, strict=True)) > 2.0


def test_captures_that_lie_right_already_are_left_alone(link):
    capture, background, _, _ = draw(np.random.default_rng(3))
    as_it_is = replace(capture, needs_alignment=False)
    residual = link.residual(as_it_is, background)
    estimate = capture.rx_pilots * pilot_symbols(GRID).conj()[:, None]
    np.testing.assert_allclose(residual, estimate - background.channel, rtol=1e-5)


@pytest.mark.parametrize("early_cells", [0.0, 0.3, -0.4, 5.3, -7.8])
def test_delays_follow_the_captures_own_time(link, early_cells):
    """Wherever the axis of the background begins."""
    errors = []
    for seed in range(8):
        capture, background, delay_s, _ = draw(np.random.default_rng(seed))
        known = background.channel
        late_s = float(alignment_of(estimate_of(capture), known, GRID).delay_s[0])
        early = Background(shifted(known, GRID, -early_cells * CELL_S), "early")
        report = link.report(
            replace(capture, delay_is_absolute=True), early, sensing_index=0,
            delay_limits_s=(DIRECT_S, MAX_DELAY_S), late_s=late_s,
        )  # fmt: skip
        best = report.hypotheses[0]
        errors.append((best.delay_s - delay_s) / math.sqrt(best.delay_var_s2))
    assert np.median(np.square(errors)) < 2.0


def test_few_axes_are_kept(link):
    capture, background, _, _ = draw(np.random.default_rng(0))
    absolute = replace(capture, delay_is_absolute=True)
    for cells in range(12):
        link.report(
            absolute, background, sensing_index=0, delay_limits_s=(0.0, MAX_DELAY_S),
            late_s=cells * CELL_S,
        )  # fmt: skip
    assert len(link.prepared(background, ()).moved) <= 4


def estimate_of(capture: Capture) -> np.ndarray:
    return capture.rx_pilots * pilot_symbols(GRID).conj()[:, None]


def test_a_background_that_is_dropped_is_not_kept(link):
    capture, background, _, _ = draw(np.random.default_rng(0))
    for late_cells in (0.0, 7.0):  # on its own axis and on another
        link.report(
            replace(capture, delay_is_absolute=True), background, sensing_index=0,
            delay_limits_s=(0.0, MAX_DELAY_S), late_s=late_cells * CELL_S,
        )  # fmt: skip
    dropped = weakref.ref(background)
    del background
    gc.collect()
    assert dropped() is None


@pytest.mark.parametrize("groups", [((0, 1), (2,)), ((0, 1), (1, 2, 3)), ((0, 1, 2, 3, 4),)])
def test_groups_that_are_no_partition_are_refused(link, groups):
    capture, background, _, _ = draw(np.random.default_rng(0))
    wrong = replace(capture, coherent_groups=groups)
    with pytest.raises(CaptureRefusedError, match="do not hold each of 4 elements once"):
        link.residual(wrong, background)


def test_an_echo_that_pulls_at_nothing_takes_one_map(link, monkeypatch):
    """And an echo that does takes another, after which nothing is left of the pull."""
    maps = []
    power_map = processing.pipeline.power_map
    monkeypatch.setattr(
        processing.pipeline, "power_map", lambda *a, **k: maps.append(1) or power_map(*a, **k)
    )
    for seed, cells, most in ((0, 1.2, 3), (1, 140.0, 1)):
        _, background, _, _ = draw(np.random.default_rng(seed))
        target = echo(DIRECT_S + cells * CELL_S, 0.1, ARRAY, SNR_DB if most > 1 else 20.0)
        heard = background.channel + target + unit_noise(np.random.default_rng(seed), ARRAY)
        pilots = pilot_symbols(GRID)[:, None]
        capture = Capture(
            "tx", "rx", (pilots * heard).astype("c8"), 1, GRID.waveform_hash, needs_alignment=True
        )
        maps.clear()
        report = link.report(
            capture, background, sensing_index=0, delay_limits_s=(DIRECT_S, MAX_DELAY_S)
        )
        assert report.hypotheses
        assert 1 <= len(maps) <= most
