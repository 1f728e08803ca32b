"""Ctrl-C and worse: status 130, one word, no process left, and whole entries only."""

import os
import pty
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from itertools import permutations
from pathlib import Path

import pytest

from testbed.runs.backgrounds import open_dictionary
from testbed.runs.setup import simulate
from testbed.site import load_site
from tests.unit.testbed.sites import call, changed, contents, lab, write_site

PATIENCE_S = 40.0
PROMPT_S = 10.0  # "a few seconds", on a machine that is busy


@contextmanager
def interruptible():
    """Processes started in here get interrupts, as those that a terminal starts.

    A shell without job control starts ``pytest &`` with interrupts ignored, and what is ignored is
    inherited; what has a handler goes back to its default.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Terminal:
    """A command whose standard error is a terminal, so that it shows its progress."""

    def __init__(self, folder, *arguments):
        near, far = pty.openpty()
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "TMPDIR": str(folder / "tmp")}
        (folder / "tmp").mkdir(exist_ok=True)
        with interruptible():
            self.process = subprocess.Popen(
                [sys.executable, "-m", "testbed.cli", *map(str, arguments)],
                stdout=subprocess.PIPE, stderr=far, stdin=subprocess.DEVNULL, cwd=folder,
                env=environment, start_new_session=True,
            )  # fmt: skip
        os.close(far)
        self._terminal = near
        self.shown = b""

    def read_until(self, *words):
        """Read what is shown until one of these words is there, or to the end without words."""
        self.read_while(lambda: not any(word in self.shown for word in words), to_end=not words)

    def read_while(self, condition, *, to_end=False):
        """Read what is shown, ten times a second, while a condition holds."""
        deadline_s = time.monotonic() + PATIENCE_S
        while condition():
            left_s = deadline_s - time.monotonic()
            ready, _, _ = select.select([self._terminal], [], [], max(left_s, 0.0))
            assert ready, f"nothing for {PATIENCE_S} s after {self.shown[-300:]!r}"
            try:
                text = os.read(self._terminal, 65536)
            except OSError:  # the other end of a terminal was closed
                text = b""
            if not text:
                assert to_end, f"ended with {self.shown[-300:]!r}"
                return
            self.shown += text

    def end(self, signal_number, *, to_all=False):
        """Send a signal to the process, or as a terminal does to all; exit status and seconds."""
        descendants = [(pid, os.pidfd_open(pid)) for pid in self.descendants()]
        started_s = time.monotonic()
        if to_all:
            os.killpg(self.process.pid, signal_number)
        else:
            self.process.send_signal(signal_number)
        self.read_until()
        code = self.process.wait(PATIENCE_S)
        took_s = time.monotonic() - started_s
        for pid, pidfd in descendants:  # a pidfd can be read when its process has ended
            ended, _, _ = select.select([pidfd], [], [], PROMPT_S)
            os.close(pidfd)
            assert ended, f"process {pid} is left"
        return code, took_s

    def descendants(self):
        """Process ids of all children and theirs."""
        found, parents = [], [self.process.pid]
        while parents:
            listing = Path(f"/proc/{parents[0]}/task/{parents.pop(0)}/children")
            children = [int(pid) for pid in listing.read_text().split()]
            found += children
            parents += children
        return found

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self._terminal)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def start(tmp_path):
    started = []

    def start_in(*arguments):
        started.append(Terminal(tmp_path, *arguments))
        return started[-1]

    yield start_in
    for terminal in started:
        terminal.close()


@pytest.fixture
def slow(tmp_path):
    """A site of six links, on each of which learning takes tenths of a second."""
    raw = lab()
    del raw["nodes"][3:]
    return write_site(tmp_path, changed(raw, {"calibration.num_captures": 1500}))


@pytest.fixture
def quick(tmp_path):
    """A site whose every trial takes hundredths of a second."""
    small = {"waveform.num_subcarriers": 100, "sensing.max_sensings": 1}
    return write_site(tmp_path, changed(lab(), small))


def is_importing_numpy(pid):
    """Whether a process has loaded NumPy's library; SciPy and the rest are still to come then."""
    try:
        return "_multiarray_umath" in Path(f"/proc/{pid}/maps").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def assert_interrupted(terminal, code, took_s):
    assert code == 130, terminal.shown[-2000:]
    assert b"Traceback" not in terminal.shown, terminal.shown[-4000:]
    assert terminal.shown.rstrip().endswith(b"interrupted")
    assert took_s < PROMPT_S
    assert terminal.process.stdout is not None
    assert terminal.process.stdout.read() == b""


def test_a_study_stops_and_takes_its_workers_along(start, quick, tmp_path):
    rows = tmp_path / "trials.csv"
    terminal = start(
        "study", "run", quick, "--jobs", 2, "--trials", 10_000, "--json", "--trials-out", rows
    )
    terminal.read_until(b" 8/10000", b"16/10000", b"24/10000", b"32/10000")
    assert len(terminal.descendants()) >= 2
    code, took_s = terminal.end(signal.SIGINT)
    assert_interrupted(terminal, code, took_s)
    text = rows.read_text(encoding="utf-8")
    assert text.endswith("\n")
    assert (len(text.splitlines()) - 1) % 8 == 0  # whole chunks


