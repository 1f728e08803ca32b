"""Chunks on processes: what is finished first comes first."""

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Event

from testbed.runs.study_pool import on_processes

PATIENCE_S = 40.0


def waits_if_it_is_the_first(folder: Path, chunk: Sequence[int]) -> bool:
    """Whether a file was there in time, which chunk 0 waits for."""
    nothing, deadline_s = Event(), time.monotonic() + PATIENCE_S
    while chunk[0] == 0 and not (folder / "go").exists():
        if time.monotonic() > deadline_s:
            return False
        nothing.wait(0.05)
    return True


def test_what_is_finished_first_is_there_first(tmp_path):
    order = []
    work = partial(waits_if_it_is_the_first, tmp_path)
    for number, was_there in on_processes(work, [[0], [1], [2]], 2):
        (tmp_path / "go").touch()
        assert was_there
        order.append(number)
    assert order[0] != 0
    assert sorted(order) == [0, 1, 2]


def test_one_process_needs_no_other():
    sums = on_processes(sum, [[1, 2], [3]], 1)
    assert list(sums) == [(0, 3), (1, 3)]
    assert list(on_processes(sum, [], 8)) == []
