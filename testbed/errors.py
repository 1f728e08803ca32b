"""Errors that are the user's to mend, and how they read."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class UsageError(Exception):
    """A command that cannot be carried out as given; the message says what to change."""


_WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def user_errors() -> tuple[type[Exception], ...]:
    """Families of errors that end in one line and status 2.

    Imported here, where one is to be told: their packages take longer to import than `--help` may.
    """
    from calibration.dictionary_entry import DictionaryError
    from drivers.capture import CaptureRefusedError
    from drivers.radio_errors import RadioError
    from drivers.recording import RecordingError
    from fusion.policy import PolicyError
    from fusion.sensing import TooFewNodesError
    from testbed.bus.errors import BusError
    from testbed.yaml_file import YamlFileError

    known = (UsageError, YamlFileError, BusError, DictionaryError, RadioError, RecordingError)
    return (*known, CaptureRefusedError, PolicyError, TooFewNodesError, OSError, MemoryError)


def explain(error: BaseException) -> str:
    """One message for the user: what, where, and the rule or the system's reason."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror or error}"
    if isinstance(error, OSError) and error.errno in _WRITE_ERRORS:
        return f"standard output: {error.strerror}"  # every other one is `written_to` somewhere
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}; use fewer tones, elements, nodes or captures"
    return str(error)


@contextmanager
def written_to(place: Path) -> Iterator[None]:
    """Say what cannot be written where the system names nothing, or a temporary file in there."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if not str(error.filename or place).startswith(str(place)):
            raise
        msg = f"{place}: cannot be written: {error.strerror or error}"
        raise UsageError(msg) from error
