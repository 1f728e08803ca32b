"""The benchmark suite on a hall with little to compute: every row is there, and its errors hold."""

import math
from dataclasses import astuple

import numpy as np
import pytest
import yaml

from testbed.bench import literal, measuring, simulating
from testbed.bench.case import Case, Counts, Limits, Work, row_of
from testbed.bench.growth import Curve, fitted_exponent, measured_curves, num_curves
from testbed.bench.machine import Rates, fft_flop, floor_s, machine_info, measured_rates
from testbed.bench.suite import CASES, chosen_cases, run_case
from testbed.bench.table import bytes_text, growth_table, notes, results_table, seconds, summary
from testbed.bench.workload import Sizes, Workload, paper_hall
from testbed.commands.tables import screen
from testbed.errors import UsageError
from testbed.figure_files import save_figure
from testbed.figures.growth import growth_figure
from tests.unit.testbed.sites import ROOT, as_site, changed

RATES = Rates(1e9, 1e10, 1e10, 1e9, 1e8)
SMALL = Sizes(
    num_samples=16, num_receivers=2, many_nodes=12, many_receivers=2, num_scatterers=9,
    num_captures=6, num_noise_draws=10, num_sensings=4, num_trials=2, num_compared=2,
)  # fmt: skip
# Of these the error is a statistic, or the planner's own bound.
NOT_COMPARED = {"refinement", "P2 large"}


def small_hall():
    raw = yaml.safe_load((ROOT / "examples" / "factory.yaml").read_text(encoding="utf-8"))
    return as_site(
        changed(
            raw,
            {
                "waveform.num_subcarriers": 420,
                "waveform.subcarrier_spacing_khz": 120.0,
                "uniform_nodes.num_nodes": 8,
                "node_defaults.array.num_elements": 4,
                "simulation.num_clutter": 3,
                "sensing.max_sensings": 2,
            },
        )
    )


@pytest.fixture(scope="module")
def load():
    return Workload(small_hall(), SMALL)


def test_the_suite_measures_the_paper_s_hall():
    site = paper_hall()
    assert (site.waveform.num_subcarriers, site.node_defaults.array.num_elements) == (6666, 32)
    assert site.processing.num_angles == 181
    assert Workload(site).network.nodes[39].array.num_elements == 32
    assert len({case.name for case in CASES}) == len(CASES) == 19


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_gives_a_whole_row(case, load):
    row = run_case(case, load, 2, RATES)
    assert row.name == case.name
    assert row.time_s > 0.0
    assert row.peak_memory_bytes is not None
    assert (row.limit_s, row.ratio_limit) == (case.limits.time_s, case.limits.ratio)
    assert (row.floor_s is not None) == bool(case.floor_is)
    if case.limits.ratio is not None:
        assert row.literal_s is not None
        assert row.ratio == pytest.approx(row.literal_s / row.time_s)
    if case.limits.error is not None and case.name not in NOT_COMPARED:
        assert row.error is not None
        assert row.error <= case.limits.error
    if case.name == "refinement":
        assert 0.4 < row.error < 1.6


@pytest.mark.parametrize("name", ["report", "aligned report"])
def test_reports_are_those_of_the_literal_chain(name, load):
    case = next(case for case in CASES if case.name == name)
    work = case.prepare(load)
    assert work.run().hypotheses
    assert run_case(case, load, 1, RATES).error < 0.02  # resolution cells


def test_the_loop_is_measured_for_every_sensing(load):
    work = next(case for case in CASES if case.name == "loop p99").prepare(load)
    times_s = work.times_s()
    assert len(times_s) == SMALL.num_sensings
    assert min(times_s) > 0.0


CASE = Case("c", "work", Limits(1.0, 10.0, 0.1), lambda _load: Work(lambda: 0))


@pytest.mark.parametrize(
    ("values", "met"),
    [
        ({"time_s": 1.0, "literal_s": 10.0, "error": 0.1}, True),
        ({"time_s": 1.1, "literal_s": 20.0, "error": 0.0}, False),
        ({"time_s": 1.0, "literal_s": 9.0, "error": 0.0}, False),
        ({"time_s": 1.0, "literal_s": 10.0, "error": 0.11}, False),
        ({"time_s": 0.1, "error": 0.0}, False),  # a ratio that is not known is not met
        ({"time_s": 0.1, "literal_s": 10.0}, False),
        ({"time_s": 0.1, "literal_s": 10.0, "error": math.nan}, False),
    ],
)
def test_a_row_is_met_only_if_all_its_limits_are(values, met):
    time_s = values.pop("time_s")
    assert row_of(CASE, time_s, **values).met is met


def test_fast_and_literal_run_in_turns():
    calls = []
    times_s, literal_times_s = measuring.in_turns(
        lambda: calls.append("fast"), lambda: calls.append("literal"), 6, 1.3
    )
    assert (len(times_s), len(literal_times_s)) == (6, 3)  # 3 times 1.3 s fit into four
    assert calls.count("fast") == 6
    assert calls[0] == "fast"
    assert calls[-1] == "literal"
    assert calls != sorted(calls)


