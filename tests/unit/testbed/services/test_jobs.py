"""Jobs of a coordinator: each once, one at a time, and taken up by the next coordinator."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.radio_errors import RadioError
from fusion.sensing import SensingConfig
from testbed.bus.job_messages import (
    EstimateFields,
    JobAsked,
    JobOptions,
    RecordFields,
    SensedFields,
)
from testbed.errors import UsageError
from testbed.services.jobs import Job, Jobs

DEADLINE_S = 20.0


def asked(job_id: str = "one", **options) -> JobAsked:
    return JobAsked(request_id=1, job_id=job_id, task="localize", options=JobOptions(**options))


def record(index: int) -> RecordFields:
    return RecordFields(
        sensed=SensedFields(
            index=index, absent=[], config=SensingConfig("a", ("b",)), reports=[], problems={}
        ),
        estimate=EstimateFields(
            position_m=(1.0, 2.0), covariance_m2=((1.0, 0.0), (0.0, float("inf"))),
            probability=0.0, status="searching",
        ),
        error_m=None,
    )  # fmt: skip


class Work:
    """What jobs are made to do, step by step."""

    def __init__(self, act: Callable[[Job], None] = lambda _job: None) -> None:
        self.begun: list[str] = []
        self.act = act
        self.go_on = threading.Event()

    def __call__(self, job: Job) -> None:
        self.begun.append(job.asked.job_id)
        self.act(job)

    def until_it_is_to_end(self, job: Job) -> None:
        """Check again and again, as a run does that waits for something."""
        while not self.go_on.wait(0.001):
            job.check()

    def whatever_happens(self, _job: Job) -> None:
        """Never check, as a run that computes."""
        assert self.go_on.wait(DEADLINE_S)


@contextmanager
def jobs_in(folder: Path, work: Work) -> Iterator[Jobs]:
    """A coordinator's jobs; as if it were killed at the end, but for threads that are let go on."""
    jobs = Jobs(folder / "jobs", work)
    try:
        yield jobs
    finally:
        jobs.close()
        work.go_on.set()
        assert jobs.has_left(DEADLINE_S)


def ended(jobs: Jobs, job_id: str = "one") -> Job:
    """A job, as soon as it is not running any more."""
    deadline_s = time.monotonic() + DEADLINE_S
    while (job := jobs.found(job_id)) is None or job.status == "running":
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.001)
    return job


def test_a_job_that_is_asked_for_again_is_the_same(tmp_path):
    work = Work()
    with jobs_in(tmp_path, work) as jobs:
        assert jobs.start(asked()) is None
        job = ended(jobs)
        assert jobs.start(asked(seed=7)) is None
        assert jobs.found("one") is job
        assert (job.status, job.progress, work.begun) == ("done", "done", ["one"])


def test_a_second_one_is_refused_until_the_first_has_ended(tmp_path):
    work = Work()
    work.act = work.until_it_is_to_end
    with jobs_in(tmp_path, work) as jobs:
        assert jobs.start(asked()) is None
        assert jobs.start(asked()) is None
        refused = jobs.start(asked("two"))
        assert refused is not None
        assert refused.startswith("busy: job one (localize) is running")
        assert jobs.found("two") is None
        work.go_on.set()
        ended(jobs)
        assert jobs.start(asked("two")) is None
        assert ended(jobs, "two").status == "done"
        assert [row.job_id for row in jobs.rows()] == ["one", "two"]


def test_a_job_that_is_cancelled_ends_so_for_whoever_asks_later(tmp_path):
    work = Work()
    work.act = work.until_it_is_to_end
    with jobs_in(tmp_path, work) as jobs:
        jobs.start(asked())
        jobs.cancel("one")
        jobs.cancel("nobody's")
        assert ended(jobs).status == "cancelled"
    with jobs_in(tmp_path, Work()) as later:
        assert later.resume() is None
        assert later.found("one").status == "cancelled"


