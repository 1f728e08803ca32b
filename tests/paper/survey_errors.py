"""What errors of surveys and powers cost a localization through IQ, each alone and together.

    python -m tests.paper.survey_errors --scenes 100

`examples/lab.yaml`, radios as preset `lab`. Errors are drawn anew for each scene; surveys declare
their standard deviation, powers are calibrated before sensing.
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from fusion.sensing import CHI2_50, CHI2_95
from testbed.runs.links import Processors
from testbed.runs.study import WRONG_M
from testbed.runs.trial import TrialResult, run_trial
from testbed.site import Site
from tests.paper.coherence import LAB, site_with


@dataclass(frozen=True)
class Errors:
    """Standard deviations of a site's errors."""

    name: str
    position_m: float = 0.001
    boresight_deg: float = 0.01
    power_db: float = 0.0


CASES = (
    Errors("next to none"),
    Errors("position 2 cm", position_m=0.02),
    Errors("boresight 0.5 deg", boresight_deg=0.5),
    Errors("transmit power 1 dB", power_db=1.0),
    Errors("all three", 0.02, 0.5, 1.0),
)


def site_with_errors(errors: Errors) -> Site:
    """The lab with these errors, bursts and backgrounds as in `tests.paper.coherence`."""
    raw = msgspec.to_builtins(site_with(LAB, "lab", None))
    survey = {"position_std_m": errors.position_m, "boresight_std_deg": errors.boresight_deg}
    for node in raw["nodes"]:
        node["survey"] = survey
    raw["simulation"]["impairments"] = {"preset": "lab", "tx_power_error_db": errors.power_db}
    return msgspec.convert(raw, Site)


def trials(errors: Errors, seeds: Sequence[int]) -> list[TrialResult]:
    """One trial of each seed's scene."""
    site = site_with_errors(errors)
    processors = Processors(site)
    with threadpool_limits(limits=1):
        return [run_trial(site, seed, "learned", processors, "iq") for seed in seeds]


def line(errors: Errors, results: Sequence[TrialResult]) -> str:
    """Median and 90 % error, and the share of truths inside the ellipses."""
    error_m = np.array([result.error_m[-1] for result in results])
    nees = np.array([result.nees for result in results])
    inside = np.mean(nees < CHI2_95)
    half = 1.96 * np.sqrt(max(inside * (1.0 - inside), 0.25 / len(nees)) / len(nees))
    return (
        f"{errors.name:<20} {1e3 * np.median(error_m):7.1f} {1e3 * np.percentile(error_m, 90):7.1f}"
        f" {np.mean(error_m > WRONG_M):6.2f} {np.mean(nees < CHI2_50):7.2f} {inside:7.2f} "
        f"+- {half:.2f} {np.median(nees):7.2f}"
    )


def main() -> None:
    """Print what the module says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    print(f"{'errors':<20}  median     90 %  wrong inside 50 %    95 %          NEES")  # noqa: T201
    print(f"{'':<20}      mm       mm                                     median")  # noqa: T201
    seeds = np.array_split(np.arange(given.scenes), given.jobs)
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        for errors in CASES:
            parts = pool.map(trials, [errors] * given.jobs, [part.tolist() for part in seeds])
            results = [result for part in parts for result in part]
            print(line(errors, results), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
