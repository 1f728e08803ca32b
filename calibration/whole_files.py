"""Files that are written whole or not at all, and what killed writers of them leave."""

import os
import re
from pathlib import Path

_LEFT_OVER = re.compile(r"\.(\d+)\.tmp$")


def temporary_path(path: Path) -> Path:
    """Where this process writes what is to be `path`: beside it, named after the process."""
    return path.with_name(f"{path.name}.{os.getpid()}.tmp")


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    temporary = temporary_path(path)
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_left_overs(folder: Path) -> int:
    """Remove temporary files of processes that do not run on this host; how many there were.

    This process's own count as well: before it writes, they are of one with the same number.
    """
    removed = 0
    for path in folder.glob("*.tmp"):
        found = _LEFT_OVER.search(path.name)
        if found and not _is_another_that_runs(int(found[1])):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _is_another_that_runs(pid: int) -> bool:
    return pid != os.getpid() and Path(f"/proc/{pid}").exists()