def test_a_job_that_is_cancelled_stays_so_whenever_its_coordinator_is_killed(tmp_path):
    first = Work()
    first.act = first.whatever_happens
    with jobs_in(tmp_path, first) as jobs:
        jobs.start(asked())
        jobs.cancel("one")
        shutil.copytree(tmp_path / "jobs", tmp_path / "as it was" / "jobs")
    with jobs_in(tmp_path / "as it was", Work()) as later:
        assert later.resume() is None
        assert later.found("one").status == "cancelled"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RadioError("the device is gone", "plug it in"), "the device is gone; plug it in"),
        (KeyError("a bug"), "'a bug'"),
        (ValueError(), "ValueError"),
        (UsageError("x" * 5000), "x" * 1000),
        (OSError(2, "No such file", os.fsdecode(b"\xff")), "?: No such file"),
    ],
)
def test_a_job_that_fails_says_why_also_later(tmp_path, error, words):
    def fail(job: Job) -> None:
        job.records.append(record(0))
        raise error

    with jobs_in(tmp_path, Work(fail)) as jobs:
        jobs.start(asked())
        assert (ended(jobs).status, jobs.found("one").progress) == ("failed", words)
        assert jobs.start(asked()) is None  # still the same job
    with jobs_in(tmp_path, Work()) as later:
        assert later.resume() is None
        assert later.found("one").state().progress == words
        assert later.found("one").records == [record(0)]


def test_an_ended_job_is_found_by_a_later_coordinator_as_it_was(tmp_path):
    def act(job: Job) -> None:
        job.records += [record(0), record(1)]
        job.seed, job.target_m = 5, (1.5, 2.5)
        job.done, job.total, job.result = 3, 4, ("folder", 4, 3)

    with jobs_in(tmp_path, Work(act)) as jobs:
        jobs.start(asked())
        state = ended(jobs).state()
    with jobs_in(tmp_path, Work()) as later:
        assert later.found("one").state() == state
        assert later.start(asked()) is None
        assert later.found("two") is None


def test_a_job_whose_coordinator_ended_is_taken_up(tmp_path):
    first = Work()
    first.act = first.until_it_is_to_end
    with jobs_in(tmp_path, first) as jobs:
        jobs.start(asked(seed=9))
        jobs.leave()
        assert jobs.has_left(DEADLINE_S)
        assert jobs.found("one").status == "running"
    second = Work()
    with jobs_in(tmp_path, second) as later:
        assert later.resume().asked == asked(seed=9)
        assert ended(later).status == "done"
    with jobs_in(tmp_path, second) as latest:
        assert latest.resume() is None
    assert second.begun == ["one"]


def test_a_job_whose_coordinator_was_killed_is_taken_up(tmp_path):
    first = Work()
    first.act = first.whatever_happens
    with jobs_in(tmp_path, first) as jobs:
        jobs.start(asked())
        shutil.copytree(tmp_path / "jobs", tmp_path / "as it was" / "jobs")
    with jobs_in(tmp_path / "as it was", Work()) as later:
        assert later.resume().asked == asked()
        assert ended(later).status == "done"


def test_what_a_coordinator_that_ends_takes_from_a_job_is_not_its_failure(tmp_path):
    """Its loop is gone, so whatever the job asks for next raises."""
    work = Work()

    def act(job: Job) -> None:
        work.whatever_happens(job)
        raise RuntimeError("Event loop is closed")

    work.act = act
    with jobs_in(tmp_path, work) as jobs:
        jobs.start(asked())
    with jobs_in(tmp_path, Work()) as later:
        assert later.resume() is not None
        assert ended(later).status == "done"


def test_of_several_that_were_left_the_last_goes_on(tmp_path):
    for number, job_id in enumerate(("old", "new")):
        work = Work()
        work.act = work.until_it_is_to_end
        with jobs_in(tmp_path, work) as jobs:
            jobs.start(asked(job_id))
            jobs.leave()
            assert jobs.has_left(DEADLINE_S)
        os.utime(tmp_path / "jobs" / job_id, (number, number))
    with jobs_in(tmp_path, Work()) as jobs:
        assert jobs.resume().asked.job_id == "new"
        assert ended(jobs, "new").status == "done"
        assert jobs.found("old").status == "failed"
        assert jobs.found("old").progress == "its coordinator ended, and another job came after"


