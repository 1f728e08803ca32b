"""Campaigns that are killed again and again end with the dictionary of one that was not.

``python -m tests.chaos.killed_campaign --kills 200`` lets `testbed calibrate` learn a hall of four
nodes, twelve links, once undisturbed; then into one directory as often as it takes, each time
killed (SIGKILL) at a moment drawn evenly from the time that the undisturbed one took; then into
the next directory, until so many were killed. (On a machine that has become busy nothing is learned
in that time: after three kills in a row without a new entry it is taken to be half as long again
for that directory.)
Pilot fidelity: what a capture holds depends on seed,
link and number alone, so that equal means equal to the last bit. With ``--spread`` the captures of
each entry are spread over rounds, and killed campaigns go on from what those have kept.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import DictionaryError
from calibration.dictionary_survey import surveyed
from tests.unit.testbed.sites import changed, tiny, write_site

ROOT = Path(__file__).parents[2]
# Arrays of three megabytes of few captures, so that writing takes a part of the time that shows.
SIZE = {
    "waveform.num_subcarriers": 12000,
    "waveform.subcarrier_spacing_khz": 15.0,
    "node_defaults.array.num_elements": 32,
    "calibration.num_captures": 3,
}
NUM_LINKS = 12
SEED = 7
PATIENCE_S = 120.0
_NOT_COMPARED = ("created", "host")
_MOST_FRUITLESS = 3
_ENOUGH = 10  # problems


@dataclass
class Toll:
    """What came of it.

    Attributes
    ----------
    undisturbed_s
        How long a campaign takes that is not killed.
    num_killed, num_campaigns
        Processes that were killed, and campaigns that came to their end nevertheless.
    num_resumed
        Processes that found entries of a killed one.
    num_whole
        Entries found whole, over all looks after a kill.
    num_cut_short
        Kills that left a temporary file: in the middle of writing.
    """

    undisturbed_s: float
    num_killed: int = 0
    num_campaigns: int = 0
    num_resumed: int = 0
    num_whole: int = 0
    num_cut_short: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        verdict = "; ".join(self.problems) or "nothing lost, nothing learned twice, all bits equal"
        return (
            f"{self.num_killed} kills in {self.num_campaigns} campaigns of "
            f"{self.undisturbed_s:.1f} s: {self.num_resumed} resumed, {self.num_whole} entries "
            f"found whole, {self.num_cut_short} kills in the middle of writing; {verdict}"
        )


def start(site: Path, out: Path, *, spread: bool) -> subprocess.Popen[bytes]:
    """`testbed calibrate`, in a process."""
    command = [sys.executable, "-m", "testbed", "calibrate", str(site), "--out", str(out)]
    if spread:
        command += ["--spread", "1"]
    with out.with_suffix(".log").open("ab") as log:
        return subprocess.Popen(
            [*command, "--seed", str(SEED)], cwd=ROOT, stdout=log, stderr=log,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip


def ended_by_itself(process: subprocess.Popen[bytes], within_s: float) -> bool:
    """Wait that long for its end, and kill it then."""
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return process.returncode != -signal.SIGKILL


def undisturbed(site: Path, out: Path, *, spread: bool) -> float:
    """Learn all; how long it took, in seconds."""
    began_s = time.monotonic()
    process = start(site, out, spread=spread)
    if not ended_by_itself(process, PATIENCE_S) or process.returncode:
        msg = f"an undisturbed campaign ended with {process.returncode}; see {out}.log"
        raise RuntimeError(msg)
    return time.monotonic() - began_s


def as_learned(root: Path) -> dict[str, Any]:
    """All files by name: arrays to the last bit, headers and manifest but for time and host.

    Without the report, which says when entries were learned.
    """
    found: dict[str, Any] = {}
    for path in root.iterdir():
        if path.suffix == ".html":
            continue
        found[path.name] = path.read_bytes()
        if path.suffix == ".json":
            content = json.loads(found[path.name])
            found[path.name] = {k: v for k, v in content.items() if k not in _NOT_COMPARED}
    return found


class Killer:
    """Kills campaigns, and looks at what each leaves."""

    def __init__(self, site: Path, folder: Path, seed: int, *, spread: bool = False) -> None:
        self._site, self._spread = site, spread
        self._folder = folder
        self._rng = np.random.default_rng(seed)
        undisturbed(
            site, folder / "first", spread=spread
        )  # what is compiled may have to be, the first time
        self._expected = as_learned(folder / "first")
        self.toll = Toll(undisturbed(site, folder / "second", spread=spread))
        self._latest_s, self._num_fruitless = self.toll.undisturbed_s, 0
        self.compare(folder / "second")

    def kill(self, num_kills: int) -> None:
        """Kill so many, then let the last campaign come to its end."""
        while self.toll.num_killed < num_kills and len(self.toll.problems) < _ENOUGH:
            root = self._folder / f"dictionary{self.toll.num_campaigns}"
            finished: dict[str, tuple[bytes, int]] = {}
            self._latest_s, self._num_fruitless = self.toll.undisturbed_s, 0
            while self._is_killed(root, num_kills):
                self.toll.num_killed += 1
                before, finished = finished, self.look(root, finished)
                self._wait_longer(len(finished) == len(before))
            self.look(root, finished)
            self.compare(root)
            self.toll.num_campaigns += 1

    def _wait_longer(self, is_fruitless: bool) -> None:
        self._num_fruitless = self._num_fruitless + 1 if is_fruitless else 0
        if self._num_fruitless == _MOST_FRUITLESS:
            self._latest_s, self._num_fruitless = 1.5 * self._latest_s, 0

    def _is_killed(self, root: Path, num_kills: int) -> bool:
        spared = self.toll.num_killed >= num_kills
        within_s = PATIENCE_S if spared else self._rng.uniform(0.0, self._latest_s)
        self.toll.num_resumed += any(root.glob("**/*.entry.json"))  # of rounds as well
        process = start(self._site, root, spread=self._spread)
        if not ended_by_itself(process, within_s):
            return not spared
        if process.returncode:
            self._problem(root, f"ended with {process.returncode}; see its log")
        return False

    def look(
        self, root: Path, finished: dict[str, tuple[bytes, int]]
    ) -> dict[str, tuple[bytes, int]]:
        """Headers and when they were written; those that were there before must still be so."""
        try:
            found = surveyed(BackgroundDictionary.existing(root))
        except DictionaryError as error:
            if finished or any(root.glob("*.entry.json")):
                self._problem(root, str(error))
            return finished
        self.toll.num_whole += len(found.entries)
        self.toll.num_cut_short += any(root.glob("**/*.tmp"))
        for damaged in found.damaged:
            self._problem(root, damaged.reason)
        now = {
            path.name: (path.read_bytes(), path.stat().st_mtime_ns)
            for path in root.glob("*.entry.json")
        }
        again = [name for name, before in finished.items() if now.get(name) != before]
        if again:
            self._problem(root, f"lost or learned again: {', '.join(again)}")
        return now

    def compare(self, root: Path) -> None:
        """A directory of a campaign that came to its end: all that it should hold, no more."""
        found = as_learned(root)
        for name in sorted(found.keys() ^ self._expected.keys()):
            self._problem(root, f"{name} {'was left' if name in found else 'is missing'}")
        for name in sorted(found.keys() & self._expected.keys()):
            if found[name] != self._expected[name]:
                self._problem(root, f"{name} is not as undisturbed")
        if len(found) != 2 * NUM_LINKS + 1:
            self._problem(root, f"{len(found)} files, not {2 * NUM_LINKS + 1}")

    def _problem(self, root: Path, text: str) -> None:
        self.toll.problems.append(f"{root.name}: {text}")


def killed_campaigns(num_kills: int, seed: int, folder: Path, *, spread: bool = False) -> Toll:
    """Kill so many, in a folder of its own."""
    site = write_site(folder, changed(tiny(), SIZE))
    killer = Killer(site, folder, seed, spread=spread)
    killer.kill(num_kills)
    return killer.toll


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--spread", action="store_true")
    parser.add_argument("--folder", type=Path, help="kept, with all logs; a temporary one else")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        toll = killed_campaigns(
            options.kills, options.seed, folder.resolve(), spread=options.spread
        )
    sys.stdout.write(f"{json.dumps(asdict(toll)) if options.json else toll}\n")
    return 1 if toll.problems else 0


if __name__ == "__main__":
    sys.exit(main())
