"""Calibrate and localize with vendors' clients on software radios, in one scene after the other.

    python -m tests.vendor.emulated_runs examples/three_plutos.yaml --runs 20
    python -m tests.vendor.emulated_runs examples/three_plutos.yaml --runs 20 --live

prints a row a scene: the error, the 95 % ellipse, and whether the truth lies in it. With ``--live``
the radios are driven by agents as processes. For USRPs, run it with the environment's own Python.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from testbed.build import build_nodes, build_scene
from testbed.site import load_site

_TESTBED = (sys.executable, "-m", "testbed")
_PATIENCE_S = 300.0
_INSIDE_95 = float(stats.chi2(2).ppf(0.95))


@dataclass(frozen=True)
class Run:
    """What came of one scene; metres."""

    seed: int
    error_m: float
    semi_axes_m: tuple[float, float]
    is_inside: bool
    status: str
    num_sensings: int

    def row(self) -> str:
        """For people."""
        long_m, short_m = self.semi_axes_m
        inside = "inside" if self.is_inside else "OUTSIDE"
        return (
            f"seed {self.seed:3d}: error {self.error_m:7.3f} m, ellipse {long_m:7.3f} x "
            f"{short_m:6.3f} m, truth {inside}, {self.status} after {self.num_sensings}"
        )


def run_scene(site_path: Path, seed: int, *, live: bool) -> Run:
    """Emulate the site in the scene of a seed, calibrate without target, localize with it."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        opened.enter_context(serving("emulate", str(site_path), "--seed", str(seed)))
        extra: tuple[str, ...] = ()
        if live:
            opened.enter_context(
                serving("up", str(site_path), "--state", str(folder / "state"), "--workers", "1")
            )
            extra = ("--live",)
        dictionary = "dictionary" if live else str(folder / "dictionary")
        _testbed("calibrate", str(site_path), "--out", dictionary, *extra)
        _testbed("target", str(site_path), "present")
        said = _testbed("localize", str(site_path), "--dictionary", dictionary, "--json", *extra)
    return _judged(site_path, seed, json.loads(said))


def _judged(site_path: Path, seed: int, found: dict) -> Run:
    site = load_site(site_path)
    truth_m = build_scene(site, build_nodes(site, seed), seed).target_m
    off_m = np.array(found["estimate_m"]) - truth_m
    covariance = np.array(found["covariance_m2"])
    short_m, long_m = np.sqrt(np.linalg.eigvalsh(covariance) * _INSIDE_95)
    return Run(
        seed=seed,
        error_m=float(np.hypot(*off_m)),
        semi_axes_m=(float(long_m), float(short_m)),
        is_inside=bool(off_m @ np.linalg.solve(covariance, off_m) <= _INSIDE_95),
        status=found["status"],
        num_sensings=found["num_sensings"],
    )


def _testbed(*arguments: str) -> str:
    done = subprocess.run(
        (*_TESTBED, *arguments), capture_output=True, text=True, timeout=_PATIENCE_S, check=False
    )
    if done.returncode:
        msg = f"testbed {' '.join(arguments)}: {done.stderr}"
        raise RuntimeError(msg)
    return done.stdout


@contextmanager
def serving(*arguments: str) -> Iterator[None]:
    """A service of testbed from its first line on, until the block ends."""
    with subprocess.Popen(
        (*_TESTBED, *arguments), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            if process.stdout is None or not process.stdout.readline():
                msg = f"testbed {' '.join(arguments)} ended before it served"
                raise RuntimeError(msg)
            yield
        finally:
            process.terminate()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the scenes and print what came of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--live", action="store_true", help="agents as processes, over ZeroMQ")
    asked = parser.parse_args(arguments)
    runs = []
    for seed in range(asked.first_seed, asked.first_seed + asked.runs):
        runs.append(run_scene(asked.site, seed, live=asked.live))
        print(runs[-1].row(), flush=True)  # noqa: T201
    inside = sum(run.is_inside for run in runs)
    median_m = np.median([run.error_m for run in runs])
    axes_m = np.median([run.semi_axes_m for run in runs], axis=0).round(3)
    interval = stats.binomtest(inside, len(runs)).proportion_ci(0.95, method="exact")
    print(  # noqa: T201
        f"truth inside the 95 % ellipse in {inside} of {len(runs)} runs "
        f"[{interval.low:.2f}, {interval.high:.2f}]; error {median_m:.3f} m in "
        f"the median, semi-axes {axes_m} m"
    )


if __name__ == "__main__":
    main()
