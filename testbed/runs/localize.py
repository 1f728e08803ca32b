"""One localization: the sensing loop over a capture source."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.node_calibration import NodeCalibration
from calibration.placing import expected_delay_var_s2
from drivers.array import UniformLinearArray
from drivers.capture import Capture, CaptureRefusedError, CaptureSource
from drivers.geometry import FloatArray, delay_limits_s
from drivers.node import Node
from drivers.waveform import OfdmGrid
from fusion.candidates import Candidates
from fusion.controller import Controller
from fusion.network import Network
from fusion.sensing import PositionEstimate, SensingConfig
from processing.pipeline import LinkProcessor
from processing.report import LinkReport
from processing.suppression import Background
from testbed.build import (
    assumed_rcs_m2,
    build_fusion,
    build_grid,
    build_processing,
    longest_delay_s,
)
from testbed.runs.backgrounds import BackgroundOf, LearnedBackgrounds
from testbed.runs.setup import Setup
from testbed.site import Site


@dataclass(frozen=True)
class Look:
    """One receiver's capture, what was subtracted from it, and what was found."""

    capture: Capture
    background: Background | None
    report: LinkReport


@dataclass(frozen=True)
class SensingRecord:
    """What one sensing brought.

    Attributes
    ----------
    config
        Who sent and who listened.
    looks
        What was processed, in the order of ``config.rx_ids``.
    problems
        Receivers that brought nothing, by id, and why.
    estimate
        The position after fusing it.
    error_m
        Distance to the truth where a simulator knows it.
    """

    config: SensingConfig
    looks: tuple[Look, ...]
    problems: dict[str, str]
    estimate: PositionEstimate
    error_m: float | None

    @property
    def reports(self) -> tuple[LinkReport, ...]:
        """Link reports of what was processed."""
        return tuple(look.report for look in self.looks)


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


class Localization:
    """The loop of Algorithm 1 over a capture source.

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
    planning_rng
        For the samples of the initialization.
    target_m
        The truth where it is known, only to report errors against.
    calibration
        Of the nodes; they are as surveyed, if left out.
    """

    def __init__(
        self,
        site: Site,
        source: CaptureSource,
        background_of: BackgroundOf,
        processors: Processors,
        planning_rng: np.random.Generator,
        target_m: FloatArray | None = None,
        calibration: NodeCalibration | None = None,
    ) -> None:
        self._site = site
        self._source = source
        self._background_of = background_of
        self._calibration = calibration
        self._processors = processors
        self._target_m = target_m
        self._groups: dict[str, tuple[tuple[int, ...], ...]] = {}  # of receivers that were heard
        self.network = _network(source, calibration)
        self.controller = self.new_controller(planning_rng)

    @property
    def area_m(self) -> tuple[float, float, float, float]:
        """Where the target may be, ``(x_min, y_min, x_max, y_max)``."""
        return self._site.area_m

    @property
    def aligns(self) -> bool:
        """Whether captures are aligned to their backgrounds."""
        return self._calibration is not None

    def new_controller(self, planning_rng: np.random.Generator) -> Controller:
        """A controller at the beginning of a run like this one."""
        nodes = self.network.nodes
        return Controller(
            self.network,
            self.area_m,
            assumed_rcs_m2(self._site),
            max(self._processors.of(node).detection_snr for node in nodes),
            build_fusion(self._site),
            planning_rng,
        )

    def run(self) -> Iterator[SensingRecord]:
        """Sense until converged or out of budget, yielding one record a sensing."""
        candidates = Candidates([node.node_id for node in self.network.nodes])
        while (config := self.controller.next_config()) is not None:
            self._get_ready(config)
            index = self.controller.num_sensings
            looks: list[Look] = []
            problems: dict[str, str] = {}
            for capture in self._source.sense(config.tx_id, config.rx_ids, index):
                try:
                    looks.append(self._look(capture, index))
                except CaptureRefusedError as refusal:
                    problems[capture.rx_id] = str(refusal)
            candidates.update(config, problems)
            self.controller.set_absent(candidates.absent())
            estimate = self.controller.update([look.report for look in looks])
            yield SensingRecord(config, tuple(looks), problems, estimate, self._error_m(estimate))

    def _get_ready(self, config: SensingConfig) -> None:
        """Work out what captures will need of their backgrounds before they are there."""
        if not isinstance(self._background_of, LearnedBackgrounds) or not self.aligns:
            return
        nodes, order = self.network.nodes, self.network.index
        for rx_id in config.rx_ids:
            background = self._background_of.known(config.tx_id, rx_id)
            if background is not None:
                groups = self._groups.get(rx_id, ())
                self._processors.of(nodes[order[rx_id]]).prepared(background, groups)

    def _look(self, capture: Capture, index: int) -> Look:
        if capture.quality.problem:  # before a background is learned for it
            raise CaptureRefusedError(capture.quality.problem)
        self._groups[capture.rx_id] = capture.coherent_groups
        return self.look(capture, self.background_of(capture), index)

    def background_of(self, capture: Capture) -> Background | None:
        """The background of a capture's link; it is learned now if nobody has learned it yet."""
        return self._background_of(capture.tx_id, capture.rx_id)

    def look(self, capture: Capture, background: Background | None, index: int) -> Look:
        """What a capture of the given sensing shows once its background is taken out.

        Raises
        ------
        CaptureRefusedError
            If the capture cannot be processed.
        """
        nodes, order = self.network.nodes, self.network.index
        tx, rx = nodes[order[capture.tx_id]], nodes[order[capture.rx_id]]
        limits = delay_limits_s(tx.pose.position, rx.pose.position, self._site.area_m)
        late_s = None
        if self._calibration is not None:
            late_s = self._calibration.late_s(capture.tx_id, capture.rx_id, capture.config_epoch)
        report = self._processors.of(rx).report(
            capture, background, sensing_index=index, delay_limits_s=limits, late_s=late_s
        )
        return Look(capture, background, report)

    def _error_m(self, estimate: PositionEstimate) -> float | None:
        if self._target_m is None:
            return None
        return float(np.hypot(*(estimate.position_m - self._target_m)))