def test_a_stopped_study_says_how_to_go_on_and_does(start, quick, tmp_path):
    root = tmp_path / "study"
    arguments = ("study", "run", quick, "--trials", 160, "--out", root)
    terminal = start(*arguments)
    terminal.read_until(b"16/160", b"24/160", b"32/160", b"40/160")
    code, took_s = terminal.end(signal.SIGINT, to_all=True)
    assert_interrupted(terminal, code, took_s)
    kept = 8 * len(list(root.glob("chunks/*.trials")))
    assert 16 <= kept < 160
    said = f"{root}: {kept} of 160 trials are kept; the same command goes on from there"
    assert said.encode() in terminal.shown.replace(b"\r\n", b"\n")
    found = call(*arguments, "--json")
    assert f"{root}: goes on with {kept} of 160 trials\n" in found.err
    alone = call("study", "run", quick, "--trials", 160, "--json").result
    for timed in ("elapsed_s", "links_per_second"):
        del alone[timed]
    assert alone.items() <= found.result.items()


def test_a_sweep_that_is_interrupted_keeps_what_it_has_and_goes_on(start, quick, tmp_path):
    sweep, root = tmp_path / "sweep.yaml", tmp_path / "swept"
    sweep.write_text(
        "{schema: 1, site: site.yaml, trials: 80, vary: "
        "[{parameter: sensing.num_receivers, values: [1, 2]}]}",
        encoding="utf-8",
    )
    arguments = ("study", "sweep", sweep, "--out", root)
    terminal = start(*arguments)
    terminal.read_until(b"16/160", b"24/160", b"32/160", b"40/160")
    code, took_s = terminal.end(signal.SIGINT, to_all=True)
    assert_interrupted(terminal, code, took_s)
    kept = 8 * len(list(root.glob("cases/*/chunks/*.trials")))
    assert 16 <= kept < 160
    said = f"{root}: {kept} of 160 trials are kept; the same command goes on from there"
    assert said.encode() in terminal.shown.replace(b"\r\n", b"\n")
    assert not (root / "sweep.csv").exists()
    found = call(*arguments)
    assert f"{root}: goes on with {kept} of 160 trials\n" in found.err
    assert (root / "sweep.csv").exists()


def test_a_study_stops_while_its_workers_start(start, quick):
    terminal = start("study", "run", quick, "--jobs", 2, "--trials", 10_000)
    terminal.read_while(lambda: not any(map(is_importing_numpy, terminal.descendants())))
    code, took_s = terminal.end(signal.SIGINT, to_all=True)
    assert_interrupted(terminal, code, took_s)


def test_a_killed_study_takes_its_workers_along(start, quick):
    terminal = start("study", "run", quick, "--jobs", 2, "--trials", 10_000)
    terminal.read_while(lambda: not any(map(is_importing_numpy, terminal.descendants())))
    code, took_s = terminal.end(signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert took_s < PROMPT_S


def test_a_localization_stops_and_leaves_nothing(start, slow, tmp_path):
    before = contents(tmp_path)
    terminal = start("localize", slow, "--figure", tmp_path / "f.png", "--tolerance", 1e-6)
    terminal.read_until(b"learning")
    code, took_s = terminal.end(signal.SIGINT, to_all=True)
    assert_interrupted(terminal, code, took_s)
    assert contents(tmp_path) == {**before, "tmp": None}


@pytest.mark.parametrize("after_s", [0.0, 0.7, 1.9])
def test_a_compiler_at_work_loses_no_interrupt(start, quick, tmp_path, monkeypatch, after_s):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "empty"))
    terminal = start("localize", quick)
    terminal.read_until(b"getting ready")
    with suppress(subprocess.TimeoutExpired):
        terminal.process.wait(after_s)
    code, took_s = terminal.end(signal.SIGINT, to_all=True)
    assert_interrupted(terminal, code, took_s)


def test_a_stopped_campaign_goes_on_where_it_was(start, slow, tmp_path):
    root = tmp_path / "dictionary"
    terminal = start("calibrate", slow, "--out", root)
    terminal.read_until(b"2/6")
    code, took_s = terminal.end(signal.SIGINT, to_all=True)
    assert_interrupted(terminal, code, took_s)
    kept = contents(root)
    assert not [name for name in kept if name.endswith(".tmp")]
    num_kept = sum(name.endswith(".entry.json") for name in kept)
    assert 2 <= num_kept < 6
    outcome = call("calibrate", slow, "--out", root)
    assert f"6 entries, {6 - num_kept} learned now, {num_kept} kept" in outcome.out
    assert kept.items() <= contents(root).items()


def test_a_killed_campaign_goes_on_with_whole_entries(start, slow, tmp_path):
    root = tmp_path / "dictionary"
    terminal = start("calibrate", slow, "--out", root)
    terminal.read_until(b"2/6")
    code, _ = terminal.end(signal.SIGKILL)
    assert code == -signal.SIGKILL
    headers = [name for name in contents(root) if name.endswith(".entry.json")]
    assert 1 <= len(headers) < 6
    outcome = call("calibrate", slow, "--out", root)
    assert f"{6 - len(headers)} learned now, {len(headers)} kept" in outcome.out
    site = load_site(slow)
    source = simulate(site, 0).source
    dictionary = open_dictionary(root, source, site.calibration.num_captures)
    locations = [node.location_id for node in site.nodes]
    for link in permutations(locations, 2):
        entry = dictionary.get(*link)  # which compares it with its hash
        assert entry.channel.shape == (600, 4)
    assert len(dictionary) == 6


def test_a_second_campaign_is_refused_while_the_first_runs(start, slow, tmp_path):
    root = tmp_path / "dictionary"
    terminal = start("calibrate", slow, "--out", root)
    terminal.read_until(b"2/6")
    refused = call("calibrate", slow, "--out", root)
    assert refused.code == 2
    assert f"error: {root}: process {terminal.process.pid} on host " in refused.err
    reading = call("localize", slow, "--dictionary", root, "--max-sensings", 1)
    assert reading.code == 0, reading.err
    terminal.end(signal.SIGKILL)
    outcome = call("calibrate", slow, "--out", root)
    assert "6 entries, " in outcome.out, outcome.err
