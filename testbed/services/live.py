"""Runs over the nodes of a running testbed: what is lost is tried again, until patience ends."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from drivers.capture import Capture, CaptureRefusedError, missing_capture
from drivers.node import Node
from drivers.waveform import OfdmGrid
from fusion.network import Network
from fusion.sensing import SensingConfig
from processing.suppression import Background
from testbed.bus.conversion import background_parts
from testbed.bus.job_messages import SensingTimes
from testbed.bus.report_messages import LinkBackground, RunContext
from testbed.choreography import sound
from testbed.errors import UsageError
from testbed.radio_source import StationSource
from testbed.runs.backgrounds import BackgroundOf
from testbed.runs.links import LinkReporter, Look, Sensed
from testbed.services.exchange import Exchange
from testbed.services.pending import LostError
from testbed.services.remote_stations import Outcome, RemoteStations
from testbed.stations import Cue

# Between two looks whether somebody is back.
_LOOK_S = 0.02


class NoWorkerError(UsageError):
    """No worker is there to make reports, and patience is at its end."""


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds.

    Attributes
    ----------
    attempt_s
        For an answer.
    total_s
        For a node or a worker that is lost.
    """

    attempt_s: float
    total_s: float


class LiveBursts:
    """Sounds bursts over the agents of a testbed, again where something was lost.

    Parameters
    ----------
    exchange, loop
        Who asks, and the event loop that it lives in; this object lives in another thread.
    rate_hz
        Of the radios.
    patience
        How long is waited.
    check
        Called whenever something is waited for; raises if the run is to end.
    """

    def __init__(
        self,
        exchange: Exchange,
        loop: asyncio.AbstractEventLoop,
        rate_hz: float,
        patience: Patience,
        check: Callable[[], None],
    ) -> None:
        self.exchange = exchange
        self._loop = loop
        self._rate_hz = rate_hz
        self.patience = patience
        self._check = check

    def stations(self, session: int, **reports: object) -> RemoteStations:
        """The stations, in a session; `reports` are the last arguments of `RemoteStations`."""
        return RemoteStations(
            self.exchange, self._loop, self._rate_hz, self.patience.attempt_s, session,
            **reports,  # type: ignore[arg-type]
        )  # fmt: skip

    def captures(self, cue: Cue, rx_ids: Sequence[str], session: int) -> dict[str, Outcome]:
        """Outcome of each receiver; those that were heard have captures."""
        return self._again(cue, rx_ids, lambda pending: sound(self.stations(session), cue, pending))

    def reports(
        self,
        cue: Cue,
        backgrounds: Mapping[str, Background | None],
        context: RunContext,
    ) -> dict[str, Outcome]:
        """Outcome of each receiver that a background is given for; those heard have reports.

        Raises
        ------
        NoWorkerError
        """

        def attempt(pending: Sequence[str]) -> Sequence[Outcome]:
            workers: dict[str, str] = {}
            lost: dict[str, str] = {}
            for rx_id in pending:
                name = self.exchange.worker_of(rx_id)
                if name is None:
                    lost[rx_id] = "no worker is there to make reports"
                    continue
                try:
                    self._tell(name, cue.tx_id, rx_id, backgrounds[rx_id], context)
                    workers[rx_id] = name
                except LostError as error:
                    self.exchange.doubted(name)
                    lost[rx_id] = str(error)
            ready = [rx_id for rx_id in pending if rx_id in workers]
            stations = self.stations(1, run_id=context.run_id, workers=workers)
            heard = dict(zip(ready, sound(stations, cue, ready), strict=True)) if ready else {}
            return [
                heard[rx_id] if rx_id in heard else Outcome(problem=lost[rx_id], lost=True)
                for rx_id in pending
            ]

        outcomes = self._again(cue, tuple(backgrounds), attempt)
        if self.exchange.lacks_workers(rx_id for rx_id, out in outcomes.items() if out.lost):
            msg = (
                f"no worker is there to make reports, waited {self.patience.total_s:g} s; start "
                "one with testbed worker, and this again"
            )
            raise NoWorkerError(msg)
        return outcomes

    def _tell(
        self, name: str, tx_id: str, rx_id: str, background: Background | None, context: RunContext
    ) -> None:
        """Let a worker know the link's background."""
        described, arrays = background_parts(background)
        told = LinkBackground(
            request_id=0, run_id=context.run_id, tx_id=tx_id, rx_id=rx_id, background=described
        )
        telling = self.exchange.tell(name, context, told, arrays, self.patience.attempt_s)
        asyncio.run_coroutine_threadsafe(telling, self._loop).result()

    def _again(
        self,
        cue: Cue,
        rx_ids: Sequence[str],
        attempt: Callable[[Sequence[str]], Sequence[Outcome]],
    ) -> dict[str, Outcome]:
        """Try until nothing is lost, or patience is at its end."""
        until_s = time.monotonic() + self.patience.total_s
        outcomes: dict[str, Outcome] = {}
        pending = list(rx_ids)
        while pending:
            self._wait_for((cue.tx_id, *pending), until_s)
            outcomes |= zip(pending, attempt(pending), strict=True)
            pending = [rx_id for rx_id in pending if outcomes[rx_id].lost]
            if time.monotonic() >= until_s:
                break
            if pending:
                self.exchange.count("attempts repeated")
                self._wait(_LOOK_S)
        return outcomes

    def wait_for(self, node_ids: Collection[str]) -> None:
        """Wait until all of these nodes are there, or patience ends."""
        self._wait_for(node_ids, time.monotonic() + self.patience.total_s)

    def _wait_for(self, node_ids: Collection[str], until_s: float) -> None:
        while not self.exchange.absent(0.0).isdisjoint(node_ids):
            if time.monotonic() >= until_s:
                return
            self._wait(_LOOK_S)

    def _wait(self, wait_s: float) -> None:
        self._check()
        time.sleep(wait_s)


class LiveSource(StationSource):
    """Captures of a running testbed (`drivers.capture.CaptureSource`).

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
        stations = bursts.stations(session)
        super().__init__(nodes, stations, grid, origin, fresh_tuning=fresh_tuning)  # type: ignore[arg-type]
        self._bursts = bursts
        self._session = session

    def _sound(self, cue: Cue, rx_ids: Sequence[str]) -> tuple[Capture, ...]:
        outcomes = self._bursts.captures(cue, rx_ids, self._session)
        return tuple(
            outcomes[rx_id].capture
            or missing_capture(cue.tx_id, rx_id, self.grid, outcomes[rx_id].problem or "nothing")
            for rx_id in rx_ids
        )


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
        Of each sensing, by its index.
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
