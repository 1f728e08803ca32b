"""A process's own pair of keys, in the file ``own.key``."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from testbed.bus.curve import NAME_RULE, Role, is_name, is_z85_key
from testbed.bus.key_files import KeysError, own_folder, read_own, write_own
from testbed.site_types import Section
from testbed.yaml_file import parse_yaml

FILE_NAME = "own.key"
_REMEDY = "run `testbed keys init --force` and let everybody add the new key"


@dataclass(frozen=True)
class OwnKey:
    """Keys in Z85, and the role and the name of the process that they belong to."""

    role: Role
    name: str
    public: str
    secret: str = field(repr=False)


class _OwnKeyFile(Section, frozen=True):
    schema: Literal[1]
    role: Role
    name: str
    public: str
    secret: str


def load_own_key(folder: Path) -> OwnKey:
    """The pair of keys in a folder.

    Raises
    ------
    KeysError
        If there is none, or it is damaged or not its owner's alone.
    """
    path = folder / FILE_NAME
    text = read_own(path)
    if text is None:
        raise KeysError(path, ["is missing; run `testbed keys init`"])
    own = own_key_of(text, path)
    from testbed.bus.sockets import public_key_of

    if own.public != public_key_of(own.secret):
        raise KeysError(path, [f"damaged: its two keys are no pair; {_REMEDY}"])
    return own


def own_key_of(text: str, path: Path) -> OwnKey:
    """The pair of keys in the text of a file; errors as of `load_own_key`."""
    raw: Any = parse_yaml(text, path, KeysError)
    try:
        found = msgspec.convert(raw, _OwnKeyFile)
    except msgspec.ValidationError as error:  # its text has no values: one of them is the secret
        raise KeysError(path, [f"damaged: {error}; {_REMEDY}"]) from error
    if not (is_z85_key(found.public) and is_z85_key(found.secret)):
        raise KeysError(path, [f"damaged: what it holds are no keys; {_REMEDY}"])
    return OwnKey(found.role, found.name, found.public, found.secret)


def keep_own_key(folder: Path, own: OwnKey, *, force: bool = False) -> None:
    """Keep a pair of keys in a folder; made if it is missing.

    Raises
    ------
    KeysError
        If there is one already and `force` is not set, the name is none, or the folder cannot be
        used.
    """
    path = folder / FILE_NAME
    if not is_name(own.name):
        raise KeysError(path, [f"{NAME_RULE}; got {own.name!r:.80}"])
    with own_folder(folder):
        if os.path.lexists(path) and not force:
            problem = (
                "is there already; with --force it is replaced, and everybody must add it anew"
            )
            raise KeysError(path, [problem])
        found = _OwnKeyFile(
            schema=1, role=own.role, name=own.name, public=own.public, secret=own.secret
        )
        write_own(path, yaml.safe_dump(msgspec.structs.asdict(found), sort_keys=False))
