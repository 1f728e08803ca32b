"""What a localization senses with: links that are looked at here, or by other processes."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from calibration.node_calibration import NodeCalibration
from calibration.placing import expected_delay_var_s2
from drivers.array import UniformLinearArray
from drivers.capture import Capture, CaptureRefusedError, CaptureSource
from drivers.geometry import delay_limits_s
from drivers.node import Node
from drivers.waveform import OfdmGrid
from fusion.network import Network
from fusion.sensing import SensingConfig
from processing.alignment import Groups
from processing.pipeline import LinkProcessor
from processing.report import LinkReport
from processing.suppression import Background
from testbed.build import build_grid, build_processing, longest_delay_s
from testbed.runs.backgrounds import BackgroundOf, LearnedBackgrounds
from testbed.site import Site


@dataclass(frozen=True)
class Look:
    """What was found in one receiver's capture.

    Attributes
    ----------
    report
        What was found.
    capture, background
        The capture, and what was subtracted from it; ``None`` where they stayed with the process
        that made the report.
    """

    report: LinkReport
    capture: Capture | None = None
    background: Background | None = None


@dataclass(frozen=True)
class Sensed:
    """What one sensing brought.

    Attributes
    ----------
    looks
        What was processed, in the order of the receivers.
    problems
        Receivers that brought nothing, by id, and why.
    unheard
        Whether nothing was heard because nodes have gone: another choice of nodes takes its place.
    """

    looks: tuple[Look, ...]
    problems: dict[str, str]
    unheard: bool = False


class KnownLinks(Protocol):
    """What planning must know of a site's links."""

    @property
    def network(self) -> Network:
        """Nodes and waveform, as calibrated."""
        ...

    @property
    def detection_snr(self) -> float:
        """Matched-cell SNR of the least sensitive detector's threshold."""
        ...


class Links(KnownLinks, Protocol):
    """All links of a site: what is known of them, and how they are looked at."""

    def absent(self, index: int) -> Collection[str]:
        """Nodes that cannot be reached now, before the sensing of that index is planned."""
        ...

    def sense(self, config: SensingConfig, index: int) -> Sensed:
        """Let one burst be sent, and return what its receivers found."""
        ...


class Processors:
    """Link processors of a site, one for each kind of array, made when first needed."""

    def __init__(self, site: Site) -> None:
        self._grid: OfdmGrid = build_grid(site)
        self._settings = build_processing(site)
        self._max_delay_s = longest_delay_s(site)
        self._made: dict[UniformLinearArray, LinkProcessor] = {}

    def of(self, node: Node) -> LinkProcessor:
        """The processor for captures of a node."""
        if node.array not in self._made:
            self._made[node.array] = LinkProcessor(
                self._grid, node.array, self._max_delay_s, self._settings
            )
        return self._made[node.array]


class LinkReporter:
    """From captures of a site's links to reports, with what is known of the nodes.

    Parameters
    ----------
    site
        The lab.
    nodes
        As surveyed.
    processors
        Shared between runs of one site.
    calibration
        Of the nodes; they are as surveyed, if left out.
    unusable
        Links, by node ids, that are not to be planned with.
    """

    def __init__(
        self,
        site: Site,
        nodes: tuple[Node, ...],
        processors: Processors,
        calibration: NodeCalibration | None = None,
        unusable: Collection[tuple[str, str]] = (),
    ) -> None:
        self._area_m = site.area_m
        self._processors = processors
        self._calibration = calibration
        self.network = network_of(
            nodes, build_grid(site), calibration, unusable, site.waveform.num_symbols
        )

    @property
    def aligns(self) -> bool:
        """Whether captures are aligned to their backgrounds."""
        return self._calibration is not None

    @property
    def detection_snr(self) -> float:
        """As of `KnownLinks`."""
        return max(self._processors.of(node).detection_snr for node in self.network.nodes)

    def get_ready(self, rx_id: str, background: Background, groups: Groups) -> None:
        """Work out what captures will need of a background before they are there."""
        if self.aligns:
            self._processors.of(self._node(rx_id)).prepared(background, groups)

    def look(self, capture: Capture, background: Background | None, index: int) -> Look:
        """What a capture of the given sensing shows once its background is taken out.

        Raises
        ------
        CaptureRefusedError
            If the capture cannot be processed.
        """
        tx, rx = self._node(capture.tx_id), self._node(capture.rx_id)
        limits = delay_limits_s(tx.pose.position, rx.pose.position, self._area_m)
        late_s = None
        if self._calibration is not None:
            link = capture.tx_id, capture.rx_id, capture.config_epoch
            if len(capture.coherent_groups) > 1 and not self._calibration.is_of_tuning(*link):
                msg = (
                    f"{capture.tx_id} -> {capture.rx_id}: tuned anew since phases between its "
                    "boards were calibrated; start the run again"
                )
                raise CaptureRefusedError(msg)
            late_s = self._calibration.late_s(*link)
        report = self._processors.of(rx).report(
            capture, background, sensing_index=index, delay_limits_s=limits, late_s=late_s
        )
        return Look(report, capture, background)

    def _node(self, node_id: str) -> Node:
        return self.network.nodes[self.network.index[node_id]]


