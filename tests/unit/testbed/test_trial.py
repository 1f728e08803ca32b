"""One trial: policies in simulated scenes, and the bounds beside what they reach."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from drivers.link_budget import channel_noise_var
from fusion.network import Network
from fusion.policy import Bound, PolicyError
from fusion.sensing import PositionEstimate, SensingConfig
from testbed.runs.cases import trial_seeds
from testbed.runs.links import Processors
from testbed.runs.paper_literal import is_paper_literal, paper_literal
from testbed.runs.policies import BUILT_IN
from testbed.runs.setup import simulate
from testbed.runs.study import run_study
from testbed.runs.trial import run_trial
from testbed.runs.trial_bounds import TruthBounds
from tests.unit.fusion.halls import report_of
from tests.unit.testbed.sites import as_site, changed, lab, tiny

SITE = as_site(changed(lab(), {"waveform.num_subcarriers": 200, "sensing.max_sensings": 3}))


def test_the_paper_s_settings_are_one_flag():
    literal = paper_literal(SITE)
    sensing = literal.sensing
    assert (sensing.fusion, sensing.initialization) == ("latest", "field_of_view")
    assert (sensing.stopping, sensing.bearing) == ("repeat", "angle")
    assert sensing.max_sensings == 3
    assert is_paper_literal(literal)
    assert not is_paper_literal(SITE)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_policy_gives_a_result(name):
    for site in (SITE, paper_literal(SITE)):
        result = run_trial(site, 5, "learned", Processors(site), policy=name)
        theory = name.endswith("_peb")
        assert result.policy == name
        assert result.knows_truth == (theory or name == "obs")
        assert (result.nees is None) == (result.bounds[-1] is None) == theory
        assert 1 <= result.num_symbols <= 3 or theory
        assert result.num_links == 2 * len(result.error_m) or theory
        if theory:
            assert (result.error_m, result.converged) == ((result.peb_m,), False)
            assert (result.num_links, result.num_symbols) == (0, 0)


def test_looks_of_one_scene_are_the_same_for_every_policy():
    """So that policies are compared in pairs: the first look of these two is one."""
    processors = Processors(SITE)
    for seed in trial_seeds(3, 5):
        proposed, rsa = (
            run_trial(SITE, seed, "learned", processors, policy=name)
            for name in ("proposed", "rsa")
        )
        assert proposed.error_m[0] == rsa.error_m[0]


def network() -> tuple[Network, np.ndarray]:
    simulation = simulate(SITE, 4)
    return Network(simulation.source.nodes, simulation.source.grid), simulation.target_m


def bound_m(information: np.ndarray) -> float:
    xx, xy, yy = information
    return float(np.sqrt(np.trace(np.linalg.inv([[xx + 1e-6, xy], [xy, yy + 1e-6]]))))


def test_bounds_are_of_the_looks_and_their_draws():
    known, target_m = network()
    tx, rx, other = known.nodes[:3]
    reports = [report_of(tx, rx, sensing_index=0), report_of(rx, other, sensing_index=1)]
    drawn = {0: 0.25, 1: 3.0}
    bounds = TruthBounds(known, target_m, 2.0, lambda _tx, _rx, index: drawn[index])
    (_, early), (_, bounds) = bounds.of(reports)

    def links(rcs_m2):
        snr = known.snr(target_m[None], np.array([rcs_m2]))
        return known.information(target_m[None], snr)[0]

    assert early.conditional_m == pytest.approx(bound_m(links(0.25)[0, 1]))
    assert bounds.conditional_m == pytest.approx(bound_m(links(0.25)[0, 1] + links(3.0)[1, 2]))
    assert bounds.mean_rcs_m == pytest.approx(bound_m(links(2.0)[0, 1] + links(2.0)[1, 2]))
    # The oracle takes the best link, then the best on top of what that brought.
    size = len(known.nodes)
    pairs = [(i, j) for i in range(size) for j in range(size) if i != j]
    first = min(pairs, key=lambda pair: bound_m(links(2.0)[pair]))
    brought = links(0.25)[first]
    second = min(pairs, key=lambda pair: bound_m(brought + links(2.0)[pair]))
    assert bounds.oracle_m == pytest.approx(bound_m(brought + links(3.0)[second]))
    assert np.hypot(*bounds.oracle_axes_m) == pytest.approx(bounds.oracle_m)
    assert bounds.oracle_axes_m[0] >= bounds.oracle_axes_m[1]


def test_symbols_of_a_burst_count_in_bounds():
    """Four symbols of one RCS are worth one symbol of four times as much."""
    known, target_m = network()
    one = report_of(*known.nodes[:2])

    def conditional_m(rcs_m2, report):
        bounds = TruthBounds(known, target_m, 2.0, lambda *_look: rcs_m2)
        ((_, only),) = bounds.of([report])
        return only.conditional_m

    four = conditional_m(0.5, replace(one, num_averaged=4))
    assert four == pytest.approx(conditional_m(2.0, one))
    assert four < conditional_m(0.5, one)


def test_an_efficient_estimator_is_at_the_bound():
    """The oracle's single shot without clutter: strong echoes, the best link, one peak."""
    strong = {"simulation.mean_rcs_dbsm": 20.0, "sensing.mean_rcs_dbsm": 20.0}
    site = as_site(changed(lab(), strong))
    results, _ = run_study(site, 100, 1, "perfect", 1, policy="obs")
    found = [r for r in results if r.converged]
    assert len(found) >= 90
    ratios = [r.error_m[-1] / r.bounds[-1].conditional_m for r in found]
    # The mean square of 100 ratios has a standard deviation of at most sqrt(2/100).
    assert np.mean(np.square(ratios)) == pytest.approx(1.0, abs=4 * np.sqrt(2 / len(ratios)))
    assert {r.num_symbols for r in results} == {site.sensing.max_sensings}


