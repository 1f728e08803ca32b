"""The log of a service: one line a record, to standard error and to a file of bounded size."""

import logging
import queue
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging.handlers import QueueHandler, RotatingFileHandler
from pathlib import Path
from threading import Lock, Thread
from typing import TextIO

FIELDS = ("node", "run", "sensing")
"""What a record can be about, given by `extra` or a `logging.LoggerAdapter`."""

VERBATIM = {"verbatim": True}
"""`extra` of a record that is a line of another process's log, and stays as it is."""

_FILE_BYTES = 4_000_000
_NUM_OLD_FILES = 4
_MAX_TEXT = 4_000
_MAX_WAITING = 10_000
_MAX_KINDS = 1_000
_CLOSE_S = 0.3


def log_to(
    name: str,
    folder: Path | None = None,
    *,
    stream: TextIO | None = None,
    file_bytes: int = _FILE_BYTES,
) -> "LogWriter":
    """Send all records of this process to standard error, and to ``FOLDER/NAME.log``.

    Parameters
    ----------
    name
        Of the process, in every line.
    folder
        Made if it is not there; in it, 4 older files are kept beside the one that is written.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    targets: list[_Counting] = [_StreamTarget(stream or sys.stderr)]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        targets.append(
            _FileTarget(
                folder / f"{name}.log",
                maxBytes=file_bytes,
                backupCount=_NUM_OLD_FILES,
                encoding="utf-8",
            )
        )
    writer = LogWriter(targets)
    writer.setFormatter(LineFormatter(name))
    writer.addFilter(RateLimit())
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for old in [handler for handler in root.handlers if isinstance(handler, LogWriter)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(writer)
    return writer


class _Counting(logging.Handler):
    """A handler that goes on where it cannot write, and counts what is lost."""

    num_lost = 0

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802
        self.num_lost += 1


class _StreamTarget(_Counting, logging.StreamHandler[TextIO]):
    pass


class _FileTarget(_Counting, RotatingFileHandler):
    pass


class LogWriter(_Counting, QueueHandler):
    """Writes in a thread of its own: a held terminal or a slow disk does not hold up a service."""

    def __init__(self, targets: Sequence[_Counting]) -> None:
        self._records: queue.Queue[logging.LogRecord | None] = queue.Queue(_MAX_WAITING)
        super().__init__(self._records)
        self._targets = targets
        self._thread = Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    @property
    def num_unwritten(self) -> int:
        """Lines that are lost, because a disk was full or a terminal was held."""
        return self.num_lost + sum(target.num_lost for target in self._targets)

    def close(self) -> None:
        """Write what waits, if that takes no longer than a moment."""
        if self._thread.is_alive():
            try:
                self._records.put(None, timeout=_CLOSE_S)
                self._thread.join(_CLOSE_S)
            except queue.Full:
                self.num_lost += self._records.qsize()
        super().close()

    def _write(self) -> None:
        while (record := self._records.get()) is not None:
            for target in self._targets:
                target.handle(record)
        for target in self._targets:
            with suppress(OSError):  # what a full disk did not take is counted already
                target.close()


class LineFormatter(logging.Formatter):
    """Time (UTC), level, process, message, fields; a traceback follows in lines of ``  | ``."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line, and those of a traceback."""
        text = _one_line(record.getMessage())
        if getattr(record, "verbatim", False):
            return text
        time_utc = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {name: getattr(record, name, None) for name in (*FIELDS, "left_out")}
        given = [f"{name}={_one_line(str(v))}" for name, v in fields.items() if v is not None]
        line = " ".join(
            [time_utc.replace("+00:00", "Z"), record.levelname, f"{self._process}:", text, *given]
        )
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n  | {_one_line(part)}" for part in trace.splitlines())
        return line


def _one_line(text: str) -> str:
    """Text without line ends and control characters, whoever sent them."""
    text = text[:_MAX_TEXT] + ("..." if len(text) > _MAX_TEXT else "")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@dataclass
class _Minute:
    """What passed of one kind in a minute, by the hash of its text."""

    start_s: float
    num_left_out: int = 0
    passed: Counter[int] = field(default_factory=Counter)


class RateLimit(logging.Filter):
    """Lets so many warnings (and worse) pass in a minute, and counts the others.

    The next one of the kind that passes says how many were left out (``left_out=...``).

    Parameters
    ----------
    per_text
        Of one text.
    per_kind
        Of one logger and format, whatever a peer puts into it.
    """

    def __init__(
        self,
        per_text: int = 10,
        per_kind: int = 60,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._per_text = per_text
        self._per_kind = per_kind
        self._clock = clock
        self._minutes: dict[tuple[str, int, str], _Minute] = {}
        self._lock = Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record passes."""
        if record.levelno < logging.WARNING or getattr(record, "verbatim", False):
            return True
        text = hash(f"{record.msg} {record.args}")
        with self._lock:
            minute = self._minute(record)
            if minute.passed[text] >= self._per_text or minute.passed.total() >= self._per_kind:
                minute.num_left_out += 1
                return False
            minute.passed[text] += 1
            if minute.num_left_out:
                record.left_out = minute.num_left_out
                minute.num_left_out = 0
        return True

    def _minute(self, record: logging.LogRecord) -> _Minute:
        kind = (record.name, record.levelno, str(record.msg))
        now_s = self._clock()
        minute = self._minutes.get(kind)
        if minute is None or now_s - minute.start_s >= 60.0:
            self._minutes.pop(kind, None)
            minute = _Minute(now_s, 0 if minute is None else minute.num_left_out)
            self._minutes[kind] = minute
            if len(self._minutes) > _MAX_KINDS:
                del self._minutes[next(iter(self._minutes))]  # the oldest
        return minute
