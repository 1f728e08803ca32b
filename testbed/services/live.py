"""What runs take captures and links from, over the nodes of a running testbed."""

import time
from collections.abc import Collection, Sequence

from drivers.capture import Capture, CaptureRefusedError, missing_capture
from drivers.node import Node
from drivers.waveform import OfdmGrid
from fusion.network import Network
from fusion.sensing import SensingConfig
from processing.suppression import Background
from testbed.bus.job_messages import SensingTimes
from testbed.bus.report_messages import RunContext
from testbed.radio_source import BurstSource
from testbed.runs.backgrounds import BackgroundOf
from testbed.runs.links import LinkReporter, Look, Sensed
from testbed.services.live_bursts import LiveBursts
from testbed.services.remote_stations import Outcome
from testbed.stations import Cue


class LiveSource(BurstSource):
    """Captures of a running testbed; the other parameters as of `BurstSource`.

    Parameters
    ----------
    bursts
        How they are taken.
    session
        See `testbed.bus.order_messages.Order`.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        grid: OfdmGrid,
        origin: str,
        bursts: LiveBursts,
        *,
        session: int,
        fresh_tuning: bool,
    ) -> None:
        super().__init__(nodes, grid, origin, fresh_tuning=fresh_tuning)
        self._bursts = bursts
        self._session = session

    def _sound(self, cue: Cue, rx_ids: Sequence[str]) -> tuple[Capture, ...]:
        outcomes = self._bursts.captures(cue, rx_ids, self._session)
        return tuple(
            outcomes[rx_id].capture
            or missing_capture(cue.tx_id, rx_id, self.grid, outcomes[rx_id].problem or "nothing")
            for rx_id in rx_ids
        )

    def _retune(self, node_ids: Sequence[str]) -> None:
        self._bursts.stations(self._session).retune(node_ids)


class LiveLinks:
    """Links whose captures are processed by workers (`testbed.runs.links.Links`).

    Parameters
    ----------
    bursts
        How they are sounded.
    background_of
        Background of each link; it may be learned when it is asked for.
    reporter
        Of the run, for what planning must know.
    context
        Of the run, for workers.

    Attributes
    ----------
    times
        Of sensings, by their indices, until somebody takes them.
    """

    def __init__(
        self,
        bursts: LiveBursts,
        background_of: BackgroundOf,
        reporter: LinkReporter,
        context: RunContext,
    ) -> None:
        self._bursts = bursts
        self._background_of = background_of
        self._reporter = reporter
        self._context = context
        self.times: dict[int, SensingTimes] = {}

    @property
    def network(self) -> Network:
        """Nodes and waveform, as calibrated."""
        return self._reporter.network

    @property
    def detection_snr(self) -> float:
        """As of `testbed.runs.links.KnownLinks`."""
        return self._reporter.detection_snr

    def absent(self, index: int) -> Collection[str]:  # noqa: ARG002
        """Nodes that were not there for as long as patience lasts."""
        return self._bursts.exchange.absent(self._bursts.patience.total_s)

    def sense(self, config: SensingConfig, index: int) -> Sensed:
        """Sound one burst, again where something was lost, and let workers report."""
        issued_s = time.monotonic()
        backgrounds: dict[str, Background | None] = {}
        problems: dict[str, str] = {}
        for rx_id in config.rx_ids:
            try:
                backgrounds[rx_id] = self._background_of(config.tx_id, rx_id)
            except CaptureRefusedError as refusal:
                problems[rx_id] = str(refusal)
        cue = Cue("sensing", index, config.tx_id, "sensing")
        outcomes = self._bursts.reports(cue, backgrounds, self._context)
        self.times[index] = _times(issued_s, outcomes.values())
        looks = []
        for rx_id, outcome in outcomes.items():
            if outcome.report is not None:
                looks.append(Look(outcome.report))
            else:
                problems[rx_id] = outcome.problem or "nothing came of its capture"
        away = self._bursts.exchange.absent(self._bursts.patience.total_s)
        unheard = not looks and not away.isdisjoint((config.tx_id, *config.rx_ids))
        return Sensed(tuple(looks), problems, unheard=unheard)


def _times(issued_s: float, outcomes: Collection[Outcome]) -> SensingTimes:
    """Times of a sensing whose last report is there now."""
    sent_s = [o.capture_sent_s for o in outcomes if o.capture_sent_s is not None]
    worked_s = [o.worked_s for o in outcomes if o.worked_s is not None]
    return SensingTimes(
        issued_s=issued_s,
        capture_sent_s=max(sent_s, default=None),
        worked_s=max(worked_s, default=None),
        reported_s=time.monotonic(),
    )
