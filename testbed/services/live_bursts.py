"""Bursts over the nodes of a running testbed, sounded again where something was lost."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from processing.suppression import Background
from testbed.bus.report_messages import LinkBackground, RunContext
from testbed.choreography import LEAD_S, sound
from testbed.errors import UsageError
from testbed.services.conversion import background_parts
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
    lead_s
        See `RemoteStations`.
    """

    def __init__(
        self,
        exchange: Exchange,
        loop: asyncio.AbstractEventLoop,
        rate_hz: float,
        patience: Patience,
        check: Callable[[], None],
        lead_s: float = LEAD_S,
    ) -> None:
        self.exchange = exchange
        self._loop = loop
        self._rate_hz = rate_hz
        self.patience = patience
        self._check = check
        self._lead_s = lead_s

    def stations(
        self, session: int, run_id: str = "none", workers: Mapping[str, str] | None = None
    ) -> RemoteStations:
        """The stations, in a session; see `RemoteStations`."""
        return RemoteStations(
            self.exchange, self._loop, self._rate_hz, self.patience.attempt_s, session,
            run_id, workers, self._lead_s,
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
            stations = self.stations(1, context.run_id, workers)
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
        """Try until nothing is lost, or patience is at its end, with nodes or altogether."""
        until_s = time.monotonic() + self.patience.total_s
        outcomes: dict[str, Outcome] = {}
        pending = list(rx_ids)
        while pending:
            self._wait_for((cue.tx_id, *pending), until_s)
            outcomes |= zip(pending, attempt(pending), strict=True)
            gone = self.exchange.absent(self.patience.total_s)
            pending = [
                rx_id
                for rx_id in pending
                if outcomes[rx_id].lost and gone.isdisjoint((cue.tx_id, rx_id))
            ]
            if time.monotonic() >= until_s:
                break
            if pending:
                self.exchange.count("attempts repeated")
                self._wait(_LOOK_S)
        return outcomes

    def wait_for(self, node_ids: Collection[str]) -> None:
        """Wait until all of these nodes are there, but for those with which patience has ended."""
        self._wait_for(node_ids, time.monotonic() + self.patience.total_s)

    def _wait_for(self, node_ids: Collection[str], until_s: float) -> None:
        while time.monotonic() < until_s:
            away = self.exchange.absent(0.0) - self.exchange.absent(self.patience.total_s)
            if away.isdisjoint(node_ids):
                return
            self._wait(_LOOK_S)

    def _wait(self, wait_s: float) -> None:
        self._check()
        time.sleep(wait_s)
