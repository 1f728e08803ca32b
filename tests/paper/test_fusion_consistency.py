"""The fusion's claims over a small study of section VI's hall (M = 4, one receiver).

Full size: ``testbed study run examples/factory.yaml --num-elements 4 --trials 1000``.
"""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from scipy import stats

from fusion.sensing import CHI2_95
from testbed.build import Overrides, overridden
from testbed.runs.cases import trial_seeds
from testbed.runs.study import (
    WRONG_M,
    clopper_pearson,
    run_study,
    study_object,
)
from testbed.runs.trial import TrialResult
from testbed.site import Site, load_site

ROOT = Path(__file__).parents[2]
SEED = 1
NUM_TRIALS = 60


def factory(**overrides) -> Site:
    site = load_site(ROOT / "examples" / "factory.yaml")
    return overridden(site, Overrides(num_elements=4, num_receivers=1, **overrides))


@pytest.fixture(scope="module")
def study():
    # Within the first test that asks, whose time limit it counts against
    site = factory()
    results, elapsed_s = run_study(site, NUM_TRIALS, SEED, "learned", 1)
    return results, study_object(site, results, SEED, elapsed_s)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_none_is_wrong_and_errors_are_of_centimetres(study):
    results, summary = study
    assert summary["trials"] == len(results) == NUM_TRIALS
    assert summary["wrong_fraction"] == 0.0
    assert not any(r.converged and r.error_m[-1] > WRONG_M for r in results)
    assert summary["median_m"][-1] < 0.02
    # At most one in twenty without an answer: 95 % Clopper-Pearson of 0 in 60 ends at 0.06.
    assert summary["unresolved_interval"][0] < 0.05


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_ellipses_hold_what_they_say(study):
    results, summary = study
    nees = np.array([r.nees for r in results if r.converged])
    inside = int(np.sum(nees <= CHI2_95))
    low, high = clopper_pearson(inside, len(nees))
    assert summary["coverage_95"] == pytest.approx(inside / len(nees))
    assert low <= 0.95 <= high
    assert stats.kstest(nees, stats.chi2(2).cdf).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_sensing_on_pays(study):
    """Median after each sensing: it falls by two orders of magnitude, and does not rise again.

    Sixty medians of errors that are held once a run has ended: some 20 % of scatter each.
    """
    _, summary = study
    median_m = np.array(summary["median_m"])
    assert median_m[-1] < 0.01 * median_m[0]
    assert (median_m[1:] <= 1.5 * median_m[:-1]).all()
    assert 2.0 < summary["mean_num_sensings"] < 6.0
    # A sensing is one symbol of a frame's 140.
    assert summary["throughput_loss_pct"] == pytest.approx(summary["mean_num_sensings"] / 1.4)


def test_results_do_not_depend_on_the_number_of_processes():
    """Bit for bit, and in order: a trial's scene follows from its number alone."""
    site = factory(max_sensings=4)
    assert site.uniform_nodes is not None
    site = msgspec.structs.replace(
        site,
        uniform_nodes=msgspec.structs.replace(site.uniform_nodes, num_nodes=10),
        waveform=msgspec.structs.replace(
            site.waveform, num_subcarriers=512, subcarrier_spacing_khz=195.0
        ),
    )
    num_trials = 11  # more than one process takes at a time
    done: list[TrialResult] = []
    alone, _ = run_study(site, num_trials, SEED, "learned", 1)
    shared, _ = run_study(site, num_trials, SEED, "learned", 2, done.extend)
    assert shared == alone
    assert [r.seed for r in alone] == trial_seeds(SEED, num_trials)
    assert len(done) == num_trials
    assert {r.seed: r for r in done} == {r.seed: r for r in shared}  # whichever ends first
    # And a longer study begins with the shorter one.
    longer, _ = run_study(site, num_trials + 2, SEED, "learned", 1)
    assert longer[:num_trials] == alone
