"""Studies: statistics by hand, and results that depend on the seed alone."""

import os
import signal
import sys
import tempfile
import threading
from dataclasses import replace
from types import FrameType

import numpy as np
import pytest

from testbed.commands.study import _trial_writer
from testbed.runs.cases import trial_seeds
from testbed.runs.links import Processors
from testbed.runs.paper_literal import paper_literal
from testbed.runs.study import (
    TRIAL_COLUMNS,
    clopper_pearson,
    held_errors_m,
    run_study,
    study_object,
    trial_row,
)
from testbed.runs.trial import TrialResult, run_trial
from testbed.runs.trial_bounds import TrialBounds
from tests.unit.testbed.sites import as_site, changed, lab, tiny

SITE = as_site(changed(lab(), {"waveform.num_subcarriers": 200, "sensing.max_sensings": 3}))


def trial(errors, *, converged=True, nees=1.0, num_links=2, bounds=None, policy="proposed"):
    return TrialResult(
        0, tuple(errors), converged, nees, 0.1, num_links,
        num_symbols=len(errors), bounds=(bounds,) * len(errors), policy=policy,
        knows_truth=policy == "obs",
    )  # fmt: skip


def test_trial_seeds_follow_from_seed_and_number_alone():
    assert trial_seeds(7, 20)[:5] == trial_seeds(7, 5)
    seeds = trial_seeds(7, 200) + trial_seeds(8, 200)
    assert len(set(seeds)) == 400
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_a_trial_that_stopped_holds_its_last_error():
    errors = held_errors_m([trial([3.0, 1.0]), trial([4.0, 3.0, 2.0, 1.0])], 4)
    assert errors.tolist() == [[3.0, 1.0, 1.0, 1.0], [4.0, 3.0, 2.0, 1.0]]


def test_statistics_by_hand():
    results = [
        trial([3.0, 1.0], nees=0.5),
        trial([4.0, 2.0], nees=1.0),
        trial([12.0, 6.0], nees=100.0),  # wrong: converged, more than 5 m off
        trial([12.0, 9.0], converged=False, nees=0.1, num_links=6),  # unresolved, so not wrong
    ]
    found = study_object(SITE, results, seed=5, elapsed_s=2.0)
    assert found["rmse_m"] == pytest.approx(np.sqrt([313 / 4, 122 / 4, 122 / 4]))
    assert found["median_m"] == [8.0, 4.0, 4.0]
    assert found["p99_m"] == pytest.approx([12.0, 8.91, 8.91])
    percentiles = found["percentiles_m"]
    assert isinstance(percentiles, dict)
    assert list(percentiles) == ["25", "50", "75", "90", "95", "99"]
    assert percentiles["25"] == pytest.approx(1.75)
    assert percentiles["75"] == pytest.approx(6.75)
    assert (found["wrong_fraction"], found["unresolved_fraction"]) == (0.25, 0.25)
    assert found["mean_num_sensings"] == 2.0
    assert found["throughput_loss_pct"] == pytest.approx(100 * 2 / 280)
    # Of the three that converged: 0.5 and 1.0 lie below 1.386 and 5.991, 100 above.
    assert found["coverage_50"] == pytest.approx(2 / 3)
    assert found["coverage_95"] == pytest.approx(2 / 3)
    assert found["nees_median"] == 1.0
    assert found["links_per_second"] == 6.0
    assert (found["trials"], found["seed"]) == (4, 5)


def test_nothing_is_said_of_coverage_where_nothing_converged():
    found = study_object(SITE, [trial([1.0], converged=False)] * 3, seed=0, elapsed_s=1.0)
    assert found["coverage_50"] is found["coverage_95"] is found["nees_median"] is None
    assert found["unresolved_fraction"] == 1.0
    assert found["wrong_fraction"] == 0.0


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 16, 0.0, 1 - 0.025 ** (1 / 16)),
        (16, 16, 0.025 ** (1 / 16), 1.0),
        (10, 100, 0.04900, 0.17622),  # Newcombe, Statistics in Medicine 17 (1998), method 5
        (1, 1, 0.025, 1.0),
    ],
)
def test_intervals_are_exact(successes, trials, low, high):
    assert clopper_pearson(successes, trials) == pytest.approx([low, high], abs=1e-5)


def test_a_study_is_its_trials_in_order():
    finished = []
    results, elapsed_s = run_study(SITE, 11, 3, "learned", 1, finished.append)
    assert [len(chunk) for chunk in finished] == [8, 3]
    assert [result for chunk in finished for result in chunk] == results
    assert elapsed_s > 0.0
    seeds = trial_seeds(3, 11)
    assert [result.seed for result in results] == seeds
    processors = Processors(SITE)
    for number in (0, 7, 10):
        assert run_trial(SITE, seeds[number], "learned", processors) == results[number]


