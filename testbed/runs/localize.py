"""One localization: the sensing loop over a capture source."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from drivers.geometry import FloatArray
from fusion.candidates import Candidates
from fusion.controller import Controller
from fusion.network import Network
from fusion.sensing import PositionEstimate, SensingConfig
from processing.report import LinkReport
from testbed.build import assumed_rcs_m2, build_fusion
from testbed.runs.links import KnownLinks, Links, Look
from testbed.site import Site


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
    absent
        Nodes that were out of reach when it was planned.
    """

    config: SensingConfig
    looks: tuple[Look, ...]
    problems: dict[str, str]
    estimate: PositionEstimate
    error_m: float | None
    absent: tuple[str, ...] = ()

    @property
    def reports(self) -> tuple[LinkReport, ...]:
        """Link reports of what was processed."""
        return tuple(look.report for look in self.looks)


class Scene(Protocol):
    """What is known of what was sensed.

    Attributes
    ----------
    seed
        What the scene, or the planner's samples, were drawn from.
    target_m
        The truth, shape ``(2,)``, where a simulator knows it.
    """

    @property
    def seed(self) -> int: ...  # noqa: D102

    @property
    def target_m(self) -> FloatArray | None: ...  # noqa: D102


class Localization:
    """The loop of Algorithm 1 over a site's links.

    Parameters
    ----------
    site
        The lab.
    links
        What is known of the links, and how they are looked at.
    planning_rng
        For the samples of the initialization.
    target_m
        The truth where it is known, only to report errors against.
    """

    def __init__(
        self,
        site: Site,
        links: Links,
        planning_rng: np.random.Generator,
        target_m: FloatArray | None = None,
    ) -> None:
        self._links = links
        self._target_m = target_m
        self.controller = new_controller(site, links, planning_rng)

    @property
    def network(self) -> Network:
        """Nodes and waveform, as calibrated."""
        return self._links.network

    def run(self) -> Iterator[SensingRecord]:
        """Sense until converged or out of budget, yielding one record a sensing.

        Raises
        ------
        TooFewNodesError
            If fewer nodes than can sense are left.
        """
        candidates = Candidates([node.node_id for node in self.network.nodes])
        while True:
            index = self.controller.num_sensings
            gone = self._links.absent(index)
            self.controller.set_absent(candidates.absent(gone))
            config = self.controller.next_config()
            if config is None:
                return
            sensed = self._links.sense(config, index)
            if sensed.unheard:
                continue
            candidates.update(config, sensed.problems, gone)
            self.controller.set_absent(candidates.absent(gone))  # or `update` plans with them
            estimate = self.controller.update([look.report for look in sensed.looks])
            yield SensingRecord(
                config, sensed.looks, sensed.problems, estimate, self._error_m(estimate),
                tuple(gone),
            )  # fmt: skip

    def _error_m(self, estimate: PositionEstimate) -> float | None:
        if self._target_m is None:
            return None
        return float(np.hypot(*(estimate.position_m - self._target_m)))


def new_controller(site: Site, links: KnownLinks, planning_rng: np.random.Generator) -> Controller:
    """A controller at the beginning of a run."""
    return Controller(
        links.network,
        site.area_m,
        assumed_rcs_m2(site),
        links.detection_snr,
        build_fusion(site),
        planning_rng,
    )


def result_object(
    site: Site, records: Sequence[SensingRecord], scene: Scene, started_s: float
) -> dict[str, object]:
    """The object that ``localize --json`` prints; metres, square metres, seconds, per cent."""
    last = records[-1].estimate
    return {
        "site": site.name,
        "estimate_m": last.position_m.tolist(),
        "covariance_m2": last.covariance_m2.tolist(),
        "truth_m": None if scene.target_m is None else scene.target_m.tolist(),
        "error_m": records[-1].error_m,
        "status": last.status,
        "probability": last.probability,
        "num_sensings": len(records),
        "throughput_loss_pct": throughput_loss_pct(site, len(records)),
        "seed": scene.seed,
        "elapsed_s": time.monotonic() - started_s,
        "sensings": [
            {
                "tx_id": record.config.tx_id,
                "rx_ids": list(record.config.rx_ids),
                "detected": _num_detected(record),
                "problems": record.problems,
                "absent": list(record.absent),
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
