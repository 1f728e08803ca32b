"""How long the two stages of one sensing take; section VI, Fig. 3."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

from testbed.bench.fusing import exact_planning
from testbed.bench.measuring import timed
from testbed.bench.receiving import report
from testbed.bench.whole import ReadySensing, warm_sensings
from testbed.bench.workload import Sizes, Workload
from testbed.build import Overrides, overridden
from testbed.site import Site

_NUM_LITERAL_REPORTS = 3


@dataclass(frozen=True, slots=True)
class StageTimes:
    """Seconds of the single-link stage and of the selection stage: of one sensing, in the median.

    Attributes
    ----------
    num_elements, num_receivers
        ``M_a`` and ``N_r``.
    evaluation
        ``"ours"`` or ``"literal"``.
    sensing_s
        From a capture that is ready to its report; of the slowest receiver, as all work at once.
    selection_s
        Choice of the next configuration, P2. Ours has the fusion in it, which the paper omits.
    """

    num_elements: int
    num_receivers: int
    evaluation: str
    sensing_s: float
    selection_s: float

    def of(self, num_sensings: float) -> "StageTimes":
        """The seconds of so many sensings."""
        return replace(
            self,
            sensing_s=num_sensings * self.sensing_s,
            selection_s=num_sensings * self.selection_s,
        )


def stage_times(
    site: Site, num_elements: int, num_receivers: int, seed: int, num_sensings: int
) -> StageTimes:
    """Of so many sensings of the loop, all code having run before.

    The initialization of a localization is no part of them.

    Raises
    ------
    SiteError
        If the site cannot have so many elements or receivers.
    """
    load = _workload(site, num_elements, num_receivers, seed)
    times_s = [_stages_s(sensing) for sensing in islice(warm_sensings(load), num_sensings)]
    sensing_s, selection_s = np.median(times_s, axis=0).tolist()
    return StageTimes(num_elements, num_receivers, "ours", sensing_s, selection_s)


def literal_stage_times(
    site: Site, num_elements: int, num_receivers: int, seed: int
) -> StageTimes | None:
    """Of the equations as they are printed: a typical link's report, and P2 with all sets tried.

    ``None`` where the literal evaluations are not installed.

    Raises
    ------
    SiteError
        If the site cannot have so many elements or receivers.
    """
    load = _workload(site, num_elements, num_receivers, seed)
    sensing, selection = report(load).literal, exact_planning(load).literal
    if sensing is None or selection is None:
        return None
    sensing()  # what it keeps between maps is there
    sensing_s = _median_s(sensing, _NUM_LITERAL_REPORTS)
    selection_s = _median_s(selection, 1)  # seconds: long enough
    return StageTimes(num_elements, num_receivers, "literal", sensing_s, selection_s)


def _workload(site: Site, num_elements: int, num_receivers: int, seed: int) -> Workload:
    changes = Overrides(num_elements=num_elements, num_receivers=num_receivers)
    return Workload(overridden(site, changes), Sizes(num_receivers=num_receivers), seed)


def _stages_s(sensing: ReadySensing) -> tuple[float, float]:
    """Of the slowest receiver, and of the edge server."""
    looked = [timed(look) for look in sensing.looks]
    selection_s, _ = timed(lambda: sensing.conclude([look for _, look in looked]))
    return max(time_s for time_s, _ in looked), selection_s


def _median_s(function: Callable[[], Any], repeats: int) -> float:
    return float(np.median([timed(function)[0] for _ in range(repeats)]))
