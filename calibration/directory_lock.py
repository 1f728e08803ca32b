"""One process at a time writes to a directory."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from calibration.dictionary_entry import host_name
from calibration.whole_files import remove_left_overs


class _Holder(msgspec.Struct, frozen=True):
    pid: int
    host: str


@contextmanager
def directory_lock(
    path: Path, what_holders_do: str, refusal: Callable[[str], Exception]
) -> Iterator[None]:
    """Keep other writers out of a directory.

    An advisory lock (flock) on a file in it, which the kernel lets go of when the process ends,
    however it ends; the file is then only a name. What killed writers left is removed first.
    Readers do not ask for it.

    Parameters
    ----------
    path
        Of the file, in the directory, which exists.
    what_holders_do
        For the message to who comes second: "is calibrating into it".
    refusal
        The error to raise with that message, if another process holds the lock.

    Raises
    ------
    OSError
        If the file cannot be made or written.
    """
    descriptor = _locked(path, what_holders_do, refusal)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, msgspec.json.encode(_Holder(os.getpid(), host_name())))
        remove_left_overs(path.parent)
        yield
    finally:
        # Still locked: whoever opened it meanwhile sees that it is not this name's file any more.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path, what_holders_do: str, refusal: Callable[[str], Exception]) -> int:
    """Descriptor of the lock file, locked."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError as error:
            msg = (
                f"{path.parent}: {_holder(descriptor)} {what_holders_do}; wait until it has ended, "
                "end it, or name another directory"
            )
            os.close(descriptor)
            raise refusal(msg) from error
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder removed it in between; the next one is another file


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    """Who holds the lock, as they wrote it down."""
    try:
        holder = msgspec.json.decode(os.pread(descriptor, 4096, 0), type=_Holder)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "another process"
    return f"process {holder.pid} on host {holder.host}"
