"""Who may use a device: one client at a time, as long as it says so again and again."""

import secrets
from collections.abc import Callable

# A client that has not said for this long that it is there has gone.
PATIENCE_S = 2.0


class RefusedError(Exception):
    """A call that the device answers with an error."""


class Claim:
    """One client's hold on the device.

    Parameters
    ----------
    now_s
        A clock that runs on.
    released
        Called when a client has let go, or has gone.
    """

    def __init__(self, now_s: Callable[[], float], released: Callable[[], None]) -> None:
        self._now_s = now_s
        self._released = released
        self._token: str | None = None
        self._until_s = 0.0

    @property
    def is_held(self) -> bool:
        """Whether a client holds the device."""
        return self._token is not None

    def take(self) -> str:
        """Claim the device; the token that calls need from now on.

        Raises
        ------
        RefusedError
            If somebody else has it.
        """
        self.expire()
        if self._token is not None:
            msg = "this device is in use by another client"
            raise RefusedError(msg)
        self._token = secrets.token_hex(16)
        self._until_s = self._now_s() + PATIENCE_S
        return self._token

    def renew(self, token: object) -> bool:
        """Stay; whether the token is that of the client who has the device."""
        self.expire()
        if self._token is None or token != self._token:
            return False
        self._until_s = self._now_s() + PATIENCE_S
        return True

    def release(self, token: object) -> bool:
        """Let go; whether the token was that of the client who had the device."""
        if self._token is None or token != self._token:
            return False
        self._token = None
        self._released()
        return True

    def expire(self) -> None:
        """Let go of a client that has gone."""
        if self._token is not None and self._now_s() > self._until_s:
            self.release(self._token)
