"""A recording whose writer is killed opens, and every record in it is what was written.

``python -m tests.integration.test_recording_kills --kills 200`` kills more often than the tests.
The killing process is one of its own, because it forks: pytest may have threads.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import sigmf  # noqa: F401  loaded before the forks, so that no child has to

from drivers.array import UniformLinearArray
from drivers.burst import SoundingBurst
from drivers.capture import Capture, CaptureQuality, missing_capture
from drivers.geometry import Pose
from drivers.node import Node
from drivers.radio import IqBlock
from drivers.recording import Recording, RecordingError, RecordingWriter
from drivers.tuning import Tuning
from drivers.waveform import OfdmGrid

ROOT = Path(__file__).parents[2]
GRID = OfdmGrid(carrier_hz=3.5e9, subcarrier_spacing_hz=30e3, num_subcarriers=1596)
BURST = SoundingBurst(GRID, sample_rate_hz=61.44e6, num_symbols=4, prefix_length=256)
TUNING = Tuning(carrier_hz=3.5e9, sample_rate_hz=61.44e6, rx_gain_db=30.0, tx_gain_db=10.0)
NODES = [
    Node(name, name, Pose((float(n), 0.0), 0.1), UniformLinearArray(2, 0.04))
    for n, name in enumerate(("north", "east", "south / west"))
]
FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir"}


def noise(rng: np.random.Generator, num_rows: int) -> np.ndarray:
    parts = rng.standard_normal((num_rows, 2, 2), dtype=np.float32)
    return parts.view(np.complex64)[..., 0]


def written(seed: int, number: int) -> tuple[Node, Node, IqBlock | Capture]:
    """The record of a number as its seed makes it: transmitter, receiver and content."""
    rng = np.random.default_rng((seed, number))
    tx, rx = (NODES[n] for n in rng.permutation(len(NODES))[:2])
    if number % 4 < 2:
        samples = noise(rng, int(rng.integers(1, 200_000)))
        late, locked = bool(rng.integers(2)), bool(rng.integers(2))
        return tx, rx, IqBlock(
            samples, number, 61.44e6, TUNING, -30.0, seed, late=late, clock_locked=locked
        )  # fmt: skip
    if number % 4 == 2:
        quality = CaptureQuality(underflow=bool(rng.integers(2)))
        pilots = noise(rng, GRID.num_subcarriers)
        return tx, rx, Capture(
            tx.node_id, rx.node_id, pilots, 4, GRID.waveform_hash, seed, quality=quality
        )  # fmt: skip
    return tx, rx, missing_capture(tx.node_id, rx.node_id, GRID, f"fault {rng.integers(1000)}")


def add(writer: RecordingWriter, seed: int, number: int) -> None:
    tx, rx, content = written(seed, number)
    if isinstance(content, IqBlock):
        writer.add_block("sensing", number, tx, rx, BURST, content)
    else:
        writer.add_capture("background", number, tx, rx, GRID, content)


def assert_as_written(recording: Recording, seed: int) -> None:
    assert recording.description == {"seed": seed}
    assert recording.num_incomplete <= 1
    for number, record in enumerate(recording.records):
        tx, rx, expected = written(seed, number)
        assert record.fields.sequence_number == record.fields.index == number
        assert (record.fields.tx_id, record.fields.rx_id) == (tx.node_id, rx.node_id)
        assert (recording.node(tx.node_id), recording.node(rx.node_id)) == (tx, rx)
        if isinstance(expected, IqBlock):
            block = recording.load_block(record)
            assert replace(block, samples=None) == replace(expected, samples=None)
            found, array = block.samples, expected.samples
        else:
            capture = recording.load_capture(record)
            assert replace(capture, rx_pilots=None) == replace(expected, rx_pilots=None)
            found, array = capture.rx_pilots, expected.rx_pilots
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        assert found.tobytes() == array.tobytes()


def forked(task: Callable[[], None]) -> int:
    """Process id of a child that does a task and ends."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        task()
        status = 0
    finally:
        os._exit(status)


