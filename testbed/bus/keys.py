"""The folder of keys of a process: its own pair, and the public keys of others.

The list of others names those who may connect, and those to whom this process connects. It is read
again whenever it changed.
"""

import logging
import os
from collections.abc import Collection
from pathlib import Path
from typing import Self

from testbed.bus.allowed import FILE_NAME, read_allowed
from testbed.bus.curve import ClientCurve, Role, ServerCurve
from testbed.bus.key_files import KeysError, check_folder
from testbed.bus.own_key import OwnKey, load_own_key

__all__ = ["DEFAULT_FOLDER", "KeyRing", "KeysError"]

DEFAULT_FOLDER = Path("~/.config/isac-testbed/keys")

_log = logging.getLogger(__name__)


class KeyRing:
    """Keys of a process, and whom it lets in.

    A list that was damaged since it was loaded lets nobody in, and the log says why.

    Attributes
    ----------
    own
        The process's own pair of keys, its role and its name.
    """

    def __init__(self, folder: Path, own: OwnKey) -> None:
        self.own = own
        self._folder = folder
        self._seen = self._version()
        self._roles = self._read_roles()

    @classmethod
    def load(cls, folder: Path = DEFAULT_FOLDER) -> Self:
        """Read a folder.

        Raises
        ------
        KeysError
            If a file is missing or damaged, or others than its owner can get at it.
        """
        folder = folder.expanduser()
        check_folder(folder)
        return cls(folder, load_own_key(folder))

    def server_curve(self, roles: Collection[Role]) -> ServerCurve:
        """Keys of a server that takes these roles and no other."""

        def role_of(key: str) -> Role | None:
            role = self.role_of(key)
            return role if role in roles else None

        return ServerCurve(self.own.public, self.own.secret, role_of)

    def client_curve(self, server_public_key: str) -> ClientCurve:
        """Keys of a client of the server with this public key."""
        return ClientCurve(self.own.public, self.own.secret, server_public_key)

    def role_of(self, key: str) -> Role | None:
        """Role of a public key, as the list stands now; ``None`` for one that is not on it."""
        version = self._version()
        if version != self._seen:
            self._seen = version
            try:
                self._roles = self._read_roles()
            except KeysError as error:
                self._roles = {}
                _log.error("nobody is let in any more: %s", error)
        return self._roles.get(key)

    def public_key_of(self, role: Role, name: str | None = None) -> str:
        """Public key of a peer; without a name, of the only one with that role.

        Raises
        ------
        KeysError
            If the list has none, or several and no name was given.
        """
        keys = read_allowed(self._folder)[role]
        if name is None and len(keys) == 1:
            return next(iter(keys.values()))
        if name in keys:
            return keys[name]
        wanted = f"one {role}" if name is None else f"{role} {name!r}"
        problem = (
            f"the public key of {wanted} is needed, the list has {', '.join(keys) or 'none'}; "
            f"see `testbed keys add {role}`"
        )
        raise KeysError(self._folder / FILE_NAME, [problem])

    def _read_roles(self) -> dict[str, Role]:
        keys = read_allowed(self._folder)
        return {key: role for role, named in keys.items() for key in named.values()}

    def _version(self) -> tuple[int, ...] | None:
        try:
            found = os.lstat(self._folder / FILE_NAME)
        except OSError:
            return None
        # Also the time of the last change of mode or owner, either of which may close the list.
        return (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
