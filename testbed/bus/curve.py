"""Who may connect: keys of both ends, and the answer to a peer that shows its key (ZAP, RFC 27)."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

Role = Literal["coordinator", "agent", "worker", "client"]
ROLES: tuple[Role, ...] = get_args(Role)

NAME_RULE = (
    "a name has up to 64 letters, digits, '_', '.' and '-', and begins with none of the last two"
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


@dataclass(frozen=True)
class ServerCurve:
    """Keys of a server and whom it takes, keys in Z85.

    Attributes
    ----------
    role_of
        Role of a public key; ``None`` for one that this server does not take. Asked for every
        message, so that a key can be taken away from a connection that stands.
    """

    public_key: str
    secret_key: str = field(repr=False)
    role_of: Callable[[str], Role | None]

    def refusal(self, key: str | None, needed: Role, what: str) -> str | None:
        """Why who has this key may not say what only that role may; ``None`` if it may."""
        role = self.role_of(key or "")
        if role == needed:
            return None
        return f"a key of role {role or 'none'} sent {what}, which takes a key of role {needed}"


@dataclass(frozen=True)
class ClientCurve:
    """Keys of a client, and the public key of the server that it expects, in Z85."""

    public_key: str
    secret_key: str = field(repr=False)
    server_key: str


def zap_reply(
    request: Sequence[bytes], role_of: Callable[[str], Role | None]
) -> tuple[list[bytes], str | None]:
    """Answer to a request of libzmq for access, and the key that was refused, if one was.

    Peers that show no key never get this far: libzmq ends their handshake.
    """
    version, request_id = request[:2]
    _, _, _, mechanism, *credentials = request[2:]
    key = z85(credentials[0]) if mechanism == b"CURVE" else ""
    if role_of(key) is None:
        return [version, request_id, b"400", b"this key is not on the list", b"", b""], key
    return [version, request_id, b"200", b"", key.encode(), b""], None


def z85(raw: bytes) -> str:
    """Text of a key, as of RFC 32."""
    digits = []
    for start in range(0, len(raw), 4):
        value = int.from_bytes(raw[start : start + 4], "big")
        digits += [_Z85[value // 85**power % 85] for power in (4, 3, 2, 1, 0)]
    return "".join(digits)


def is_name(text: str) -> bool:
    """Whether a text may name a process; see `NAME_RULE`."""
    return _NAME.fullmatch(text) is not None


def is_z85_key(text: str) -> bool:
    """Whether a text is a key of CURVE: 32 bytes as of RFC 32."""
    if len(text) != 40 or not set(text) <= set(_Z85):
        return False
    groups = [[_Z85.index(digit) for digit in text[n : n + 5]] for n in range(0, 40, 5)]
    return all(
        sum(d * 85**p for d, p in zip(g, (4, 3, 2, 1, 0), strict=True)) < 1 << 32 for g in groups
    )