class Silent:
    def run(self, world):
        return iter(())


class Greedy:
    def run(self, world):
        first, second, *_ = world.network.index
        world.sense(SensingConfig(first, (second,)), world.settings.max_sensings + 1)
        yield Bound(1.0)


class Still:
    """States without a status what it found."""

    def run(self, world):
        yield PositionEstimate(np.zeros(2), 1e-4 * np.eye(2), 1.0, "searching")


@pytest.fixture
def others(monkeypatch):
    for policy in (Silent, Greedy, Still):
        monkeypatch.setitem(BUILT_IN, policy.__name__, policy)


def test_a_policy_that_breaks_the_rules_is_named(others):
    processors = Processors(SITE)
    with pytest.raises(PolicyError, match="'Silent': it ended without a position"):
        run_trial(SITE, 1, "learned", processors, policy="Silent")
    with pytest.raises(PolicyError, match="'Greedy': sensing 1 asks for 4") as caught:
        run_trial(SITE, 1, "learned", processors, policy="Greedy")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301


def test_a_position_without_a_status_is_found_if_it_is_sharp_enough(others):
    for tolerance_m, found in ((0.5, True), (0.01, False)):
        site = as_site(changed(lab(), {"sensing.tolerance_m": tolerance_m}))
        assert run_trial(site, 1, "learned", Processors(site), policy="Still").converged is found


def test_radios_send_no_other_burst_than_the_site_s():
    site = as_site(changed(tiny(), {"sensing.max_sensings": 2}))
    processors = Processors(site)
    with pytest.raises(PolicyError, match=r"policy 'fis'.*--fidelity pilot"):
        run_trial(site, 5, "learned", processors, "iq", "fis")
    result = run_trial(site, 5, "learned", processors, "iq", "rsa")
    assert 0.0 < result.bounds[-1].oracle_m < result.bounds[-1].conditional_m


def noise_of(source, num_bursts):
    """What a look at a target far too small hears, and of how many symbols."""
    tx, rx = source.nodes[:2]
    (capture,) = source.sense(tx.node_id, [rx.node_id], 0)
    var = np.mean(np.abs(capture.rx_pilots) ** 2) / channel_noise_var(tx, rx, source.grid)
    assert capture.num_averaged == num_bursts
    return var


def test_a_burst_has_the_site_s_symbols_and_as_much_less_noise():
    silent = changed(lab(), {"simulation.mean_rcs_dbsm": -200.0})
    for num_symbols in (1, 8):
        site = as_site(changed(silent, {"waveform.num_symbols": num_symbols}))
        source = simulate(site, 7, cancel_static=True).source
        # 600 tones of 4 elements: the mean power's standard deviation is a fiftieth
        assert noise_of(source, num_symbols) == pytest.approx(1 / num_symbols, rel=0.08)


class Twice:
    """Senses once with the site's burst, once with two in one."""

    def run(self, world):
        first, second, *_ = world.network.index
        belief = world.new_belief()
        for num_bursts in (1, 2):
            reports = world.sense(SensingConfig(first, (second,)), num_bursts)
            self.num_averaged.append([report.num_averaged for report in reports])
            belief.update(reports)
            yield belief.summary()


def test_bursts_of_a_sensing_have_the_site_s_symbols_each(monkeypatch):
    monkeypatch.setattr(Twice, "num_averaged", [], raising=False)
    monkeypatch.setitem(BUILT_IN, "Twice", Twice)
    site = as_site(changed(lab(), {"waveform.num_symbols": 8, "waveform.num_subcarriers": 200}))
    result = run_trial(site, 5, "learned", Processors(site), policy="Twice")
    assert Twice.num_averaged == [[8], [16]]
    assert result.num_symbols == 3


def test_bounds_of_several_symbols_are_of_all_of_them(monkeypatch):
    """A bound follows the square root of the information where nothing else limits it."""
    exact = {"node_defaults.survey": {}, "waveform.num_subcarriers": 200}
    found = {}
    for num_symbols in (1, 4):
        site = as_site(changed(lab(), exact | {"waveform.num_symbols": num_symbols}))
        result = run_trial(site, 5, "perfect", Processors(site), policy="obs")
        found[num_symbols] = result.bounds[-1].mean_rcs_m
    assert found[1] == pytest.approx(2.0 * found[4], rel=0.01)


def test_averaging_symbols_takes_noise_alone_away():
    source = simulate(SITE, 7, cancel_static=True).source
    tx, rx = source.nodes[:2]
    one = source.sense(tx.node_id, [rx.node_id], 0)[0]
    many = source.of_symbols(400).sense(tx.node_id, [rx.node_id], 0)[0]
    assert (one.num_averaged, many.num_averaged) == (1, 400)
    var = channel_noise_var(tx, rx, source.grid)
    # One draw of noise, 20 times smaller; the echo is that of the same draw of the RCS.
    difference = one.rx_pilots - many.rx_pilots
    assert np.mean(np.abs(difference) ** 2) == pytest.approx(var * 0.95**2, rel=0.1)
    background = source.of_symbols(400).sense_background(tx.node_id, [rx.node_id], 0)[0]
    assert background.num_averaged == 1