def test_backgrounds_of_a_study():
    """Paired on the same scenes: without a background the clutter is what is found."""
    medians_m = {}
    for background in ("perfect", "learned", "none"):
        results, _ = run_study(SITE, 5, 2, background, 1)
        for result in results:
            assert 1 <= len(result.error_m) <= 3
            assert result.num_links == 2 * len(result.error_m)
            assert result.nees >= 0.0
            assert result.peb_m > 0.0
        medians_m[background] = np.median([result.error_m[-1] for result in results])
    assert medians_m["perfect"] < 0.5
    assert medians_m["learned"] < 0.5
    assert medians_m["none"] > 5.0


def test_a_study_of_radios_does_not_depend_on_jobs():
    """Each trial calibrates nodes and learns backgrounds of its own, in a place of its own."""
    site = as_site(tiny())
    finished = []
    alone, _ = run_study(site, 2, 5, "learned", 1, finished.append, "iq")
    assert [len(chunk) for chunk in finished] == [1, 1]  # IQ takes long: progress by trial
    together, _ = run_study(site, 2, 5, "learned", 2, fidelity="iq")
    assert together == alone
    assert [result.seed for result in alone] == trial_seeds(5, 2)
    seed = alone[1].seed
    assert run_trial(site, seed, "learned", Processors(site), "iq") == alone[1]
    assert run_trial(site, seed, "none", Processors(site), "iq") != alone[1]


def test_a_study_of_radios_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run_study(as_site(tiny()), 1, 5, "learned", 1, fidelity="iq")
    assert list(tmp_path.iterdir()) == []


def test_a_row_per_trial():
    found = trial([3.0, 1.5], nees=0.25, bounds=TrialBounds(0.5, 0.4, 0.3, (0.3, 0.0)))
    row = dict(zip(TRIAL_COLUMNS, trial_row(found), strict=True))
    assert row == {
        "seed": 0, "num_sensings": 2, "converged": True, "error_m": 1.5, "peb_m": 0.1, "nees": 0.25,
        "policy": "proposed", "num_symbols": 2, "conditional_bound_m": 0.5,
        "mean_rcs_bound_m": 0.4, "oracle_bound_m": 0.3,
    }  # fmt: skip
    row = dict(zip(TRIAL_COLUMNS, trial_row(trial([3.0], nees=None)), strict=True))
    unknown = ("nees", "conditional_bound_m", "mean_rcs_bound_m", "oracle_bound_m")
    assert {name for name, value in row.items() if value is None} == set(unknown)


def test_bounds_stand_beside_results():
    """Their medians of all trials; errors over them of those that found the target."""
    results = [
        trial([3.0, 0.6], bounds=TrialBounds(0.2, 0.1, 0.05, (0.05, 0.0))),
        trial([0.8], bounds=TrialBounds(0.8, 0.3, 0.06, (0.06, 0.0))),
        trial([90.0], converged=False, bounds=TrialBounds(0.9, 0.4, 0.07, (0.07, 0.0))),
        trial([0.1], policy="obs"),
    ]
    found = study_object(SITE, results, seed=5, elapsed_s=2.0)
    assert found["conditional_bound_median_m"] == 0.8
    assert found["mean_rcs_bound_median_m"] == 0.3
    assert found["oracle_bound_median_m"] == 0.06
    assert found["rmse_over_conditional_bound"] == pytest.approx(np.sqrt((9 + 1) / 2))
    assert (found["policy"], found["knows_truth"]) == ("proposed", True)
    assert found["paper_literal"] is False
    literal = study_object(paper_literal(SITE), [trial([1.0])], seed=5, elapsed_s=2.0)
    assert literal["paper_literal"] is True
    assert literal["rmse_over_conditional_bound"] is literal["oracle_bound_median_m"] is None


def test_rows_are_in_order_whatever_finishes_first(tmp_path):
    path, results = tmp_path / "trials.csv", {}

    def seeds_after(*numbers):
        results.update((number, replace(trial([1.0]), seed=9 - number)) for number in numbers)
        write()
        return [int(row.split(",")[0]) for row in path.read_text().splitlines()[1:]]

    with _trial_writer(path, results, 4) as write:
        assert seeds_after(2) == []
        assert seeds_after(0, 1) == [9, 8, 7]
        assert seeds_after(3, 4) == [9, 8, 7, 6]  # not what nobody asked for


@pytest.fixture
def interruptible():
    """As at a terminal; a shell's background jobs start with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_an_interrupted_study_ends_without_a_word(interruptible, monkeypatch):
    """Where the pool's thread sees its workers die before it is told to shut down."""
    failures: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failures.append)
    threads = set(threading.enumerate())
    kill = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))

    def schedule(frame: FrameType, event: str, _argument: object) -> None:
        module, name = frame.f_globals.get("__name__"), frame.f_code.co_name
        if (event, module, name) == ("call", "concurrent.futures._base", "result"):
            # Later, while it waits: a profiler in which an exception is raised is no more. Once: it
            # asks for more than one result.
            if kill.ident is None:
                kill.start()
        elif (event, module, name) == ("call", "concurrent.futures.process", "shutdown"):
            for thread in set(threading.enumerate()) - threads:
                thread.join(10.0)

    sys.setprofile(schedule)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_study(SITE, 100, 1, "learned", jobs=2)
    finally:
        sys.setprofile(None)
    assert failures == []
