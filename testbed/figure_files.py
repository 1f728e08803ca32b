"""Files that figures go to: checked before a long run, written whole or not at all."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

SUFFIXES = (".png", ".svg", ".pdf")


def check_figure_path(path: Path) -> None:
    """Refuse a place where `save_figure` would fail, before a long run.

    ``ValueError`` where the suffix names no known format, ``OSError`` where no file can be made.
    """
    if path.suffix.lower() not in SUFFIXES:
        msg = f"{path}: a figure's name must end in {', '.join(SUFFIXES)}, got {path.suffix!r}"
        raise ValueError(msg)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with _temporary_beside(path) as temporary:
        temporary.touch()


class Savable(Protocol):
    """A figure, of whatever library."""

    def savefig(self, *args: Any, **kwargs: Any) -> None:
        """Write it."""
        ...


def save_figure(figure: Savable, path: Path) -> None:
    """Write a figure in the format of its suffix, whole or not at all; see `check_figure_path`."""
    check_figure_path(path)
    with _temporary_beside(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower())
        temporary.replace(path)


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    """Name of a file that is gone afterwards; errors name the path that it stands for."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
