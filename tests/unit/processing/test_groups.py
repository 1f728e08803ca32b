"""Arrays of several boards, each with a phase and a time of its own since it was tuned."""

import math
from dataclasses import replace

import numpy as np
import pytest

from drivers.capture import Capture
from drivers.waveform import pilot_symbols
from processing.alignment import shifted
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
GROUPS = ((0, 1), (2, 3))
DIRECT_S, DIRECT_SINE = 40.2 * CELL_S, 0.3
DELAY_S, SINE = DIRECT_S + 1.3 * CELL_S, -0.25


def of_another_tuning(channel: np.ndarray, rng: np.random.Generator) -> Background:
    """A background as learned before the boards were tuned as they are now."""
    board = np.array([0, 0, 1, 1])
    gain = np.exp(1j * rng.uniform(-np.pi, np.pi, 2))[board] * rng.uniform(0.8, 1.2, 2)[board]
    delay_s = rng.uniform(-0.5, 0.5, 2)[board] * CELL_S
    before = shifted(channel.astype(np.complex64), GRID, delay_s, gain)
    return Background(before, "of another tuning", config_epoch=1)


def scene(seed: int) -> tuple[Capture, Background]:
    """A capture by calibrated elements, its own time right, and the background to it."""
    rng = np.random.default_rng(seed)
    still = echo(DIRECT_S, DIRECT_SINE, ARRAY, 70.0) + echo(
        DIRECT_S + 9.0 * CELL_S, -0.6, ARRAY, 50.0
    )
    target = echo(DELAY_S, SINE, ARRAY, 35.0) * np.exp(2j * np.pi * rng.uniform())
    heard = (still + target + unit_noise(rng, ARRAY)).astype(np.complex64)
    capture = Capture(
        "tx", "rx", pilot_symbols(GRID)[:, None] * heard, 1, GRID.waveform_hash,
        config_epoch=2, needs_alignment=True, delay_is_absolute=True, coherent_groups=GROUPS,
    )  # fmt: skip
    return capture, of_another_tuning(still, rng)


def errors(link: LinkProcessor, capture: Capture, background: Background) -> tuple[float, float]:
    """Of delay and sine over what is stated of them."""
    report = link.report(
        capture, background, sensing_index=0, delay_limits_s=(DIRECT_S, MAX_DELAY_S), late_s=0.0
    )
    best = report.hypotheses[0]
    return (
        (best.delay_s - DELAY_S) / math.sqrt(best.delay_var_s2),
        (best.sine - SINE) / math.sqrt(best.sine_var),
    )


@pytest.fixture(scope="module")
def link() -> LinkProcessor:
    return LinkProcessor(GRID, ARRAY, MAX_DELAY_S, ProcessingSettings())


def test_an_echo_keeps_delay_and_direction_across_tunings(link):
    """Brought onto boards as they lay before, it would have neither."""
    normalized = np.array([errors(link, *scene(seed)) for seed in range(12)])
    # 12 squares of unit Gaussians: a mean of 1 +- 0.4
    assert (np.mean(normalized**2, axis=0) < 2.3).all()


def test_what_was_found_of_one_tuning_is_used_again(link, monkeypatch):
    capture, background = scene(3)
    errors(link, capture, background)
    learned = []
    monkeypatch.setattr(
        Background, "lying_as", lambda self, *_: learned.append(1) or self, raising=True
    )
    errors(link, capture, background)
    assert not learned
    errors(link, replace(capture, config_epoch=3), background)
    assert learned
