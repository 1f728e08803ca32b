"""Studies that are killed again and again end with the results of one that was not.

``python -m tests.chaos.killed_study --kills 100`` runs `testbed study run` once undisturbed; then
into another directory as often as it takes, each time killed (SIGKILL), in turns at a moment drawn
evenly from the time that the undisturbed one took and as soon as one more chunk is there; then into
the next directory, until so many were killed. Chunks that are there after a kill must stay as they
are, and what comes out in the end must be equal to the last bit.
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

from tests.chaos.killed_campaign import ended_by_itself
from tests.unit.testbed.sites import changed, lab, write_site

ROOT = Path(__file__).parents[2]
SIZE = {"waveform.num_subcarriers": 100, "sensing.max_sensings": 2}
TRIALS = 64
SEED = 7
PATIENCE_S = 120.0
TIMED = ("elapsed_s", "links_per_second")


@dataclass
class Toll:
    """What came of it.

    Attributes
    ----------
    undisturbed_s
        How long a study takes that is not killed.
    num_killed, num_studies
        Processes that were killed, and studies that came to their end nevertheless.
    num_resumed
        Processes that found chunks of a killed one.
    """

    undisturbed_s: float
    num_killed: int = 0
    num_studies: int = 0
    num_resumed: int = 0
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        verdict = "; ".join(self.problems) or "nothing lost, nothing computed twice, all bits equal"
        return (
            f"{self.num_killed} kills in {self.num_studies} studies of {self.undisturbed_s:.1f} s: "
            f"{self.num_resumed} resumed; {verdict}"
        )


class Killer:
    """Kills studies, and looks at what each leaves."""

    def __init__(self, folder: Path, seed: int, jobs: int) -> None:
        self._site = write_site(folder, changed(lab(), SIZE))
        self._folder, self._jobs = folder, jobs
        self._rng = np.random.default_rng(seed)
        self._ended(folder / "first", PATIENCE_S)  # what is compiled may have to be
        began_s = time.monotonic()
        self._ended(folder / "second", PATIENCE_S)
        self.toll = Toll(time.monotonic() - began_s)
        self._expected = self.found(folder / "second")

    def kill(self, num_kills: int) -> None:
        """Kill so many, then let the last study come to its end."""
        while self.toll.num_killed < num_kills and not self.toll.problems:
            root = self._folder / f"study{self.toll.num_studies}"
            self._end_one(root, num_kills)
            if self.found(root) != self._expected:
                self.toll.problems.append(f"{root.name}: not as undisturbed")
            self.toll.num_studies += 1

    def _end_one(self, root: Path, num_kills: int) -> None:
        before: dict[str, bytes] = {}
        while True:
            self.toll.num_resumed += bool(before)
            ended = self._ended(root, self._patience_s(num_kills), self._at_a_chunk(num_kills))
            after = chunks(root)
            if not before.items() <= after.items():
                self.toll.problems.append(f"{root.name}: chunks lost or computed again")
            before = after
            if ended:
                return
            self.toll.num_killed += 1

    def _patience_s(self, num_kills: int) -> float:
        """For how long the next one is let alone, in seconds."""
        if self.toll.num_killed >= num_kills or self._at_a_chunk(num_kills):
            return PATIENCE_S
        return float(self._rng.uniform(0.0, self.toll.undisturbed_s))

    def _at_a_chunk(self, num_kills: int) -> bool:
        """Whether the next one is killed with its first chunk."""
        return self.toll.num_killed < num_kills and self.toll.num_killed % 2 == 1

    def _ended(self, root: Path, within_s: float, at_a_chunk: bool = False) -> bool:
        """Whether a study came to its end by itself in that time; otherwise it is killed then."""
        command = [sys.executable, "-m", "testbed", "study", "run", str(self._site), "--json"]
        options = ["--trials", TRIALS, "--seed", SEED, "--jobs", self._jobs, "--out", root]
        with (
            root.with_suffix(".json").open("wb") as out,
            root.with_suffix(".log").open("ab") as log,
        ):
            process = subprocess.Popen(
                [*command, *map(str, options)], cwd=ROOT, stdout=out, stderr=log,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            )  # fmt: skip
            if at_a_chunk:
                self._await_a_chunk(process, root, within_s)
                within_s = 0.0
            ended_by_itself(process, within_s)
        if process.returncode not in (0, -signal.SIGKILL):
            msg = f"a study ended with {process.returncode}; see {root}.log"
            raise RuntimeError(msg)
        return process.returncode == 0

    @staticmethod
    def _await_a_chunk(process: subprocess.Popen[bytes], root: Path, within_s: float) -> None:
        """Until there is one more, or the study has come to its end."""
        until_s, num_before = time.monotonic() + within_s, len(chunks(root))
        while len(chunks(root)) == num_before and process.poll() is None:
            if time.monotonic() > until_s:
                msg = f"no chunk within {within_s:.0f} s; see {root}.log"
                raise TimeoutError(msg)
            time.sleep(0.002)

    def found(self, root: Path) -> tuple[dict[str, Any], bytes, list[str]]:
        """What a study printed, without times; its table; and which files it left."""
        printed = json.loads(root.with_suffix(".json").read_bytes())
        names = sorted(str(path.relative_to(root)) for path in root.rglob("*"))
        shown = {key: value for key, value in printed.items() if key not in TIMED}
        return shown, (root / "trials.csv").read_bytes(), names


def chunks(root: Path) -> dict[str, bytes]:
    """All whole chunks, by name."""
    return {path.name: path.read_bytes() for path in root.glob("chunks/*.trials")}


def killed_studies(num_kills: int, seed: int, folder: Path, jobs: int = 1) -> Toll:
    """Kill so many, in a folder of its own."""
    killer = Killer(folder, seed, jobs)
    killer.kill(num_kills)
    return killer.toll


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        toll = killed_studies(options.kills, options.seed, Path(folder), options.jobs)
    sys.stdout.write(f"{json.dumps(asdict(toll)) if options.json else toll}\n")
    return 1 if toll.problems else 0


if __name__ == "__main__":
    sys.exit(main())