def test_an_end_that_cannot_be_read_is_no_end(tmp_path):
    with jobs_in(tmp_path, Work()) as jobs:
        jobs.start(asked())
        ended(jobs)
    end = tmp_path / "jobs" / "one" / "ended.msgpack"
    whole = end.read_bytes()
    for content in (b"", whole[:-1], b"\xff" * 20, whole.replace(b"done", b"dane")):
        end.write_bytes(content)
        work = Work()
        with jobs_in(tmp_path, work) as later:
            assert later.resume() is not None
            assert ended(later).status == "done"
        assert work.begun == ["one"]
        assert end.read_bytes() == whole


def test_a_request_that_cannot_be_read_is_left_alone(tmp_path):
    with jobs_in(tmp_path, Work()) as jobs:
        jobs.start(asked())
        ended(jobs)
    for name, content in (("damaged", b"\xc1"), ("empty", b"")):
        (tmp_path / "jobs" / name).mkdir()
        (tmp_path / "jobs" / name / "asked.msgpack").write_bytes(content)
    (tmp_path / "jobs" / "killed as it began").mkdir()
    (tmp_path / "jobs" / "a note of somebody").write_text("hello")
    with jobs_in(tmp_path, Work()) as later:
        assert later.resume() is None
        assert later.found("damaged") is None
        assert later.found("one").status == "done"
    left = {path.name for path in (tmp_path / "jobs").iterdir()}
    assert left == {"one", "damaged", "empty", "a note of somebody", "lock"}


def test_a_number_of_ended_jobs_is_kept_whoever_ran_them(tmp_path):
    names = [f"job-{n:02d}" for n in range(60)]
    for half in (names[:30], names[30:]):
        with jobs_in(tmp_path, Work()) as jobs:
            for number, name in enumerate(half):
                jobs.start(asked(name))
                ended(jobs, name)
                stamp = names.index(name)
                os.utime(tmp_path / "jobs" / name, (stamp, stamp))
                assert len(jobs.rows()) == min(number + 1, 10)
    with jobs_in(tmp_path, Work()) as jobs:
        assert jobs.resume() is None
        assert [name for name in names if jobs.found(name) is not None] == names[10:]


def test_two_coordinators_do_not_share_a_folder(tmp_path):
    taken = pytest.raises(UsageError, match="belongs to another coordinator that is running")
    with jobs_in(tmp_path, Work()), taken:
        Jobs(tmp_path / "jobs", Work())
    with jobs_in(tmp_path, Work()):
        pass


def test_a_job_that_cannot_be_kept_is_not_begun(tmp_path):
    work = Work()
    with jobs_in(tmp_path, work) as jobs:
        (tmp_path / "jobs" / "one").write_text("in the way")
        with pytest.raises(OSError, match="one"):
            jobs.start(asked())
        assert jobs.found("one") is None
        assert work.begun == []
        assert jobs.start(asked("two")) is None


def test_records_come_in_pages_and_the_end_after_the_last(tmp_path):
    def act(job: Job) -> None:
        job.records += [record(n) for n in range(250)]

    with jobs_in(tmp_path, Work(act)) as jobs:
        jobs.start(asked())
        job = ended(jobs)
        states, num_records = [], 0
        while not states or states[-1].status == "running":
            states.append(job.state(7, num_records))
            num_records += len(states[-1].records)
        assert [len(state.records) for state in states] == [100, 100, 50]
        assert [r for s in states for r in s.records] == [record(n) for n in range(250)]
        assert {state.request_id for state in states} == {7}
        assert job.state(first=250).status == "done"
        assert job.state(first=2**63).records == []
    with jobs_in(tmp_path, Work()) as later:
        assert len(later.found("one").records) == 250
