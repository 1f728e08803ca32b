"""Values at dotted paths of a site, checked as if its file had them.

A path is made of keys, as in ``sensing.num_receivers``. In a list it has a number, or ``*`` for
all: ``nodes.*.array.num_elements``, ``area_m.2``.
"""

import copy
from collections.abc import Mapping
from typing import Any

import msgspec

from testbed.build import build_burst
from testbed.runs.setup import Fidelity
from testbed.site import Site, SiteError
from testbed.site_checks import readable, site_problems
from testbed.sweeps.sweep_file import Value


def with_values(site: Site, values: Mapping[str, Value], fidelity: Fidelity = "pilot") -> Site:
    """The site with other values at these paths.

    Raises
    ------
    SiteError
        If there is no such path, or a value breaks a rule; the problems name places of the site.
    """
    raw = msgspec.to_builtins(site)
    # Defaults first: a node that is given a value of its own takes the others from them.
    for path in sorted(values, key=lambda path: path.startswith("nodes.")):
        _refuse_unused(site, path)
        _set(raw, path, values[path])
    try:
        changed = msgspec.convert(raw, Site)
    except msgspec.ValidationError as error:
        raise _refusal(readable(str(error), raw)) from error
    problems = site_problems(changed)
    if problems:
        raise _refusal(*problems)
    if fidelity == "iq":
        try:
            build_burst(changed)
        except SiteError as error:
            raise _refusal(str(error)) from error
    return changed


def _refusal(*problems: str) -> SiteError:
    return SiteError("a sweep", list(problems))


def _refuse_unused(site: Site, path: str) -> None:
    """Refuse a default that no node takes."""
    section, _, rest = path.partition(".")
    key = rest.partition(".")[0]
    own = [getattr(node, key, None) is not None for node in site.nodes]
    if section == "node_defaults" and own and all(own):
        msg = f"$.{path}: changes nothing, each node has its own {key}; give nodes.*.{rest}"
        raise _refusal(msg)


def _set(raw: dict[str, Any], path: str, value: Value) -> None:
    """Set a value in a site's builtins.

    Keys are not checked: a site with one that is unknown is refused, and the refusal says which.
    """
    *parents, last = path.split(".")
    sections: list[Any] = [raw]
    for key in parents:
        places = _places(sections, key, path)
        for section, index in places:
            found = section[index] if isinstance(section, list) else section.get(index)
            if found is None and parents[0] == "nodes":
                found = copy.deepcopy(raw["node_defaults"].get(index))
            found = list(found) if isinstance(found, tuple) else found
            section[index] = found if isinstance(found, dict | list) else {}
        sections = [section[index] for section, index in places]
    for section, index in _places(sections, last, path):
        section[index] = value


def _places(sections: list[Any], key: str, path: str) -> list[tuple[Any, Any]]:
    """Each of these sections with where a key of the path leads in it."""
    found: list[tuple[Any, Any]] = []
    for section in sections:
        if not isinstance(section, list):
            found.append((section, key))
        elif key == "*" and section:
            found += [(section, index) for index in range(len(section))]
        elif key.isdecimal() and int(key) < len(section):
            found.append((section, int(key)))
        else:
            known = f"* for all, or 0 to {len(section) - 1}" if section else "but it is empty"
            raise _refusal(f"$.{path}: {key!r} is to be a place in a list: {known}")
    return found
