"""The short form of `python -m tests.paper.suspicious_entries`."""

from threadpoolctl import threadpool_limits

from tests.paper.suspicious_entries import FAULTS, judged, picture, tuned_once


def test_faults_are_named_and_healthy_entries_are_not(tmp_path):
    with threadpool_limits(limits=1):
        hall = judged(tuned_once(), 0, tmp_path)
    assert hall.healthy == (0, 30)
    assert hall.named == set(FAULTS)
    assert hall.others == 0
    assert hall.moved[0] > 0
    assert hall.moved[1] == 0
    picture(tmp_path / "hall-0", tmp_path / "coverage.png")
    assert (tmp_path / "coverage.png").stat().st_size > 10_000
