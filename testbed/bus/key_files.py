"""Files that only their owner may read or write, replaced whole."""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.yaml_file import YamlFileError

_MAX_BYTES = 1 << 20


class KeysError(YamlFileError):
    """Keys that cannot be used; see `YamlFileError`."""


@contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """Make a folder for keys if it is missing, and change what is in it alone.

    Raises
    ------
    KeysError
        If it is not a folder of this user's own.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_folder(folder)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise KeysError(folder, [error.strerror or str(error)]) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def check_folder(folder: Path) -> None:
    """Refuse a folder whose files others could replace.

    Raises
    ------
    KeysError
        With the command that mends it.
    """
    try:
        found = folder.lstat()
    except OSError as error:
        problem = f"{error.strerror}; run `testbed keys init`"
        raise KeysError(folder, [problem]) from error
    _check_owner(folder, found)
    if not stat.S_ISDIR(found.st_mode):
        raise KeysError(folder, ["must be a folder, not a link to one or a file"])
    if found.st_mode & 0o077:
        raise KeysError(folder, [_too_open(folder, found.st_mode, "700")])


def read_own(path: Path) -> str | None:
    """Text of a file that nobody else can have read or written; ``None`` without one.

    Raises
    ------
    KeysError
        If it may have been, is a link, or is no short text file.
    """
    try:
        # Not followed if it is a link, and not waited for if it is a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        problem = "a link; put the file itself here" if path.is_symlink() else error.strerror
        raise KeysError(path, [problem or str(error)]) from error
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise KeysError(path, ["must be a file"])
        _check_owner(path, found)
        if found.st_mode & 0o077:
            raise KeysError(path, [_too_open(path, found.st_mode, "600")])
        content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise KeysError(path, [f"longer than {_MAX_BYTES} bytes, which no file of keys is"])
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise KeysError(path, [f"not a text file in UTF-8: {error}"]) from error


def write_own(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner alone.

    Raises
    ------
    KeysError
        If it cannot be written.
    """
    temporary = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise KeysError(path, [f"cannot be written: {error.strerror or error}"]) from error


def _check_owner(path: Path, found: os.stat_result) -> None:
    if found.st_uid != os.geteuid():
        problem = f"belongs to user {found.st_uid}, not to user {os.geteuid()} who runs this"
        raise KeysError(path, [problem])


def _too_open(path: Path, mode: int, needed: str) -> str:
    return f"others can get at it (mode {stat.S_IMODE(mode):o}); run: chmod {needed} {path}"