def _network(source: CaptureSource, calibration: NodeCalibration | None) -> Network:
    if calibration is None:
        return Network(source.nodes, source.grid)
    nodes, grid = calibration.nodes, source.grid
    timed = bool(calibration.time_s)
    shared_var_s2 = [
        [0.0 if timed else expected_delay_var_s2(tx, rx, grid) for rx in nodes] for tx in nodes
    ]
    return Network(nodes, grid, calibration.errors, np.array(shared_var_s2), aligned=True)


def result_object(
    site: Site, records: Sequence[SensingRecord], setup: Setup, started_s: float
) -> dict[str, object]:
    """The object that ``localize --json`` prints; metres, square metres, seconds, per cent."""
    last = records[-1].estimate
    return {
        "site": site.name,
        "estimate_m": last.position_m.tolist(),
        "covariance_m2": last.covariance_m2.tolist(),
        "truth_m": None if setup.target_m is None else setup.target_m.tolist(),
        "error_m": records[-1].error_m,
        "status": last.status,
        "probability": last.probability,
        "num_sensings": len(records),
        "throughput_loss_pct": throughput_loss_pct(site, len(records)),
        "seed": setup.seed,
        "elapsed_s": time.monotonic() - started_s,
        "sensings": [
            {
                "tx_id": record.config.tx_id,
                "rx_ids": list(record.config.rx_ids),
                "detected": _num_detected(record),
                "problems": record.problems,
                "estimate_m": record.estimate.position_m.tolist(),
                "error_m": record.error_m,
                "peb_m": record.estimate.peb_m,
            }
            for record in records
        ],
    }


def _num_detected(record: SensingRecord) -> list[int | None]:
    """Hypotheses of each receiver, in the order of the configuration; ``None`` without any."""
    found = {report.rx_id: len(report.hypotheses) for report in record.reports}
    return [found.get(rx_id) for rx_id in record.config.rx_ids]


def throughput_loss_pct(site: Site, num_sensings: float) -> float:
    """Share of a frame's symbols that sensing takes from communication, per cent; section VI."""
    return 100.0 * num_sensings / site.waveform.symbols_per_frame