class LocalLinks:
    """Links whose captures this process makes and processes itself (`Links`).

    Parameters
    ----------
    site
        The lab.
    source
        Where captures come from.
    background_of
        Background of each link.
    processors
        Shared between runs of one site.
    calibration
        Of the nodes; they are as surveyed, if left out.
    """

    def __init__(
        self,
        site: Site,
        source: CaptureSource,
        background_of: BackgroundOf,
        processors: Processors,
        calibration: NodeCalibration | None = None,
    ) -> None:
        self._source = source
        self._background_of = background_of
        unusable = unusable_links(background_of)
        self.reporter = LinkReporter(site, source.nodes, processors, calibration, unusable)
        self._groups: dict[str, Groups] = {}  # of receivers that were heard

    @property
    def network(self) -> Network:
        """Nodes and waveform, as calibrated."""
        return self.reporter.network

    @property
    def detection_snr(self) -> float:
        """As of `KnownLinks`."""
        return self.reporter.detection_snr

    def absent(self, index: int) -> Collection[str]:  # noqa: ARG002  all nodes are in this process
        """Nobody is out of reach."""
        return ()

    def sense(self, config: SensingConfig, index: int) -> Sensed:
        """Sense and process, one receiver after the other."""
        self._get_ready(config)
        looks: list[Look] = []
        problems: dict[str, str] = {}
        for capture in self._source.sense(config.tx_id, config.rx_ids, index):
            try:
                looks.append(self._look(capture, index))
            except CaptureRefusedError as refusal:
                problems[capture.rx_id] = str(refusal)
        return Sensed(tuple(looks), problems)

    def background_of(self, capture: Capture) -> Background | None:
        """The background of a capture's link; it is learned now if nobody has learned it yet."""
        return self._background_of(capture.tx_id, capture.rx_id)

    def _get_ready(self, config: SensingConfig) -> None:
        if not isinstance(self._background_of, LearnedBackgrounds):
            return
        for rx_id in config.rx_ids:
            background = self._background_of.known(config.tx_id, rx_id)
            if background is not None:
                self.reporter.get_ready(rx_id, background, self._groups.get(rx_id, ()))

    def _look(self, capture: Capture, index: int) -> Look:
        if capture.quality.problem:  # before a background is learned for it
            raise CaptureRefusedError(capture.quality.problem)
        self._groups[capture.rx_id] = capture.coherent_groups
        return self.reporter.look(capture, self.background_of(capture), index)


def network_of(
    nodes: tuple[Node, ...],
    grid: OfdmGrid,
    calibration: NodeCalibration | None,
    unusable: Collection[tuple[str, str]] = (),
    num_symbols: int = 1,
) -> Network:
    """Nodes, waveform and bursts of so many symbols as planning sees them."""
    if calibration is None:
        return Network(nodes, grid, unusable=unusable, num_symbols=num_symbols)
    nodes = calibration.nodes
    timed = bool(calibration.time_s)
    shared_var_s2 = [
        [0.0 if timed else expected_delay_var_s2(tx, rx, grid) for rx in nodes] for tx in nodes
    ]
    return Network(
        nodes, grid, calibration.errors, np.array(shared_var_s2),
        aligned=True, unusable=unusable, num_symbols=num_symbols,
    )  # fmt: skip


def unusable_links(background_of: BackgroundOf) -> Collection[tuple[str, str]]:
    """Links whose background was learned and does not hold now."""
    return background_of.unusable if isinstance(background_of, LearnedBackgrounds) else ()
