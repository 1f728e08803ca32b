"""Jobs of a coordinator: one at a time, each kept on disk, the ended ones for a while."""

import fcntl
import logging
import shutil
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from calibration.entry_checks import EntryCheck
from calibration.node_files import NodeCalibrationFile
from calibration.whole_files import write_atomically
from testbed.bus.job_messages import JobAsked, JobRow, JobState, RecordFields
from testbed.bus.parts import as_text
from testbed.errors import UsageError, explain, user_errors

# Ended jobs that are kept, for clients that come back to them.
_NUM_KEPT = 50
_NUM_ROWS = 10
# How many records a state holds: clients ask for those that follow.
_MOST_RECORDS = 100

_ASKED, _CANCELLED, _ENDED, _LOCK = "asked.msgpack", "cancelled", "ended.msgpack", "lock"

Status = Literal["running", "done", "failed", "cancelled"]
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
    done, total, result, remarks, checks
        Of a calibration or a check; see `testbed.bus.job_messages.JobState`.
    seed, target_m
        Of the simulated scene.
    calibration
        Of the nodes, by which a localization is fused.
    is_kept
        Whether its end is on the disk.
    """

    asked: JobAsked
    folder: Path
    status: Status = "running"
    progress: str = "waiting for its turn"
    records: list[RecordFields] = field(default_factory=list)
    done: int = 0
    total: int = 0
    result: tuple[str, int, int] | None = None
    remarks: tuple[str, ...] = ()
    seed: int = 0
    target_m: tuple[float, float] | None = None
    calibration: NodeCalibrationFile | None = None
    checks: tuple[EntryCheck, ...] = ()
    is_kept: bool = False
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
        """For a client, with records from `first` on; not ended before it has all of them."""
        status = self.status  # before the records: whoever reads "done" has all of them
        records = self.records[first : first + _MOST_RECORDS]
        if first + len(records) < len(self.records):
            status = "running"
        return self._state(request_id, status, records)

    @property
    def row(self) -> JobRow:
        """In short."""
        counted = f"{self.done} of {self.total} " if self.total and self.status == "running" else ""
        return JobRow(
            job_id=self.asked.job_id, task=self.asked.task, status=self.status,
            progress=counted + self.progress,
        )  # fmt: skip

    def whole_state(self, status: Status) -> JobState:
        """For the disk."""
        state = self._state(0, status, self.records)
        return msgspec.structs.replace(state, calibration=self.calibration)

    def _state(self, request_id: int, status: Status, records: list[RecordFields]) -> JobState:
        return JobState(
            request_id=request_id, job_id=self.asked.job_id, status=status,
            progress=self.progress, seed=self.seed, target_m=self.target_m, records=records,
            done=self.done, total=self.total, result=self.result, remarks=self.remarks,
            checks=self.checks,
            calibration=self.calibration if status == "done" else None,
        )  # fmt: skip


class Jobs:
    """Runs jobs in a thread, and knows those that have ended.

    Parameters
    ----------
    folder
        Where jobs are kept.
    run
        Carries a job out; `Job.check` says when to give up.

    Raises
    ------
    UsageError
        If another coordinator keeps its jobs there.
    """

    def __init__(self, folder: Path, run: Callable[[Job], None]) -> None:
        self._folder = folder
        self._run = run
        # The last one, and those before whose end the disk did not take; all others are there.
        self._jobs: dict[str, Job] = {}
        self._rows: deque[JobRow] = deque(maxlen=_NUM_ROWS)  # of those
        self._current: Job | None = None
        self._thread: threading.Thread | None = None
        folder.mkdir(parents=True, exist_ok=True)
        # Held until the process ends, however it does.
        self._lock = (folder / _LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            msg = f"{folder} belongs to another coordinator that is running; name another --state"
            raise UsageError(msg) from None

    def resume(self) -> Job | None:
        """Take up the job that a coordinator before this one left."""
        unfinished = []
        for folder in self._folders():
            asked = _read(folder / _ASKED, JobAsked)
            if not (folder / _ASKED).exists():  # it was killed as it began
                shutil.rmtree(folder, ignore_errors=True)
            elif asked is None:
                _log.warning("%s holds no job that can be read: it is left alone", folder)
            elif _read(folder / _ENDED, JobState) is None:
                unfinished.append(Job(asked, folder))
        self._forget_old()
        for job in [job for job in unfinished if (job.folder / _CANCELLED).exists()]:
            unfinished.remove(job)
            job.progress = "cancelled"
            self._keep(job, "cancelled")
        for job in unfinished[:-1]:
            job.progress = "its coordinator ended, and another job came after"
            self._keep(job, "failed")
        if not unfinished:
            return None
        self._begin(unfinished[-1])
        return unfinished[-1]

    def start(self, asked: JobAsked) -> str | None:
        """Start a job; the same one again is no other. Why not, if another one is running.

        Raises
        ------
        OSError
            If it cannot be kept.
        """
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
        if job_id in self._jobs:
            return self._jobs[job_id]
        folder = self._folder / job_id
        asked, ended = _read(folder / _ASKED, JobAsked), _read(folder / _ENDED, JobState)
        if asked is None or ended is None:
            return None
        return Job(
            asked, folder, ended.status, ended.progress, ended.records, ended.done, ended.total,
            ended.result, ended.remarks, ended.seed, ended.target_m, ended.calibration,
            ended.checks,
        )  # fmt: skip

    def cancel(self, job_id: str) -> None:
        """Let a job end that is running, also if its coordinator ends before it does."""
        job = self.found(job_id)
        if job is not None and job.status == "running":
            job.cancelled.set()
            (job.folder / _CANCELLED).touch()

    def rows(self) -> list[JobRow]:
        """Jobs in short, the latest last."""
        return [*self._rows, *(job.row for job in self._jobs.values())][-_NUM_ROWS:]

    def leave(self) -> None:
        """Let the running job give up; it is taken up by the next coordinator."""
        if self._current is not None:
            self._current.ending.set()

    def has_left(self, wait_s: float) -> bool:
        """Whether the job has given up, or does within a while."""
        if self._thread is not None:
            self._thread.join(wait_s)
        return self._thread is None or not self._thread.is_alive()

    def close(self) -> None:
        """Leave the jobs to another coordinator."""
        self.leave()
        self._lock.close()

    def _begin(self, job: Job) -> None:
        for before in [before for before in self._jobs.values() if before.is_kept]:
            del self._jobs[before.asked.job_id]
            self._rows.append(before.row)
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
            if job.ending.is_set():
                return  # of what a coordinator that ends takes from it: to be resumed
            if not isinstance(error, user_errors()):
                _log.exception("job %s failed", job.asked.job_id)
            job.progress, ended = as_text(explain(error) or type(error).__name__), "failed"
        self._keep(job, ended)

    def _keep(self, job: Job, ended: Literal["done", "failed", "cancelled"]) -> None:
        """Write down how a job has ended, then say so."""
        try:
            state = msgspec.msgpack.encode(job.whole_state(ended))
            write_atomically(job.folder / _ENDED, state)
            job.is_kept = True
            self._forget_old()
        except OSError as error:
            _log.error("job %s: its end cannot be kept: %s", job.asked.job_id, error)
        job.status = ended

    def _forget_old(self) -> None:
        ended = [folder for folder in self._folders() if (folder / _ENDED).exists()]
        for folder in ended[:-_NUM_KEPT]:
            shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        """Folders of jobs, the latest last."""
        folders = [path for path in self._folder.iterdir() if path.is_dir()]
        return sorted(folders, key=lambda path: path.stat().st_mtime)


def _read(path: Path, kind: type[Kept]) -> Kept | None:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
