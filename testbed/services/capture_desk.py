"""Where captures become reports: the work of a worker, without its sockets."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from calibration.node_files import read_back
from drivers.capture import CaptureRefusedError
from drivers.node import Node
from processing.suppression import Background
from testbed.bus.order_messages import Done
from testbed.bus.parts import as_text
from testbed.bus.report_messages import (
    CaptureTaken,
    LinkBackground,
    LinkFound,
    RunContext,
    RunEnded,
)
from testbed.bus.wire import Message
from testbed.runs.links import LinkReporter, Processors
from testbed.services.conversion import background_of_parts, capture_of_fields
from testbed.site import Site

# Runs that are known at once, and backgrounds of each: some 6 MB a background at the paper's size.
_NUM_RUNS = 4
_NUM_BACKGROUNDS = 32

_Link = tuple[str, str]


@dataclass
class _Run:
    reporter: LinkReporter
    backgrounds: OrderedDict[_Link, Background | None] = field(default_factory=OrderedDict)
    groups: dict[str, tuple[tuple[int, ...], ...]] = field(default_factory=dict)


class CaptureDesk:
    """Makes reports of captures; knows the last few runs and the backgrounds of their links.

    Parameters
    ----------
    site
        The lab.
    nodes
        As surveyed.
    name
        Of the worker, for its answers.
    """

    def __init__(self, site: Site, nodes: tuple[Node, ...], name: str) -> None:
        self._site = site
        self._nodes = nodes
        self._name = name
        self._processors = Processors(site)
        self._runs: OrderedDict[str, _Run] = OrderedDict()

    def reporter(self) -> LinkReporter:
        """Reporter of a run whose nodes are as surveyed."""
        return LinkReporter(self._site, self._nodes, self._processors)

    def told(self, message: Message, arrays: tuple[np.ndarray, ...]) -> Done | None:
        """Take in what a coordinator says of a run; the answer, if it wants one."""
        match message:
            case RunContext():
                self.begin(message)
            case RunEnded():
                self.end(message.run_id)
            case LinkBackground():
                return Done(request_id=message.request_id, fault=self.keep(message, arrays))
        return None

    def begin(self, context: RunContext) -> None:
        """Know a run; one that is known already stays.

        Raises
        ------
        DictionaryError, ValueError
            If the calibration is not one of this site's nodes.
        """
        if context.run_id in self._runs:
            self._runs.move_to_end(context.run_id)
            return
        calibration = None
        if context.calibration is not None:
            calibration = read_back(context.calibration, self._nodes, "the run's calibration")
        self._runs[context.run_id] = _Run(
            LinkReporter(self._site, self._nodes, self._processors, calibration)
        )
        if len(self._runs) > _NUM_RUNS:
            self._runs.popitem(last=False)

    def end(self, run_id: str) -> None:
        """Forget a run."""
        self._runs.pop(run_id, None)

    def keep(self, told: LinkBackground, arrays: tuple[np.ndarray, ...]) -> str | None:
        """Keep a link's background, worked out as far as it goes; why not, if that cannot be."""
        run = self._runs.get(told.run_id)
        if run is None:
            return f"run {told.run_id} is not known"
        background = background_of_parts(told.background, arrays)
        run.backgrounds[told.tx_id, told.rx_id] = background
        run.backgrounds.move_to_end((told.tx_id, told.rx_id))
        if len(run.backgrounds) > _NUM_BACKGROUNDS:
            run.backgrounds.popitem(last=False)
        if background is not None:
            run.reporter.get_ready(told.rx_id, background, run.groups.get(told.rx_id, ()))
        return None

    def found(
        self,
        taken: CaptureTaken,
        pilots: np.ndarray,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> LinkFound:
        """The report of a capture, or why there is none."""
        began_s = monotonic_s()
        link = taken.capture.tx_id, taken.capture.rx_id
        run = self._runs.get(taken.run_id)
        report, problem = None, None
        lacks = run is None or link not in run.backgrounds
        if run is None or lacks:
            problem = f"worker {self._name} was not told the background of {' -> '.join(link)}"
        else:
            self._runs.move_to_end(taken.run_id)
            run.backgrounds.move_to_end(link)
            capture = capture_of_fields(taken.capture, pilots)
            run.groups[capture.rx_id] = capture.coherent_groups
            try:
                report = run.reporter.look(capture, run.backgrounds[link], taken.index).report
            except CaptureRefusedError as refusal:
                problem = as_text(str(refusal))
        return LinkFound(
            request_id=taken.request_id,
            worker=self._name,
            report=report,
            problem=problem,
            capture_sent_s=taken.sent_s,
            took_s=max(0.0, monotonic_s() - began_s),
            lacks_background=lacks,
        )
