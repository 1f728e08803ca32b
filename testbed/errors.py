"""Errors that are the user's to mend, and how they read."""

from calibration.dictionary import DictionaryError
from testbed.site import SiteError


class UsageError(Exception):
    """A command that cannot be carried out as given; the message says what to change."""


USER_ERRORS = (UsageError, SiteError, DictionaryError, OSError)


def explain(error: BaseException) -> str:
    """One message for the user: what, where, and the rule or the system's reason."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror or error}"
    return str(error)
