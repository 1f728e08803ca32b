"""Memory of all processes over thousands of sensings: ``python -m tests.chaos.soak``.

Localizations at pilot fidelity on the small laboratory, one after the other. What a process has in
memory just after the first sensings, and at the end, is the median over a hundred sensings.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from testbed.services.client import LiveTestbed
from tests.chaos.jobs import KnownJobs
from tests.chaos.observed import processes_of
from tests.chaos.small_lab import small_lab

MOST_GROWTH = 0.05
_AVERAGED = 100


@dataclass(frozen=True)
class Growth:
    """One process: memory after the first sensings and at the end, and what it counted."""

    first_mb: float
    last_mb: float
    stall_s: float
    counts: dict[str, int]

    @property
    def ratio(self) -> float:
        return self.last_mb / self.first_mb - 1.0


def soak(num_sensings: int, num_first: int, folder: Path) -> dict[str, Growth]:
    """Growth of every process from the first sensings to the last."""
    samples: list[tuple[int, dict[str, float]]] = []
    with (
        small_lab(folder) as lab, KnownJobs(lab, lambda _began_s: 60.0).known() as jobs,
        lab.client() as client,
    ):  # fmt: skip
        while jobs.done.num_records < num_sensings and not jobs.done.problems:
            jobs.localize()
            memory_mb = {p.name: p.memory_mb for p in processes_of(client.state())}
            samples.append((jobs.done.num_records, memory_mb))
        if jobs.done.problems:
            raise RuntimeError("\n".join(jobs.done.problems))
        first = _median_mb(samples, num_first, num_first + _AVERAGED)
        last = _median_mb(samples, num_sensings - _AVERAGED, num_sensings)
        return {
            name: Growth(first[name], last[name], *figures)
            for name, figures in _figures(client).items()
        }


def _median_mb(
    samples: list[tuple[int, dict[str, float]]], start: int, stop: int
) -> dict[str, float]:
    taken = [memory_mb for number, memory_mb in samples if start <= number <= stop]
    return {name: float(np.median([m[name] for m in taken])) for name in taken[0]}


def _figures(client: LiveTestbed) -> dict[str, tuple[float, dict[str, int]]]:
    processes = processes_of(client.state())
    return {p.name: (p.stall_s, dict(Counter(p.counts).most_common())) for p in processes}


def table(growths: dict[str, Growth]) -> str:
    """In lines."""
    lines = [f"{'':12}{'first MB':>10}{'last MB':>10}{'growth':>9}{'stall':>9}  counts"]
    for name, growth in growths.items():
        counts = ", ".join(f"{number} {what}" for what, number in growth.counts.items())
        lines.append(
            f"{name:12}{growth.first_mb:10.1f}{growth.last_mb:10.1f}{growth.ratio:9.1%}"
            f"{1e3 * growth.stall_s:6.0f} ms  {counts}"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sensings", type=int, default=5000)
    parser.add_argument("--first", type=int, default=500)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        growths = soak(options.sensings, options.first, Path(folder).resolve())
    described = {name: asdict(growth) for name, growth in growths.items()}
    sys.stdout.write((json.dumps(described) if options.json else table(growths)) + "\n")
    return int(any(growth.ratio >= MOST_GROWTH for growth in growths.values()))


if __name__ == "__main__":
    sys.exit(main())