def kill_at_random(root: Path, seed: int) -> int:
    """Kill an endless writer somewhere in a record; how many it had acknowledged."""
    rng = np.random.default_rng(seed)
    reader, answers = os.pipe()

    def record_on() -> None:
        with RecordingWriter(root, {"seed": seed}) as writer:
            for number in count():
                os.write(answers, b".")  # one for the recording, then one for every record
                add(writer, seed, number)

    pid = forked(record_on)
    os.close(answers)
    try:
        assert os.read(reader, 1), "the writer could not begin"
        started_s, num_awaited = time.perf_counter(), int(rng.integers(1, 9))
        num_answers = sum(len(os.read(reader, 1)) for _ in range(num_awaited))
        record_s = (time.perf_counter() - started_s) / num_awaited
        deadline_s = time.perf_counter() + rng.uniform(0.0, 2.0) * record_s
        while time.perf_counter() < deadline_s:
            pass
    finally:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status), f"the writer ended by itself with status {status}"
    while rest := os.read(reader, 100):
        num_answers += len(rest)
    os.close(reader)
    return num_answers


def kill_often(scratch: Path, num_kills: int, first_seed: int) -> str:
    """Kill writers and look at what each left; a line that sums it up."""
    num_records = num_with_leftovers = 0
    for seed in range(first_seed, first_seed + num_kills):
        root = scratch / f"recording{seed}"
        num_acknowledged = kill_at_random(root, seed)
        recording = Recording(root)
        assert_as_written(recording, seed)
        # What was acknowledged is there, and at most the one after it.
        assert num_acknowledged <= len(recording.records) <= num_acknowledged + 1
        num_records += len(recording.records)
        num_with_leftovers += recording.num_incomplete
        shutil.rmtree(root)
    return (
        f"{num_kills} kills: {num_kills} archives opened, all {num_records} records as written, "
        f"{num_with_leftovers} archives with an incomplete record left over"
    )


def record_until(operation: int, root: Path) -> None:
    """Make a short recording, and be killed just before a certain operation on its files."""
    left = operation

    def die(event: str, arguments: tuple) -> None:
        nonlocal left
        if event in FILE_EVENTS and root.name in str(arguments[0]):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(die)
    with RecordingWriter(root, {"seed": 7}) as writer:
        for number in range(4):
            add(writer, 7, number)


def kill_at_every_operation(scratch: Path) -> str:
    """Kill a writer before its first operation on a file, its second and so on, until its end."""
    for operation in count():
        root = scratch / f"operation{operation}"
        pid = forked(lambda operation=operation, root=root: record_until(operation, root))
        _, status = os.waitpid(pid, 0)
        if not (root / "recording.json").exists():
            with pytest.raises(RecordingError, match="no recording"):
                Recording(root)
            RecordingWriter(root, {"seed": 7}).close()  # and nothing is in the way of one
        recording = Recording(root)
        assert_as_written(recording, 7)
        shutil.rmtree(root)
        if not os.WIFSIGNALED(status):
            assert (status, len(recording.records), recording.num_incomplete) == (0, 4, 0)
            return f"killed before each of {operation} operations on files"
    raise AssertionError


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill recordings at random and check the rest.")
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scratch", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        lines = (
            kill_at_every_operation(Path(scratch)),
            kill_often(Path(scratch), arguments.kills, arguments.seed),
        )
    sys.stdout.write("".join(f"{line}\n" for line in lines))


def test_a_killed_recording_holds_what_was_written(tmp_path):
    command = [sys.executable, "-m", "tests.integration.test_recording_kills"]
    done = subprocess.run(
        [*command, "--kills", "25", "--scratch", str(tmp_path)],
        cwd=ROOT, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    operations, kills = done.stdout.splitlines()
    # To make the recording, and for each record its data and metadata; without data, half of it
    assert int(re.findall(r"\d+", operations)[0]) > 25
    assert kills.startswith("25 kills: 25 archives opened, all ")
    assert list(tmp_path.iterdir()) == []


if __name__ == "__main__":
    main()
