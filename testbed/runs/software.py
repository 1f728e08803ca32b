"""Which code computes: results of different code are not put together."""

import hashlib
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from calibration.dictionary_entry import software

_PACKAGES = ("calibration", "drivers", "fusion", "processing", "sim_backend", "testbed")
_LIBRARIES = ("numba", "numpy", "scipy")
# What only asks for results, and shows them: no trial passes through it.
_SHOWING = frozenset({"commands", "figures", "paper", "report", "sweeps"})


@cache
def software_identity() -> dict[str, str]:
    """Version and hash of this code, and versions of the libraries that compute for it.

    The version alone does not tell one checkout from another, and a sum may end with other bits in
    another NumPy.
    """
    libraries = {name: version(name) for name in _LIBRARIES}
    return {"version": software(), "code": _code_hash(), **libraries}


def differences(found: dict[str, object], needed: dict[str, object]) -> list[str]:
    """What differs between two nested objects, a line each: ``place: this, needed that``."""
    there, here = dict(_leaves(found)), dict(_leaves(needed))
    return [
        f"{place}: {there.get(place, 'nothing')}, needed {here.get(place, 'nothing')}"
        for place in sorted(there.keys() | here.keys())
        if place not in there or place not in here or there[place] != here[place]
    ]


def _leaves(value: object, place: str = "") -> list[tuple[str, object]]:
    items: list[tuple[object, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    if not items:
        return [(place, value)]
    return [
        leaf
        for key, part in items
        for leaf in _leaves(part, f"{place}.{key}" if place else f"{key}")
    ]


def _code_hash() -> str:
    digest = hashlib.sha256()
    for package in _PACKAGES:
        for root in _folders_of(package):
            for path in sorted(root.rglob("*.py")):
                if _SHOWING.intersection(path.relative_to(root).parts):
                    continue
                digest.update(f"{package}/{path.relative_to(root).as_posix()}\0".encode())
                digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _folders_of(package: str) -> list[Path]:
    spec = find_spec(package)
    return [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
