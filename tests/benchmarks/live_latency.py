"""From capture sent to next configuration: ``python -m tests.benchmarks.live_latency``.

The paper's site (`examples/factory.yaml`: 40 nodes, 6666 tones, 32 elements, one receiver a
sensing) as `testbed up --simulate` starts it on this machine at pilot fidelity, with one worker:
more have nothing to do where each sensing has one capture. Backgrounds are perfect, so that nothing
is learned meanwhile. A latency is from when an agent sent a capture to when the coordinator issued
the configuration that follows from it: to the worker, its report, fusion and planning. The first
run is left out. Both times are of the one monotonic clock of this machine. Where others compute as
well, `chrt -r 1` before the command keeps the processors free of them.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np

from testbed.bus.job_messages import JobOptions, RecordFields, SensingTimes
from testbed.bus.sockets import Caller
from testbed.services.client import LiveTestbed
from tests.integration.running import running

SITE = Path(__file__).parents[2] / "examples" / "factory.yaml"
NUM_AGENTS = 4
# Milliseconds at the median and the 99th percentile, of two cores.
LIMITS_MS = {"remote": (14.0, 35.0), "local": (10.0, 35.0)}
POINTS = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
ROWS = ("all", "on the way", "report", "fusion and planning")


@contextmanager
def port_of(*, local_workers: bool) -> Iterator[int]:
    """Port of a testbed's coordinator; the testbed ends with the block."""
    workers = ("--local-workers", "--workers", "0") if local_workers else ("--workers", "1")
    with (
        tempfile.TemporaryDirectory() as folder,
        running(str(SITE), Path(folder), "--agents", str(NUM_AGENTS), *workers) as testbed,
    ):
        yield testbed.port


def latencies_ms(port: int, num_sensings: int) -> list[tuple[float, float, float]]:
    """Of at least so many sensings: on the way there and back, the report, fusion and planning."""
    found: list[tuple[float, float, float]] = []
    with Caller(f"tcp://127.0.0.1:{port}", max_frame_bytes=1 << 23) as caller:
        testbed = LiveTestbed(caller)
        _records(testbed)  # whatever is done once
        while len(found) < num_sensings:
            records = _records(testbed)
            for first, second in pairwise(records):
                found += _parts_ms(first.times, second.times.issued_s)
    return found


def _parts_ms(times: SensingTimes, next_s: float | None) -> Iterator[tuple[float, float, float]]:
    sent_s, worked_s, reported_s = times.capture_sent_s, times.worked_s, times.reported_s
    if None not in (sent_s, worked_s, reported_s, next_s):
        way_s = reported_s - sent_s - worked_s
        yield 1e3 * way_s, 1e3 * worked_s, 1e3 * (next_s - reported_s)


def _records(testbed: LiveTestbed) -> list[RecordFields]:
    records: list[RecordFields] = []
    options = JobOptions(background="perfect", num_receivers=1)
    testbed.run("localize", options, lambda state: records.extend(state.records))
    return records


def main() -> None:
    """Print a table or JSON; status 1 if a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sensings", type=int, default=200)
    parser.add_argument("--local-workers", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    worker = "local" if asked.local_workers else "remote"
    with port_of(local_workers=asked.local_workers) as port:
        found = latencies_ms(port, asked.sensings)
    parts = np.array(found)
    columns = np.column_stack([parts.sum(axis=1), parts])
    figures = {
        name: dict(
            zip(POINTS, np.percentile(column, list(POINTS.values())).round(2).tolist(), strict=True)
        )
        for name, column in zip(ROWS, columns.T, strict=True)
    }
    p50_ms, p99_ms = LIMITS_MS[worker]
    kept = figures["all"]["p50"] <= p50_ms and figures["all"]["p99"] <= p99_ms
    load = os.getloadavg()[0]
    if asked.json:
        described = {"worker": worker, "sensings": len(found), "load": load, "kept": kept}
        sys.stdout.write(json.dumps(described | {"latency_ms": figures}) + "\n")
    else:
        rows = {name: "".join(f"{v:8.1f}" for v in row.values()) for name, row in figures.items()}
        sys.stdout.write(
            f"capture sent to next configuration, {worker} worker, {len(found)} sensings,\n"
            f"perfect backgrounds, {os.cpu_count()} cores, load {load:.1f}; milliseconds\n"
            f"{'':<22}{''.join(f'{point:>8}' for point in POINTS)}\n"
            f"{''.join(f'{name:<22}{row}{chr(10)}' for name, row in rows.items())}"
            f"{'limit':<22}{p50_ms:8.1f}{'':>8}{p99_ms:8.1f}\n"
        )
    sys.exit(not kept)


if __name__ == "__main__":
    main()
