"""What installed packages add to this one, found by their entry points."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points


def installed(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group that installed packages provide, by name; nothing is imported."""
    return {entry.name: entry for entry in entry_points(group=group)}


def package_of(entry: EntryPoint) -> str:
    """Name of the package that provides an entry point."""
    return entry.module if entry.dist is None else entry.dist.name


def known_names(what: str, name: str, known: Iterable[str]) -> str:
    """For who asked for a name that is not there: which ones are, and which was meant perhaps."""
    names = sorted(set(known)) or ["none"]
    close = get_close_matches(name, names, n=1)
    listed = f"known {what}: {', '.join(names)}"
    return f"{listed}; did you mean {close[0]!r}?" if close else listed
