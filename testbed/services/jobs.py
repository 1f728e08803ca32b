"""Jobs of a coordinator: one at a time, each kept on disk until it has ended."""

import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from calibration.dictionary import write_atomically
from calibration.node_files import NodeCalibrationFile
from testbed.bus.job_messages import JobAsked, JobRow, JobState, RecordFields
from testbed.errors import explain, user_errors

# Ended jobs that are kept, for clients that come back to them.
_NUM_KEPT = 50

_ASKED, _ENDED = "asked.msgpack", "ended.msgpack"

Kept = TypeVar("Kept", JobAsked, JobState)

_log = logging.getLogger(__name__)


class JobStoppedError(Exception):
    """The job is to end: it was cancelled, or the coordinator ends."""


@dataclass
class Job:
    """One job and what came of it so far.

    Attributes
    ----------
    asked
        What was asked for.
    folder
        Where it is kept.
    progress
        What it does now, in words.
    records
        Of a localization.
    done, total, result
        Of a calibration; see `testbed.bus.job_messages.JobState`.
    seed, target_m
        Of the simulated scene.
    calibration
        Of the nodes, by which a localization is fused.
    """

    asked: JobAsked
    folder: Path
    status: Literal["running", "done", "failed", "cancelled"] = "running"
    progress: str = "waiting for its turn"
    records: list[RecordFields] = field(default_factory=list)
    done: int = 0
    total: int = 0
    result: tuple[str, int, int] | None = None
    seed: int = 0
    target_m: tuple[float, float] | None = None
    calibration: NodeCalibrationFile | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)
    ending: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raise if the job is to end.

        Raises
        ------
        JobStoppedError
        """
        if self.cancelled.is_set() or self.ending.is_set():
            msg = "cancelled" if self.cancelled.is_set() else "the coordinator ends"
            raise JobStoppedError(msg)

    def state(self, request_id: int = 0, first: int = 0) -> JobState:
        """For a client, with records from `first` on."""
        status = self.status  # before the records: whoever reads "done" has all of them
        return JobState(
            request_id=request_id,
            job_id=self.asked.job_id,
            status=status,
            progress=self.progress[:4000],
            seed=self.seed,
            target_m=self.target_m,
            records=self.records[first:],
            done=self.done,
            total=self.total,
            result=self.result,
            calibration=self.calibration if status == "done" else None,
        )


class Jobs:
    """Runs jobs in a thread, and knows those that have ended.

    Parameters
    ----------
    folder
        Where jobs are kept.
    run
        Carries a job out; `Job.check` says when to give up.
    """

    def __init__(self, folder: Path, run: Callable[[Job], None]) -> None:
        self._folder = folder
        self._run = run
        self._jobs: dict[str, Job] = {}
        self._current: Job | None = None
        self._thread: threading.Thread | None = None
        folder.mkdir(parents=True, exist_ok=True)

    def resume(self) -> Job | None:
        """Take up the job that a coordinator before this one left; what had ended is forgotten."""
        unfinished = []
        for folder in sorted(self._folder.iterdir(), key=lambda path: path.stat().st_mtime):
            asked = _read(folder / _ASKED, JobAsked)
            if asked is None:
                shutil.rmtree(folder, ignore_errors=True)
            elif not (folder / _ENDED).exists():
                unfinished.append(Job(asked, folder))
        for job in unfinished[:-1]:
            job.status, job.progress = "failed", "its coordinator ended, and another job came after"
            self._keep(job)
        if not unfinished:
            return None
        self._begin(unfinished[-1])
        return unfinished[-1]

    def start(self, asked: JobAsked) -> str | None:
        """Start a job; the same one again is no other. Why not, if another one is running."""
        if self.found(asked.job_id) is not None:
            return None
        if self._current is not None and self._current.status == "running":
            other = self._current.asked
            return (
                f"busy: job {other.job_id} ({other.task}) is running: {self._current.progress}; "
                "wait until it has ended"
            )
        job = Job(asked, self._folder / asked.job_id)
        job.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(job.folder / _ASKED, msgspec.msgpack.encode(asked))
        self._begin(job)
        return None

    def found(self, job_id: str) -> Job | None:
        """The job of that name, running or ended."""
        if job_id not in self._jobs:
            folder = self._folder / job_id
            asked, ended = _read(folder / _ASKED, JobAsked), _read(folder / _ENDED, JobState)
            if asked is None or ended is None:
                return None
            self._jobs[job_id] = Job(
                asked, folder, ended.status, ended.progress, ended.records, ended.done,
                ended.total, ended.result, ended.seed, ended.target_m, ended.calibration,
            )  # fmt: skip
        return self._jobs[job_id]

    def rows(self) -> list[JobRow]:
        """Jobs in short, the latest last."""
        return [
            JobRow(
                job_id=job.asked.job_id, task=job.asked.task, status=job.status,
                progress=job.progress[:4000],
            )
            for job in list(self._jobs.values())[-10:]
        ]  # fmt: skip

    def close(self) -> None:
        """Let the running job give up; it is taken up by the next coordinator."""
        if self._current is not None:
            self._current.ending.set()
        if self._thread is not None:
            self._thread.join(2.0)

    def _begin(self, job: Job) -> None:
        self._jobs[job.asked.job_id] = self._current = job
        self._thread = threading.Thread(
            target=self._carry_out, args=(job,), name="job", daemon=True
        )
        self._thread.start()

    def _carry_out(self, job: Job) -> None:
        try:
            self._run(job)
            job.progress = "done"
            ended: Literal["done", "failed", "cancelled"] = "done"
        except JobStoppedError as stopped:
            if not job.cancelled.is_set():
                return  # to be resumed
            job.progress, ended = str(stopped), "cancelled"
        except Exception as error:  # noqa: BLE001  a job that fails ends, its coordinator does not
            if not isinstance(error, user_errors()):
                _log.exception("job %s failed", job.asked.job_id)
            job.progress, ended = explain(error) or type(error).__name__, "failed"
        self._keep(job, ended)

    def _keep(self, job: Job, ended: Literal["done", "failed", "cancelled"] = "failed") -> None:
        """Write down how a job has ended, then say so."""
        state = msgspec.structs.replace(job.state(), status=ended, calibration=job.calibration)
        try:
            write_atomically(job.folder / _ENDED, msgspec.msgpack.encode(state))
        except OSError as error:
            _log.error("job %s: its end cannot be kept: %s", job.asked.job_id, error)
        job.status = ended
        self._forget_old()

    def _forget_old(self) -> None:
        ended = [name for name, job in self._jobs.items() if job.status != "running"]
        for name in ended[:-_NUM_KEPT]:
            shutil.rmtree(self._jobs.pop(name).folder, ignore_errors=True)


def _read(path: Path, kind: type[Kept]) -> Kept | None:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
