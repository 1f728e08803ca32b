"""Jobs of a testbed whose processes are killed, stopped and restarted: nothing is lost or changed.

``python -m tests.chaos.storm --minutes 10`` starts the small laboratory, six nodes with an agent
each, two workers and a coordinator; does some jobs undisturbed; and then one job after the other
while every one to four seconds something befalls one of the nine processes.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from tests.chaos.jobs import KnownJobs
from tests.chaos.observed import Observer
from tests.chaos.small_lab import END_S, small_lab
from tests.chaos.strikes import KINDS, Strike, Striker

# A job takes a second or two; what it may take, as such and for each strike meanwhile. One strike
# costs seconds: a process starts in two, on a machine that is busy with others in ten and more.
BASE_S, STRIKE_S = 180.0, 1.5
STALL_S = 0.5
# For a node to be waited for, and not left out: longer than any is away.
PATIENCE_S = 240.0
_ENOUGH = 10  # problems: one job that hangs fails all after it


@dataclass(frozen=True)
class Weather:
    """What a storm brought.

    Attributes
    ----------
    strikes
        How often what befell whom.
    took_s
        Of the jobs: how many, half of them at most, and all at most.
    counts
        What processes counted, by kind of process.
    worst_stall_s, own_stall_s
        Longest time that a coordinator's loop was not served; and longest that was no fault of a
        machine whose processors were busy with others.
    """

    minutes: float
    seed: int
    strikes: dict[str, dict[str, int]]
    took_s: dict[str, tuple[int, float, float]]
    num_records: int
    counts: dict[str, dict[str, int]]
    worst_stall_s: float
    own_stall_s: float
    end_s: float
    problems: list[str]


def storm(minutes: float, seed: int, folder: Path) -> Weather:
    """Let it storm for so long, in a folder of its own."""
    strikes: list[Strike] = []

    def allowed_s(began_s: float) -> float:
        return BASE_S + STRIKE_S * sum(strike.at_s >= began_s for strike in list(strikes))

    with small_lab(folder, PATIENCE_S) as lab, KnownJobs(lab, allowed_s).known() as jobs:
        observer, striker = Observer(lab), Striker(lab, seed, 60.0 * minutes)
        strikes = striker.strikes
        observer.start()
        striker.start()
        try:
            while striker.is_alive() and len(jobs.done.problems) < _ENOUGH:
                jobs.one()
        finally:
            observer.end()
            striker.end()
        os.kill(next(iter(lab.pids().values())), signal.SIGSTOP)  # it is to end nevertheless
        end_s = lab.end()
        left = lab.left()
    problems = list(jobs.done.problems)
    stalls = observer.stalls(strikes)
    own_s = max(stall.own_s for stall in stalls)
    if own_s >= STALL_S:
        problems.append(
            f"a coordinator's loop was not served for {own_s:.2f} s, and had processors"
        )
    if end_s > END_S:
        problems.append(f"all ended {end_s:.2f} s after SIGTERM, not within {END_S:g} s")
    if left:
        problems.append(f"processes were left: {left}")
    return Weather(
        minutes, seed,
        {name: {kind: count[kind] for kind in KINDS} for name, count in striker.counts().items()},
        {
            task: (len(took), float(np.median(took)), max(took))
            for task, took in jobs.done.took_s.items() if took
        },
        jobs.done.num_records,
        {kind: dict(count.most_common()) for kind, count in observer.counts().items()},
        max(stall.took_s for stall in stalls), own_s, end_s, problems,
    )  # fmt: skip


def table(weather: Weather) -> str:
    """What a storm brought, in lines."""
    lines = [f"{'':14}" + "".join(f"{kind:>11}" for kind in KINDS)]
    for name, count in weather.strikes.items():
        lines.append(f"{name:14}" + "".join(f"{count[kind]:11d}" for kind in KINDS))
    totals = [sum(count[kind] for count in weather.strikes.values()) for kind in KINDS]
    lines.append(f"{'all':14}" + "".join(f"{total:11d}" for total in totals))
    for task, (number, median_s, most_s) in weather.took_s.items():
        lines.append(f"{task}: {number} jobs, median {median_s:.1f} s, at most {most_s:.1f} s")
    lines.append(f"records: {weather.num_records}")
    for kind, count in weather.counts.items():
        lines.append(f"{kind}: " + ", ".join(f"{number} {what}" for what, number in count.items()))
    lines.append(
        f"longest stall of a coordinator {1e3 * weather.worst_stall_s:.0f} ms, longest that was "
        f"not for want of a processor {1e3 * weather.own_stall_s:.0f} ms"
    )
    lines.append(f"all ended {weather.end_s:.2f} s after SIGTERM")
    return "\n".join(
        [*lines, *(weather.problems or ["nothing lost, nothing twice, no other result"])]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="kept, with all logs; a temporary one else")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        weather = storm(options.minutes, options.seed, folder.resolve())
    text = json.dumps(asdict(weather)) if options.json else table(weather)
    sys.stdout.write(f"{text}\n")
    return 1 if weather.problems else 0


if __name__ == "__main__":
    sys.exit(main())
