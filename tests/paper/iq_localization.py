"""Localization through IQ: errors and coverage of a site with a preset of impairments.

python -m tests.paper.iq_localization --impairments lab --scenes 12
"""

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np

from fusion.sensing import CHI2_50, CHI2_95
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.localize import Localization, Processors
from testbed.runs.node_calibration import node_calibration_of
from testbed.runs.setup import opened_setup
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
    errors, nees = [], []
    processors = Processors(site)
    for seed in seeds:
        with opened_setup(site, seed, "iq") as setup, tempfile.TemporaryDirectory() as scratch:
            root = Path(scratch) / "dictionary"
            dictionary = open_dictionary(root, setup.source, site.calibration.num_captures)
            calibration = node_calibration_of(setup, root, site.calibration.num_captures)
            backgrounds = LearnedBackgrounds(setup.source, dictionary, calibration=calibration)
            run = Localization(
                site, setup.source, backgrounds, processors,
                setup.planning_rng(), setup.target_m, calibration,
            )  # fmt: skip
            estimate = list(run.run())[-1].estimate
            offset = estimate.position_m - setup.target_m
            errors.append(float(np.hypot(*offset)))
            nees.append(float(offset @ np.linalg.solve(estimate.covariance_m2, offset)))
    return np.array(errors), np.array(nees)


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
