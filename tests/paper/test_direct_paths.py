"""Direct paths of free-running nodes with one element: errors as stated, and what levels tell."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from testbed.build import simulated
from testbed.site import load_site
from tests.paper.direct_paths import path_errors, root_mean_square

SITE = Path(__file__).parents[2] / "examples" / "three_plutos.yaml"
NUM_SCENES = 30
TAIL = 1e-3


@pytest.fixture(scope="module")
def found():
    site = simulated(load_site(SITE))
    return [path for seed in range(NUM_SCENES) for path in path_errors(site, seed)]


def test_stated_deviations_are_neither_too_small_nor_too_large(found):
    size = np.array([abs(path.error_m) / path.stated_std_m for path in found])
    beyond, within = int(np.sum(size > 1.96)), int(np.sum(size < 0.25))
    assert stats.binomtest(beyond, len(size), 0.08, "greater").pvalue > TAIL, beyond
    assert stats.binomtest(within, len(size), 0.45, "greater").pvalue > TAIL, within


def test_levels_tell_which_way_scatterers_pull(found):
    alone_m = np.array([path.alone_m for path in found])
    told_m = alone_m - np.array([path.error_m for path in found])
    assert stats.spearmanr(told_m, alone_m, alternative="greater").pvalue < TAIL
    assert root_mean_square((alone_m - told_m).tolist()) < root_mean_square(alone_m.tolist())