def test_what_takes_too_long_is_not_run_again():
    def literal_again():
        pytest.fail("was to run once only")

    assert measuring.in_turns(lambda: None, literal_again, 5, 60.0)[1] == []


def test_what_runs_first_is_not_measured(load):
    results = iter([7, 8, 9, 10, 11])
    work = Work(lambda: next(results), lambda: 6, lambda found, expected: found - expected)
    row = measuring.measured(CASE, work, 2, RATES)
    assert row.error == 1
    assert next(results, None) is None  # two before, two measured, one for its memory


def test_peak_memory_is_what_a_call_holds_at_a_time():
    def run():
        for _ in range(3):
            np.ones(10**6, dtype=np.uint8)

    assert 10**6 <= measuring.peak_memory_bytes(run) < 1.1e6


def test_floor_is_the_longer_of_moving_and_computing():
    counts = Counts(memory_bytes=1e9, cache_bytes=1e10, product_flop=1e10)
    assert floor_s(counts, RATES) == pytest.approx(2.0)
    counts = Counts(memory_bytes=1e9, product_flop=2e10, fft_flop=1e9, normals=1e8, constant_s=0.5)
    assert floor_s(counts, RATES) == pytest.approx(3.0 + 1.0 + 0.5)
    assert fft_flop(1024, 3) == 5 * 1024 * 10 * 3
    assert fft_flop(1024, 1, 32) == 5 * 1024 * 5


def test_rates_and_machine_are_told():
    assert all(value > 0.0 for value in astuple(measured_rates()))
    assert {"cpu", "num_cores", "numpy", "numba", "blas"} <= set(machine_info())


def test_cases_are_chosen_by_parts_of_their_names():
    assert [case.name for case in chosen_cases(["MAP"])] == ["map", "cached map"]
    assert [case.name for case in chosen_cases(["sfi", "median"])] == ["SFI", "median"]
    assert chosen_cases([]) == list(CASES)
    with pytest.raises(UsageError, match=r"'nonsense'.*'alignment', 'map'.*'help'"):
        chosen_cases(["map", "nonsense"])


def test_without_a_checkout_there_are_times_only(load, monkeypatch, tmp_path):
    monkeypatch.setattr(literal, "_FOLDER", tmp_path)
    assert not literal.have_literals()
    for case in CASES:
        if case.name in ("study link", "help"):
            continue  # start processes
        row = run_case(case, load, 1, RATES)
        assert row.time_s > 0.0
        assert (row.literal_s, row.ratio) == (None, None)
        if case.limits.ratio is not None:
            assert row.error is None
            assert not row.met


def test_growth_is_measured_and_drawn(tmp_path):
    site = small_hall()
    curves = list(measured_curves(site))
    assert len(curves) == num_curves(site)
    for curve in curves:
        assert list(curve.sizes) == sorted(set(curve.sizes))
        assert len(curve.time_s) == len(curve.peak_memory_bytes) == len(curve.sizes)
        assert math.isfinite(curve.time_exponent)
    path = tmp_path / "growth.png"
    save_figure(growth_figure(curves), path)
    assert path.read_bytes().startswith(b"\x89PNG")
    assert growth_table(curves).row_count == len(curves)


def test_exponents_are_slopes_of_logarithms():
    sizes = (1, 2, 4, 10)
    assert fitted_exponent(sizes, [3.0 * n**1.5 for n in sizes]) == pytest.approx(1.5)
    curve = Curve("w", "n", sizes, (1.0, 2.0, 4.0, 10.0), (0, 1, 2, 3), 1.0)
    assert curve.time_exponent == pytest.approx(1.0)
    assert curve.memory_exponent is None


def test_times_and_amounts_have_units():
    assert [seconds(t) for t in (None, 2.0, 0.0123, 4.5e-5, 3e-8)] == [
        "-", "2 s", "12.3 ms", "45 µs", "0.03 µs",
    ]  # fmt: skip
    assert [bytes_text(n) for n in (None, 12, 2_500, 3_090_000, 10**9)] == [
        "-", "12 B", "2.5 kB", "3.09 MB", "1 GB",
    ]  # fmt: skip


def test_the_table_fits_into_a_hundred_columns():
    rows = [
        row_of(case, 0.123, literal_s=456.0, error=1.2e-7, peak_memory_bytes=123_000_000,
               floor_s=1.23e-4)
        for case in CASES
    ]  # fmt: skip
    out = screen()
    out.width = 100
    with out.capture() as captured:
        out.print(results_table(rows))
    text = captured.get()
    assert "…" not in text
    assert sum(line.rstrip().endswith(("yes", "no")) for line in text.splitlines()) == len(rows)
    assert summary(rows[:1]) == "0 of 1 met; not met: alignment"
    assert any(line.startswith("floor (map, cached map, ") for line in notes(rows))


def test_a_study_is_timed_after_its_processes_have_started():
    finished = [(10.0, 20), (11.0, 20), (13.0, 25), (14.0, 15)]
    assert simulating._time_per_link_s(0.0, finished) == pytest.approx(3.0 / 40)
    assert simulating._time_per_link_s(1.0, finished[:1]) == pytest.approx(9.0 / 20)
