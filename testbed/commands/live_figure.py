"""The figure of a localization that a running testbed did."""

from collections.abc import Sequence
from pathlib import Path

from threadpoolctl import threadpool_limits

from calibration.node_files import read_back
from testbed.build import build_nodes
from testbed.bus.job_messages import JobState
from testbed.errors import UsageError
from testbed.figure_files import save_figure
from testbed.runs.links import LinkReporter, Processors
from testbed.runs.localize import Scene, SensingRecord
from testbed.runs.recorded_links import localization_again
from testbed.site import Site


def save_live_figure(
    site: Site, records: Sequence[SensingRecord], scene: Scene, end: JobState, path: Path
) -> None:
    """Draw floor plan and belief; maps stay with the captures, at the workers.

    Raises
    ------
    UsageError
        If this site is not the one that the testbed runs.
    """
    from testbed.figures import localization_figure

    nodes, processors = build_nodes(site, scene.seed), Processors(site)
    calibration = None
    if end.calibration is not None:
        calibration = read_back(end.calibration, nodes, "the run's calibration")
    reporter = LinkReporter(site, nodes, processors, calibration)
    try:
        with threadpool_limits(limits=1):
            run = localization_again(site, records, reporter, scene.seed)
    except ValueError as error:
        msg = f"--figure: this site file is not the one that the testbed runs: {error}"
        raise UsageError(msg) from error
    save_figure(localization_figure(site, run, records, scene, processors), path)
