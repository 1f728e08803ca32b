"""The rows of the suite: what is asked of each piece of work, at the paper's sizes."""

from collections.abc import Sequence

from testbed.bench import fusing, receiving, simulating, whole
from testbed.bench.case import Case, Limits, Row
from testbed.bench.machine import Rates
from testbed.bench.measuring import measured
from testbed.bench.workload import Workload
from testbed.errors import UsageError

_MAP_FLOOR = (
    "residual read, map written; M FFTs of K tones to L bins at 5 K log2 L operations; "
    "one product of G x M with M x L"
)
_MAP_ERROR = "largest difference over the peak"
_CHOICE_ERROR = "0 for the same choice, 1 for another"

CASES: tuple[Case, ...] = (
    Case(
        "alignment", "align and subtract: one capture onto its background, eqs. (2), (9)",
        Limits(time_s=2e-3), receiving.align_and_subtract,
        floor_is="capture and background read, residual written",
    ),
    Case(
        "map", "range-angle map, physical delays, eqs. (10), (11)",
        Limits(time_s=5e-3, ratio=150.0, error=1e-4), receiving.power_map,
        error_is=_MAP_ERROR, floor_is=_MAP_FLOOR,
    ),
    Case(
        "cached map", "the same map against steering vectors that are kept",
        Limits(time_s=5e-3, ratio=30.0, error=1e-4), receiving.power_map_cached,
        error_is=_MAP_ERROR, floor_is=_MAP_FLOOR,
    ),
    Case(
        "CFAR", "CFAR and suppression of neighbours on that map",
        Limits(time_s=1.5e-3, ratio=15.0, error=0.0), receiving.detection,
        error_is="0 for the same cells, 1 for others",
        floor_is="map and thresholds read once, in cache",
    ),
    Case(
        "refinement", "delay and angle of one candidate",
        Limits(time_s=1e-3, error=1.1), receiving.refinement,
        error_is="RMS error over the Cramer-Rao bound, at 30 dB",
        floor_is="residual read once",
    ),
    Case(
        "report", "capture to report, lying as its background",
        Limits(time_s=9e-3, ratio=100.0), receiving.report,
        error_is="strongest echo, in cells or beams; the literal grid has 200 points in one",
        floor_is="that of the map, and capture and background read",
    ),
    Case(
        "aligned report", "capture to report, phase, gain and time unknown",
        Limits(time_s=9e-3, ratio=100.0), receiving.report_aligned,
        error_is="strongest echo, in cells or beams; the literal grid has 200 points in one",
        floor_is="that of the map, and capture and background read",
    ),
    Case(
        "P1", "three links with their starts, eq. (12)",
        Limits(time_s=0.5e-3, ratio=5.0, error=0.01), fusing.position,
        error_is="distance of the minima, in standard deviations",
    ),
    Case(
        "P2 exact", "three receivers of 40 nodes, eq. (19)",
        Limits(time_s=1e-3, ratio=5000.0, error=0.0), fusing.exact_planning,
        error_is=_CHOICE_ERROR, floor_is="all links' information read once, in cache",
    ),
    Case(
        "P2 large", "four receivers of 1000 nodes",
        Limits(time_s=1.0, error=0.01), fusing.large_planning,
        error_is="gap to the bound that is proved", floor_is="all links' information read once",
    ),
    Case(
        "SFI", "three receivers by coverage (13), then the bound's mean (14)",
        Limits(time_s=10e-3, error=0.0), fusing.initialization,
        error_is=_CHOICE_ERROR, floor_is="information of the chosen links written once",
    ),
    Case(
        "median", "70 captures, eq. (8)",
        Limits(time_s=50e-3, ratio=10.0, error=0.0), simulating.median,
        error_is="largest difference", floor_is="captures read, entry written",
    ),
    Case(
        "channel", "70 scatterers on one link, eqs. (3) to (7)",
        Limits(time_s=40e-3, ratio=15.0, error=1e-9), simulating.channel,
        error_is="largest difference over the largest value",
        floor_is="K x M numbers written in double precision; a product and sum for each scatterer",
    ),
    Case(
        "study link", "one link of a study, learned background, two processes",
        Limits(time_s=10e-3, ratio=50.0, error=0.0), simulating.study,
        error_is="trials that one process finds otherwise",
        floor_is="half of: noise of capture and entry drawn, and the map's",
    ),
    Case(
        "loop p50", "capture ready to next configuration, one receiver",
        Limits(time_s=10e-3), whole.loop, floor_is=_MAP_FLOOR,
    ),
    Case(
        "loop p99", "the same, one sensing in a hundred takes longer",
        Limits(time_s=20e-3), whole.loop, floor_is=_MAP_FLOOR, quantile=0.99,
    ),
    Case(
        "aligned loop p50", "as loop, captures of unknown phase, gain and time",
        Limits(time_s=10e-3), whole.aligned_loop, floor_is=_MAP_FLOOR,
    ),
    Case(
        "aligned loop p99", "the same, one sensing in a hundred takes longer",
        Limits(time_s=20e-3), whole.aligned_loop, floor_is=_MAP_FLOOR, quantile=0.99,
    ),
    Case(
        "help", "testbed --help, a fresh process",
        Limits(time_s=0.15), whole.help_text, floor_is="a fresh process that imports click",
    ),
)  # fmt: skip


def chosen_cases(parts: Sequence[str], cases: Sequence[Case] = CASES) -> list[Case]:
    """Cases whose name contains any of the parts, capitals or not; all, if there are none.

    Raises
    ------
    UsageError
        If nothing matches a part.
    """
    for part in parts:
        if not any(part.lower() in case.name.lower() for case in cases):
            names = ", ".join(repr(case.name) for case in cases)
            msg = f"--only {part!r} is part of no name; they are {names}"
            raise UsageError(msg)
    wanted = [part.lower() for part in parts] or [""]
    return [case for case in cases if any(part in case.name.lower() for part in wanted)]


def run_case(case: Case, load: Workload, repeats: int, rates: Rates) -> Row:
    """The row of one case."""
    return measured(case, case.prepare(load), repeats, rates)
