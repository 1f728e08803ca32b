"""One campaign at a time writes to a dictionary's directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from calibration.dictionary_directory import LOCK_NAME, claim_directory
from calibration.dictionary_entry import DictionaryError, host_name
from calibration.whole_files import remove_left_overs


class _Holder(msgspec.Struct, frozen=True):
    pid: int
    host: str


@contextmanager
def campaign_lock(root: Path) -> Iterator[None]:
    """Keep other campaigns out of a dictionary's directory; made, if it does not exist.

    An advisory lock (flock) on a file in it, which the kernel lets go of when the process ends,
    however it ends; the file is then only a name. What killed campaigns left is removed first.
    Readers do not ask for it.

    Raises
    ------
    DictionaryError
        If another campaign writes there now, or the directory holds something else.
    OSError
        If it cannot be made or written.
    """
    claim_directory(root)
    descriptor = _locked(root / LOCK_NAME, root)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, msgspec.json.encode(_Holder(os.getpid(), host_name())))
        remove_left_overs(root)
        yield
    finally:
        # Still locked: whoever opened it meanwhile sees that it is not this name's file any more.
        (root / LOCK_NAME).unlink(missing_ok=True)
        os.close(descriptor)


def _locked(path: Path, root: Path) -> int:
    """Descriptor of the lock file, locked."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError as error:
            msg = (
                f"{root}: {_holder(descriptor)} is calibrating into it; wait until it has ended, "
                "end it, or name another directory"
            )
            os.close(descriptor)
            raise DictionaryError(msg) from error
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
