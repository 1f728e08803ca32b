"""Public keys of others by role and name, in the file ``allowed.yaml``."""

from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from testbed.bus.curve import NAME_RULE, ROLES, Role, is_name, is_z85_key
from testbed.bus.key_files import KeysError, own_folder, read_own, write_own
from testbed.site_types import Section
from testbed.yaml_file import parse_yaml

FILE_NAME = "allowed.yaml"
_HEAD = "# Public keys by role and name. `testbed keys add` and `testbed keys revoke` write this.\n"

Keys = dict[Role, dict[str, str]]


class _AllowedFile(Section, frozen=True):
    schema: Literal[1]
    coordinator: dict[str, str] = msgspec.field(default_factory=dict)
    agent: dict[str, str] = msgspec.field(default_factory=dict)
    worker: dict[str, str] = msgspec.field(default_factory=dict)
    client: dict[str, str] = msgspec.field(default_factory=dict)


def read_allowed(folder: Path) -> Keys:
    """Public keys by role and name; none where there is no file.

    Raises
    ------
    KeysError
        If it is damaged or not its owner's alone.
    """
    path = folder / FILE_NAME
    text = read_own(path)
    return {role: {} for role in ROLES} if text is None else allowed_of(text, path)


def allowed_of(text: str, path: Path) -> Keys:
    """Public keys in the text of a file; errors as of `read_allowed`."""
    raw: Any = parse_yaml(text, path, KeysError)
    try:
        found = msgspec.convert(raw, _AllowedFile)
    except msgspec.ValidationError as error:
        raise KeysError(path, [str(error)]) from error
    keys: Keys = {role: getattr(found, role) for role in ROLES}
    if problems := _problems(keys):
        raise KeysError(path, problems)
    return keys


def allow(folder: Path, role: Role, name: str, key: str) -> None:
    """Put a public key on the list of a folder; made if it is missing.

    Raises
    ------
    KeysError
        If the name or the key is on it already, or one of them is none.
    """
    path = folder / FILE_NAME
    with own_folder(folder):
        keys = read_allowed(folder)
        if keys[role].get(name, key) != key:
            raise KeysError(path, [f"has another key of {role} {name!r}; revoke that first"])
        keys[role][name] = key
        if problems := _problems(keys):
            raise KeysError(path, problems)
        _write(path, keys)


def revoke(folder: Path, name: str, role: Role | None = None) -> Role:
    """Take a public key off the list of a folder; the role that it had.

    Raises
    ------
    KeysError
        If it is not on it, or the name is on it in several roles and none was given.
    """
    path = folder / FILE_NAME
    with own_folder(folder):
        keys = read_allowed(folder)
        found = [r for r in ROLES if name in keys[r] and role in (None, r)]
        if not found:
            known = ", ".join(f"{r} {n}" for r in ROLES for n in keys[r]) or "nobody"
            raise KeysError(path, [f"{role or 'anybody'} {name!r} is not on it, only {known}"])
        if len(found) > 1:
            problem = f"{name!r} is {' and '.join(found)}: run `testbed keys revoke ROLE {name}`"
            raise KeysError(path, [problem])
        del keys[found[0]][name]
        _write(path, keys)
    return found[0]


def _problems(keys: Keys) -> list[str]:
    problems = []
    owners: dict[str, str] = {}
    for role, name, key in ((r, n, k) for r in ROLES for n, k in keys[r].items()):
        place = f"$.{role}.{name!r:.70}"
        if not is_name(name):
            problems.append(f"{place}: {NAME_RULE}")
        if not is_z85_key(key):
            problems.append(
                f"{place}: must be a key as `testbed keys init` prints, got {key!r:.60}"
            )
        if key in owners:
            problems.append(f"{place}: has the same key as {owners[key]}")
        owners[key] = f"{role} {name}"
    return problems


def _write(path: Path, keys: Keys) -> None:
    write_own(
        path,
        _HEAD + yaml.safe_dump({"schema": 1} | {str(r): keys[r] for r in ROLES}, sort_keys=False),
    )
