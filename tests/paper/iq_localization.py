"""Localization through IQ: errors and coverage of a site with a preset of impairments.

python -m tests.paper.iq_localization --impairments lab --scenes 12
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from fusion.sensing import CHI2_50, CHI2_95
from testbed.runs.localize import Processors
from testbed.runs.study import run_trial
from testbed.site import Site, load_site

LAB = Path(__file__).parents[2] / "examples" / "lab.yaml"


def site_with(path: Path, impairments: str, num_symbols: int, num_captures: int) -> Site:
    """A site file's lab with a preset, bursts of several symbols, and short calibration."""
    raw = msgspec.to_builtins(load_site(path))
    raw["simulation"]["impairments"] = {"preset": impairments}
    raw["waveform"]["num_symbols"] = num_symbols
    raw["calibration"]["num_captures"] = num_captures
    return msgspec.convert(raw, Site)


def outcomes(site: Site, seeds: Iterable[int]) -> tuple[np.ndarray, np.ndarray]:
    """Error in metres and squared error over covariance, of each seed's scene."""
    processors = Processors(site)
    results = [run_trial(site, seed, "learned", processors, "iq") for seed in seeds]
    return np.array([r.error_m[-1] for r in results]), np.array([r.nees for r in results])


def main() -> None:
    """Print what the module says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impairments", choices=["ideal", "lab", "pluto"], default="ideal")
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--symbols", type=int, default=4, help="of a burst")
    parser.add_argument("--captures", type=int, default=8, help="of a background")
    given = parser.parse_args()
    site = site_with(LAB, given.impairments, given.symbols, given.captures)
    errors, nees = outcomes(site, range(given.scenes))
    print(  # noqa: T201
        f"{site.name}, {given.impairments}, {given.scenes} scenes: error median "
        f"{1e3 * np.median(errors):.1f} mm, largest {1e3 * errors.max():.0f} mm; inside the 50 % "
        f"ellipse {np.mean(nees < CHI2_50):.2f}, inside the 95 % ellipse "
        f"{np.mean(nees < CHI2_95):.2f}"
    )


if __name__ == "__main__":
    main()
