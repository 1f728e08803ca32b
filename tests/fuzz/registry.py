"""Every decoder of what comes from elsewhere: from other processes, or from disk."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from hypothesis import HealthCheck, given, settings

from calibration.dictionary import BackgroundDictionary, DictionaryError, Provenance
from calibration.node_files import load_node_calibration, save_node_calibration
from drivers.recording import Recording, RecordingError
from testbed.bus.air_messages import ANSWERS, REQUESTS
from testbed.bus.allowed import allow, read_allowed
from testbed.bus.job_messages import JobAsked, JobState, SensedFields
from testbed.bus.key_files import KeysError
from testbed.bus.own_key import OwnKey, keep_own_key, load_own_key
from testbed.bus.sockets import new_key_pair
from testbed.bus.wire import Codec, Message, WireError
from testbed.services.agent import AGENT_TAKES
from testbed.services.agent_link import AGENT_ANSWERS
from testbed.services.client import CLIENT_TAKES
from testbed.services.coordinator import COORDINATOR_TAKES
from testbed.services.jobs import Job, Jobs
from testbed.services.journal import Journal, whole_entries
from testbed.services.worker import WORKER_TAKES
from tests.contract.messages import drawn
from tests.fuzz.decoder import Decoder
from tests.fuzz.mutation import Frames
from tests.unit.calibration.test_node_files import NODES, calibration
from tests.unit.drivers.test_recording import made

_BUFFERS = (np.arange(6, dtype=np.complex64).reshape(3, 2), np.array([1.0]))
_MAX_BUFFER_BYTES = 1 << 20
_FILE_SHARE = 0.005  # writing a file and reading YAML take fifty times as long as a message


def decoders(scratch: Path) -> Iterator[Decoder]:
    """All of them.

    Parameters
    ----------
    scratch
        An empty folder, for those that read files.
    """
    yield from _wire_decoders()
    yield from _file_decoders(scratch)
    yield _journal_decoder(scratch)
    yield from _job_decoders(scratch)


def _wire_decoders() -> Iterator[Decoder]:
    takers: dict[str, Sequence[type[Message]]] = {
        "agent": AGENT_TAKES,
        "agent-answers": AGENT_ANSWERS,
        "worker": WORKER_TAKES,
        "coordinator": COORDINATOR_TAKES,
        "client": CLIENT_TAKES,
        "air": REQUESTS,
        "air-answers": ANSWERS,
    }
    for name, kinds in takers.items():
        codec = Codec(kinds, max_buffer_bytes=_MAX_BUFFER_BYTES)
        messages = [message for kind in kinds for message in _drawn(kind)]
        seeds = [
            [bytes(frame) for frame in codec.encode(message, _BUFFERS[: n % 3])]
            for n, message in enumerate(messages)
        ]
        yield Decoder(
            name, _said_again(codec), (WireError,), seeds, 1.0,
            msgspec.msgpack.decode, msgspec.msgpack.encode,
        )  # fmt: skip


def _said_again(codec: Codec) -> Callable[[Frames], object]:
    """Decode; what was taken must be a message that could have been sent."""

    def decode(frames: Frames) -> object:
        received = codec.decode(frames)
        again = codec.decode(codec.encode(received.message, received.arrays))
        if msgspec.msgpack.encode(again.message) != msgspec.msgpack.encode(received.message):
            msg = f"said again, {received.message} becomes {again.message}"
            raise AssertionError(msg)
        return received

    return decode


def _drawn(kind: type[Message]) -> list[Message]:
    found: list[Message] = []

    @settings(max_examples=6, database=None, derandomize=True, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(drawn(kind))
    def keep(message: Message) -> None:
        found.append(message)

    keep()
    return found


def _file_decoders(scratch: Path) -> Iterator[Decoder]:
    keys = scratch / "keys"
    keep_own_key(keys, OwnKey("agent", "corner", *new_key_pair()))
    for number in range(3):
        allow(keys, "worker", f"w{number}", new_key_pair()[0])
    yield _file("own-key", keys, "own.key", load_own_key, KeysError)
    yield _file("allowed-keys", keys, "allowed.yaml", read_allowed, KeysError)

    provenance = Provenance("waveform", "simulated seed 0", 70)
    dictionary = BackgroundDictionary(scratch / "dictionary", provenance)
    dictionary.put("a", "b", _BUFFERS[0])
    save_node_calibration(dictionary.root, calibration())

    def opened(root: Path) -> BackgroundDictionary:
        return BackgroundDictionary(root, provenance)

    files: dict[str, tuple[str, Callable[[Path], object]]] = {
        "dictionary": ("dictionary.json", opened),
        "entry-header": ("*.entry.json", lambda root: opened(root).get("a", "b")),
        "entry-array": ("*.npy", lambda root: opened(root).get("a", "b")),
        "nodes": ("nodes.json", lambda root: load_node_calibration(root, NODES)),
    }
    for name, (pattern, read) in files.items():
        yield _file(name, dictionary.root, pattern, read, DictionaryError)

    recording = made(scratch / "recording")
    yield _file("recording", recording, "recording.json", _loaded, RecordingError)
    yield _file("record", recording, "*.sigmf-meta", _loaded, RecordingError)


def _loaded(root: Path) -> None:
    recording = Recording(root)
    for record in recording.records:
        recording.load_block(record)


def _file(
    name: str, folder: Path, pattern: str, read: Callable[[Path], object], error: type[Exception]
) -> Decoder:
    """Reads a copy of a folder in which one file holds the input."""
    copy = shutil.copytree(folder, folder.with_name(f"{folder.name} for {name}"))
    (path,) = copy.glob(pattern)

    def decode(frames: Frames) -> object:
        path.write_bytes(b"".join(frames))
        return read(copy)

    right = path.read_bytes()
    is_json = path.suffix == ".json" or right.startswith(b"{")
    json = (msgspec.json.decode, msgspec.json.encode) if is_json else (None, None)
    return Decoder(name, decode, (error,), [[right]], _FILE_SHARE, *json)


def _journal_decoder(scratch: Path) -> Decoder:
    path = scratch / "journal"
    journal = Journal(path)
    for sensed in _drawn(SensedFields):
        journal.add(sensed)
    journal.close()

    def decode(frames: Frames) -> object:
        return whole_entries(b"".join(frames))

    return Decoder("journal", decode, (), [[path.read_bytes()]], 0.1)


def _job_decoders(scratch: Path) -> Iterator[Decoder]:
    """What a coordinator before this one kept of a job; damaged, it is as if it were not there."""
    folder = scratch / "jobs"
    kept = {"asked.msgpack": _drawn(JobAsked), "ended.msgpack": _drawn(JobState)}
    (folder / "kept").mkdir(parents=True)
    for name, messages in kept.items():
        (folder / "kept" / name).write_bytes(msgspec.msgpack.encode(messages[-1]))
    for name, messages in kept.items():
        copy = shutil.copytree(folder, scratch / f"jobs for {name}")
        yield Decoder(
            name.split(".")[0], _found_again(copy, name), (),
            [[msgspec.msgpack.encode(message)] for message in messages], 0.05,
            msgspec.msgpack.decode, msgspec.msgpack.encode,
        )  # fmt: skip


def _found_again(folder: Path, name: str) -> Callable[[Frames], object]:
    def decode(frames: Frames) -> Job | None:
        (folder / "kept" / name).write_bytes(b"".join(frames))
        return Jobs(folder, lambda _job: None).found("kept")

    return decode
