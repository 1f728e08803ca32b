"""`testbed bench` as it is called: one object for programs, a table for people."""

import subprocess
import sys

from testbed.bench.suite import CASES
from tests.unit.testbed.sites import call

ROW_KEYS = {
    "name", "time_s", "literal_s", "ratio", "error", "limit_s", "met", "ratio_limit",
    "error_limit", "peak_memory_bytes", "floor_s",
}  # fmt: skip


def test_json_has_the_keys_that_are_promised():
    found = call("bench", "--only", "channel", "--repeats", 3, "--json").result
    (row,) = found["results"]
    assert set(row) >= ROW_KEYS
    assert row["name"] == "channel"
    assert row["limit_s"] == 0.04
    assert row["time_s"] > 0.0
    assert row["ratio"] == row["literal_s"] / row["time_s"]
    assert row["error"] < row["error_limit"] == 1e-9
    assert isinstance(row["met"], bool)
    assert {"cpu", "num_cores", "numpy", "numba", "blas"} <= set(found["machine"])


def test_the_table_says_what_is_met_and_misses_are_no_error():
    outcome = call("bench", "--only", "CFAR", "--only", "help", "--repeats", 2)
    assert outcome.code == 0
    for words in ("CFAR", "help", "of 2 met", "Gflop/s"):
        assert words in outcome.out
    assert "2/2" in outcome.err


def test_what_matches_nothing_is_refused_with_all_names():
    outcome = call("bench", "--only", "nonsense")
    assert (outcome.code, outcome.out) == (2, "")
    assert "'nonsense'" in outcome.err
    for case in CASES:
        assert f"'{case.name}'" in outcome.err


def test_a_figure_is_of_growth(tmp_path):
    path = tmp_path / "growth.png"
    outcome = call("bench", "--figure", path)
    assert outcome.code == 2
    assert "--growth" in outcome.err
    assert call("bench", "--growth", "--only", "map").code == 2
    assert call("bench", "--growth", "--figure", tmp_path / "growth.txt").code == 2
    assert not list(tmp_path.iterdir())


def test_help_imports_nothing_that_takes_long():
    """So that the command line answers at once: numerics take a fifth of a second to import."""
    script = (
        "import sys; from testbed.cli import main; sys.argv = ['testbed', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "slow = {'numpy', 'scipy', 'numba', 'rich', 'yaml', 'msgspec'} & set(sys.modules)\n"
        "sys.exit(f'imported: {slow}' if slow else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Usage:" in done.stdout


def test_localize_does_without_the_statistics_of_scipy():
    """They take a quarter of a second to import, for a few functions."""
    script = "import sys, testbed.commands.localize as _; sys.exit('scipy.stats' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
