"""Finished trials of a study on disk: a directory in which a study that was stopped goes on."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from calibration.dictionary_entry import utc_now
from calibration.directory_lock import directory_lock
from calibration.whole_files import remove_left_overs, write_atomically
from testbed.errors import UsageError, written_to
from testbed.runs.backgrounds import BackgroundKind
from testbed.runs.policies import PROPOSED
from testbed.runs.setup import Fidelity
from testbed.runs.software import differences, software_identity
from testbed.runs.study_finished import FinishedTrials
from testbed.runs.trial import TrialResult
from testbed.site import Site

SCHEMA = 1
MANIFEST_NAME, LOCK_NAME = "study.json", "study.lock"
CHUNKS_NAME, TABLE_NAME = "chunks", "trials.csv"
_SUFFIX = ".trials"
_DIGEST = hashlib.sha256
_MOST_NAMED = 5


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    study: dict[str, Any]
    study_hash: str
    trials: int
    created: str


class _Chunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    study_hash: str
    first: int
    took_s: float
    results: list[TrialResult]


def study_identity(
    site: Site,
    seed: int,
    background: BackgroundKind,
    fidelity: Fidelity,
    policy: str = PROPOSED,
) -> dict[str, Any]:
    """All that the results of a study depend on, as the manifest says it.

    Not the number of trials: the first ones are the same however many follow.
    """
    identity = {
        "site": msgspec.to_builtins(site), "seed": seed, "background": background,
        "fidelity": fidelity, "policy": policy, "software": software_identity(),
    }  # fmt: skip
    return _as_read(json.dumps(identity).encode())


class StudyStore(FinishedTrials[TrialResult]):
    """Finished trials of a study in a directory: a manifest, and one whole file a chunk.

    Attributes
    ----------
    damaged
        Files that could not be read, and so are gone: their trials are missing.

    Parameters
    ----------
    root
        Directory, which the caller has to itself.
    study_hash
        Of its study; chunks of another one count as damaged.
    """

    def __init__(self, root: Path, study_hash: str) -> None:
        super().__init__()
        self.damaged: list[Path] = []
        self._folder = root / CHUNKS_NAME
        self._study_hash = study_hash
        self._folder.mkdir(exist_ok=True)
        remove_left_overs(self._folder)
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            self._take(path)

    def _take(self, path: Path) -> None:
        chunk = _chunk_in(path.read_bytes())
        if chunk is None or chunk.study_hash != self._study_hash or path != self._path(chunk.first):
            path.unlink()
            self.damaged.append(path)
            return
        super().put(chunk.first, chunk.results, chunk.took_s)

    def put(self, first: int, chunk: Sequence[TrialResult], took_s: float) -> None:
        """Keep trials that follow each other, from number `first` on."""
        content = msgspec.msgpack.encode(_Chunk(self._study_hash, first, took_s, list(chunk)))
        with written_to(self._folder):
            write_atomically(self._path(first), _DIGEST(content).digest() + content)
        super().put(first, chunk, took_s)

    def _path(self, first: int) -> Path:
        return self._folder / f"{first:07d}{_SUFFIX}"


@contextmanager
def opened_store(root: Path, identity: Mapping[str, Any], trials: int) -> Iterator[StudyStore]:
    """The directory of a study, kept from other studies; made, if it does not exist.

    Parameters
    ----------
    identity
        See `study_identity`.
    trials
        How many are asked for; the manifest keeps the most that ever were.

    Raises
    ------
    UsageError
        If another process runs a study into it, it is of another study or of something else, or it
        cannot be read or written.
    """
    with ExitStack() as stack:
        with written_to(root):
            _claim(root)
            lock = directory_lock(root / LOCK_NAME, "runs a study into it", UsageError)
            stack.enter_context(lock)
            store = StudyStore(root, _manifest_for(root, identity, trials).study_hash)
        yield store


def _claim(root: Path) -> None:
    """Make the directory, or see that it is of a study or may become that."""
    if root.exists() and not (root / MANIFEST_NAME).exists():
        # A study that was killed while it made the directory left no more than these.
        beginning = (LOCK_NAME, f"{MANIFEST_NAME}.")
        if any(not path.name.startswith(beginning) for path in root.iterdir()):
            msg = f"{root}: not empty and no study ({MANIFEST_NAME} is missing); name another"
            raise UsageError(msg)
    root.mkdir(parents=True, exist_ok=True)


def _manifest_for(root: Path, identity: Mapping[str, Any], trials: int) -> _Manifest:
    """The manifest of this study, as it then lies there."""
    path = root / MANIFEST_NAME
    wanted = _Manifest(SCHEMA, dict(identity), _hash_of(identity), trials, utc_now())
    if path.exists():
        found = _read_manifest(path)
        _refuse_another(root, found, wanted)
        wanted = msgspec.structs.replace(found, trials=max(trials, found.trials))
        if wanted == found:
            return found
    text = json.dumps(msgspec.to_builtins(wanted), indent=2)
    write_atomically(path, f"{text}\n".encode())
    return wanted


def _read_manifest(path: Path) -> _Manifest:
    try:
        content = _as_read(path.read_bytes())
        if content.get("schema") != SCHEMA:
            msg = f"schema {content.get('schema')}, this version reads {SCHEMA}"
            raise ValueError(msg)
        found = msgspec.convert(content, _Manifest)
        if found.study_hash != _hash_of(found.study):
            msg = "what it says of the study does not belong to its study_hash"
            raise ValueError(msg)
    except (AttributeError, ValueError) as error:
        msg = f"{path}: cannot be used: {error}; name another directory"
        raise UsageError(msg) from error
    return found


def _refuse_another(root: Path, found: _Manifest, wanted: _Manifest) -> None:
    others = differences(found.study, wanted.study)
    if not others:
        return
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    msg = (
        f"{root}: of another study: {'; '.join(others[:_MOST_NAMED])}{more}; "
        "ask for the same study, or name another directory"
    )
    raise UsageError(msg)


def _as_read(content: bytes) -> dict[str, Any]:
    """JSON as Python writes it, with infinities, which sites may have."""
    found: dict[str, Any] = json.loads(content)
    return found


def _hash_of(identity: Mapping[str, Any]) -> str:
    return _DIGEST(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:32]


def _chunk_in(content: bytes) -> _Chunk | None:
    """What a file holds; ``None`` where that is not what was written."""
    size = _DIGEST().digest_size
    if content[:size] != _DIGEST(content[size:]).digest():
        return None
    try:
        return msgspec.msgpack.decode(content[size:], type=_Chunk)
    except msgspec.DecodeError:  # of a version with other results, hash and all
        return None
