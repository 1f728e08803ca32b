"""Fuzzing of every decoder: only declared errors, no crash, no hang, no allocation without bound.

``python -m tests.fuzz.decoders --inputs 1000000`` takes about half a minute of one core. An input
that breaks a decoder is kept in a file, and ``--reproduce FILE`` decodes it again.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.fuzz.worker import BOX_BYTES, MOST_BYTES, BlackBox, decode_again


@click.command()
@click.option("--inputs", default=1_000_000, show_default=True, help="How many, in all.")
@click.option("--seed", default=0, show_default=True)
@click.option("--only", default="", metavar="NAME", help="One decoder.")
@click.option("--out", type=click.Path(path_type=Path), default=Path(), help="Where to keep one.")
@click.option("--reproduce", type=click.Path(path_type=Path), help="Decode a kept input again.")
@click.option("--hang", "hang_s", default=20.0, show_default=True, help="Seconds without end.")
@click.option("--registry", default="tests.fuzz.registry", hidden=True)
def main(
    inputs: int,
    seed: int,
    only: str,
    out: Path,
    reproduce: Path | None,
    hang_s: float,
    registry: str,
) -> None:
    """Feed every decoder with broken inputs; ends with status 1 if one breaks."""
    if reproduce is not None:
        click.echo(decode_again(registry, reproduce.read_bytes()))
        return
    with tempfile.TemporaryDirectory() as scratch:
        box_path = Path(scratch) / "box"
        box_path.write_bytes(bytes(BOX_BYTES))
        problem = run([registry, str(box_path), str(inputs), str(seed), only], box_path, hang_s)
        if problem is None:
            return
        number, content = BlackBox(box_path).read()
    kept = out / f"fuzz-{seed}-{number}.input"
    kept.write_bytes(content)
    msg = f"input {number} broke a decoder: {problem}\nIt is kept in {kept}"
    raise click.ClickException(msg)


def run(arguments: list[str], box_path: Path, hang_s: float) -> str | None:
    """Feed the decoders in a process of their own; what went wrong."""
    command = [sys.executable, "-m", "tests.fuzz.worker", *arguments]
    with (
        tempfile.TemporaryFile("w+") as said,
        tempfile.TemporaryFile("w+") as complained,
        subprocess.Popen(command, stdout=said, stderr=complained) as worker,
    ):
        ended = _wait(worker, BlackBox(box_path), hang_s)
        said.seek(0)
        complained.seek(0)
        _print_report([json.loads(line) for line in said])
        complaint = complained.read().strip()
    if not ended:
        return f"no end after {hang_s:g} s"
    if worker.returncode < 0:
        return f"{signal.Signals(-worker.returncode).name}\n{complaint}"
    return None if worker.returncode == 0 else complaint


def _wait(worker: subprocess.Popen[bytes], box: BlackBox, hang_s: float) -> bool:
    """Wait for the worker to end; whether it did by itself."""
    seen, seen_s = box.read()[0], time.monotonic()
    while True:
        try:
            worker.wait(0.5)
        except subprocess.TimeoutExpired:
            number = box.read()[0]
            if number != seen or number == 0:  # before the first one it draws what decoders take
                seen, seen_s = number, time.monotonic()
            elif time.monotonic() - seen_s > hang_s:
                worker.kill()
                return False
        else:
            return True


def _print_report(reports: list[dict]) -> None:
    for report in reports:
        outcomes = ", ".join(
            f"{name} {count}" for name, count in sorted(report["outcomes"].items())
        )
        rate = report["count"] / report["took_s"]
        click.echo(
            f"{report['name']:>14}: {report['count']:8d} inputs, {rate:6.0f}/s, "
            f"slowest {1e3 * report['slowest_s']:.1f} ms; {outcomes}"
        )
    count, took_s = (sum(report[key] for report in reports) for key in ("count", "took_s"))
    if count:
        click.echo(f"{'all':>14}: {count:8d} inputs, {count / took_s:6.0f}/s of one core")
        click.echo(f"memory stayed within {MOST_BYTES >> 20} MiB of the start")


if __name__ == "__main__":
    main()
