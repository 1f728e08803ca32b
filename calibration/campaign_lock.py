"""One campaign at a time writes to a dictionary's directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calibration.dictionary_directory import LOCK_NAME, claim_directory
from calibration.dictionary_entry import DictionaryError
from calibration.directory_lock import directory_lock


@contextmanager
def campaign_lock(root: Path) -> Iterator[None]:
    """Keep other campaigns out of a dictionary's directory; made, if it does not exist.

    Raises
    ------
    DictionaryError
        If another campaign writes there now, or the directory holds something else.
    OSError
        If it cannot be made or written.
    """
    claim_directory(root)
    with directory_lock(root / LOCK_NAME, "is calibrating into it", DictionaryError):
        yield
