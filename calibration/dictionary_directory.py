"""The directory of a background dictionary, and that nothing else becomes one."""

from pathlib import Path

from calibration.dictionary_entry import DictionaryError

MANIFEST_NAME = "dictionary.json"
LOCK_NAME = "campaign.lock"


def claim_directory(root: Path) -> None:
    """Make the directory of a dictionary, or see that it is one or may become one.

    Raises
    ------
    DictionaryError
        If it holds something else; nothing is touched then.
    OSError
        If it cannot be made.
    """
    is_new = root.exists() and not (root / MANIFEST_NAME).exists()
    if is_new and any(not _is_left_over(path) for path in root.iterdir()):
        msg = f"{root}: not empty and no dictionary ({MANIFEST_NAME} is missing); name another"
        raise DictionaryError(msg)
    root.mkdir(parents=True, exist_ok=True)


def _is_left_over(path: Path) -> bool:
    """Whether a writer that was killed while it made the dictionary left this file."""
    of_manifest = path.name.startswith(f"{MANIFEST_NAME}.") and path.suffix == ".tmp"
    return of_manifest or path.name == LOCK_NAME
