"""Which trials of a study are missing, and what it took."""

import pytest

from testbed.runs.study_finished import FinishedTrials


def finished(*chunks: tuple[int, str]) -> FinishedTrials[str]:
    found = FinishedTrials[str]()
    for first, chunk in chunks:
        found.put(first, list(chunk), 0.5)
    return found


@pytest.mark.parametrize(
    ("chunks", "trials", "missing"),
    [
        ([], 10, [range(4), range(4, 8), range(8, 10)]),
        ([(4, "efgh")], 10, [range(4), range(8, 10)]),
        ([(0, "abcd"), (4, "ef")], 6, []),
        ([(0, "abcd"), (4, "ef")], 10, [range(6, 8), range(8, 10)]),  # asked for more than before
        ([(0, "abcd"), (5, "f")], 8, [range(4, 5), range(6, 8)]),
        ([(0, "abcdefgh")], 3, []),
    ],
)
def test_what_is_missing_in_chunks(chunks, trials, missing):
    assert finished(*chunks).missing(trials, 4) == missing


def test_results_in_order_of_trials_whatever_came_first():
    found = finished((4, "efg"), (0, "abcd"))
    assert "".join(found.of_first(7)) == "abcdefg"
    assert "".join(found.of_first(5)) == "abcde"
    assert "".join(finished((4, "ef"), (0, "ab")).of_first(9)) == "abef"


def test_seconds_are_those_of_the_trials_asked_for():
    found = finished((0, "abcd"), (4, "efgh"))
    assert found.elapsed_s(8) == 1.0
    assert found.elapsed_s(4) == 0.5
