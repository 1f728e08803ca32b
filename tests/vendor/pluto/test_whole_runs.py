"""From an empty hall to a position: real libiio in the commands, software Plutos, processes."""

from pathlib import Path

import pytest

from tests.vendor.emulated_runs import run_scene

SITE = Path(__file__).parents[3] / "examples" / "three_plutos.yaml"


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_three_plutos_find_a_target_between_them():
    run = run_scene(SITE, 4, live=False)
    # That the ellipse holds what it says is for many runs to show: `tests.vendor.emulated_runs`.
    assert run.error_m < 0.6, run.row()
