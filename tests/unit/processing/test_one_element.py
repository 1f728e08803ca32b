"""One element tells by delay alone: an echo along the direct path must leave no others behind."""

import numpy as np
import pytest

from drivers.capture import Capture
from drivers.waveform import pilot_symbols
from processing.alignment import shifted
from processing.near_residual import NearResidual
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

ARRAY = half_wavelength_array(1)
DIRECT_S, DIRECT_DB = 40.2 * CELL_S, 75.0
NUM_DRAWS = 20


@pytest.fixture(scope="module")
def link() -> LinkProcessor:
    return LinkProcessor(GRID, ARRAY, MAX_DELAY_S, ProcessingSettings())


def found_cells(
    link: LinkProcessor, seed: int, excess_cells: float, snr_db: float,
    rough: float = 0.0, known_noise_var: float | None = None,
) -> list[float]:  # fmt: skip
    """Excess delays, in cells, that are reported of one echo among scatterers.

    The transmitter's image of each tone, `rough`, is in all captures alike.
    """
    rng = np.random.default_rng(seed)
    background = echo(DIRECT_S, 0.0, ARRAY, DIRECT_DB)
    for _ in range(6):
        late_s = DIRECT_S + rng.uniform(0.5, 6.0) * CELL_S
        turn = np.exp(2j * np.pi * rng.uniform())
        background = background + turn * echo(late_s, 0.0, ARRAY, rng.uniform(50.0, 58.0))
    image = 1.0 + rough * unit_noise(np.random.default_rng(1), ARRAY)
    background = background * image
    turn = np.exp(2j * np.pi * rng.uniform())
    target = turn * image * echo(DIRECT_S + excess_cells * CELL_S, 0.0, ARRAY, snr_db)
    heard = (background + target + unit_noise(rng, ARRAY)).astype(np.complex64)
    off = shifted(heard, GRID, rng.uniform(-5.0, 5.0) * CELL_S)
    pilots = pilot_symbols(GRID)[:, None]
    capture = Capture("tx", "rx", pilots * off, 1, GRID.waveform_hash, needs_alignment=True)
    report = link.report(
        capture,
        Background(background.astype(np.complex64), "known", known_noise_var=known_noise_var),
        sensing_index=0, delay_limits_s=(DIRECT_S, MAX_DELAY_S),
    )  # fmt: skip
    return [(h.delay_s - DIRECT_S) / CELL_S for h in report.hypotheses]


def test_an_echo_along_the_direct_path_leaves_no_others_behind(link):
    """It may be reported itself, where the scatterers let it be told."""
    found = [cells for seed in range(NUM_DRAWS) for cells in found_cells(link, seed, 0.0, 55.0)]
    assert found == pytest.approx([0.0] * len(found), abs=0.05)
    assert len(found) < NUM_DRAWS / 2


def test_it_would_without_the_look_at_what_alignment_takes_away(link, monkeypatch):
    """The control: ghosts, where the scatterers are."""
    look = NearResidual._beside

    def nothing(residual, first_s):
        grid, likelihood = look(residual, first_s)
        return grid, 0.0 * likelihood

    monkeypatch.setattr(NearResidual, "_beside", nothing)
    found = [found_cells(link, seed, 0.0, 55.0) for seed in range(NUM_DRAWS)]
    assert sum(max(cells, default=0.0) > 1.0 for cells in found) > NUM_DRAWS / 2


def test_what_is_rough_in_all_captures_is_no_noise_of_the_background(link):
    """Images 34 dB down look like noise in a background; taken for that, some echoes are ghosts."""
    ghosts = {
        known: sum(
            max(found_cells(link, seed, 0.0, 45.0, 0.02, known), default=0.0) > 1.0
            for seed in range(NUM_DRAWS)
        )
        for known in (0.0, None)
    }
    assert ghosts[0.0] == 0
    assert ghosts[None] > 0


def test_an_echo_further_off_is_found_where_it_is(link):
    for seed in range(NUM_DRAWS):
        best, *_ = found_cells(link, seed, 2.3, 40.0)
        assert best == pytest.approx(2.3, abs=0.1), seed


def test_so_is_one_that_alignment_takes_most_of(link):
    """Half a cell from the direct path, where a fifth of it is left."""
    found = [found_cells(link, seed, 0.5, 45.0) for seed in range(NUM_DRAWS)]
    assert all(cells and cells[0] == pytest.approx(0.5, abs=0.1) for cells in found)
