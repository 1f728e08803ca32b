"""What the doctor says about one thing."""

from typing import Literal

import msgspec

# Missing: the site's radios do not work without it. Advice: they do, but worse than they could.
State = Literal["ok", "missing", "advice", "unchecked"]


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at.

    Attributes
    ----------
    subject
        A node, a kind of radio, or this host.
    check
        What of it was looked at.
    state
        How it is.
    found
        What was seen, with versions and values.
    remedy
        What to do, or to type; ``None`` where nothing is to be done.
    """

    subject: str
    check: str
    state: State
    found: str
    remedy: str | None = None
