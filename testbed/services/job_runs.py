"""What a coordinator does for a job: the runs of one process, over the nodes of many."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from threadpoolctl import threadpool_limits

from calibration.dictionary import manifest_of
from calibration.dictionary_entry import RadioIdentity
from calibration.node_calibration import NodeCalibration
from calibration.node_files import load_node_calibration, save_node_calibration, written_down
from drivers.node import Node
from testbed.build import Overrides, build_burst, build_nodes, overridden
from testbed.bus.job_messages import SensingTimes
from testbed.bus.order_messages import NodeState
from testbed.bus.report_messages import RunContext
from testbed.errors import UsageError, written_to
from testbed.radios import simulated_identities
from testbed.report.writing import reported
from testbed.runs.backgrounds import BackgroundKind
from testbed.runs.calibrate import calibrate
from testbed.runs.campaign_state import CampaignPlan, CampaignState
from testbed.runs.dictionary_check import check_dictionary
from testbed.runs.drift import keep_drift
from testbed.runs.links import LinkReporter, Processors, unusable_links
from testbed.runs.localize import Localization
from testbed.runs.preparation import prepared
from testbed.runs.setup import RADIOS_ORIGIN, Fidelity, Setup, iq_origin, simulate
from testbed.services.conversion import record_fields
from testbed.services.exchange import Exchange
from testbed.services.jobs import Job
from testbed.services.journal import Journal, JournaledLinks
from testbed.services.live import LiveLinks, LiveSource
from testbed.services.live_bursts import LiveBursts, Patience
from testbed.site import Site

_log = logging.getLogger(__name__)

# Simulated radios compute for as long as it takes, and nothing is late in virtual time.
_VIRTUAL_ATTEMPT_S = 15.0
# Between two looks whether a job that waits is to end.
_LOOK_S = 0.1


class JobRuns:
    """Carries out jobs over the agents and workers of a testbed.

    Parameters
    ----------
    site
        The lab.
    seed, fidelity
        Of the scene, where radios are simulated.
    folder
        Where dictionaries are.
    exchange, loop
        Who asks, and the event loop that it lives in.
    """

    def __init__(
        self,
        site: Site,
        seed: int,
        fidelity: Fidelity | None,
        folder: Path,
        exchange: Exchange,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._site = site
        self._seed = seed
        self._fidelity = fidelity
        self._folder = folder
        self._exchange = exchange
        self._loop = loop
        self.processors = Processors(site)
        self.nodes: tuple[Node, ...] = build_nodes(site, seed)

    def __call__(self, job: Job) -> None:
        """Carry a job out; its thread waits for all that it asks for."""
        options = job.asked.options
        if self._fidelity is not None and options.seed not in (None, self._seed):
            msg = f"this testbed simulates seed {self._seed}, asked for is {options.seed}"
            raise UsageError(msg)
        bursts = self._bursts(job)
        setup = self._setup(job, bursts)
        job.seed = setup.seed
        if setup.target_m is not None:
            job.target_m = (float(setup.target_m[0]), float(setup.target_m[1]))
        with threadpool_limits(limits=1):
            match job.asked.task:
                case "calibrate":
                    self._calibrate(job, setup)
                case "check":
                    self._check(job, setup)
                case "localize":
                    self._localize(job, setup, bursts)

    def _bursts(self, job: Job) -> LiveBursts:
        services = self._site.services
        attempt_s = _VIRTUAL_ATTEMPT_S if self._fidelity == "iq" else services.attempt_s
        patience = Patience(attempt_s, services.patience_s)
        rate_hz = build_burst(self._site).sample_rate_hz
        lead_s = self._site.bursts.lead_ms / 1e3
        return LiveBursts(self._exchange, self._loop, rate_hz, patience, job.check, lead_s)

    def _setup(self, job: Job, bursts: LiveBursts) -> Setup:
        if self._fidelity is None:
            seed = job.asked.options.seed or 0
            radios = self._radios(bursts)
            source = self._source(bursts, RADIOS_ORIGIN)
            pause = partial(_pause, job)
            return Setup(source, seed, has_radios=True, radios=radios, pause=pause)
        pilots = simulate(self._site, self._seed)
        if self._fidelity == "pilot":
            source = self._source(bursts, pilots.source.origin)
            return Setup(source, self._seed, pilots.target_m, pilots.source, pause=pilots.pause)
        origin = iq_origin(self._site, pilots)
        return Setup(
            self._source(bursts, origin), self._seed, pilots.target_m, pilots.source,
            has_radios=True, earlier=self._source(bursts, origin, session=0),
            radios=simulated_identities(self._site, self.nodes, self._seed), pause=pilots.pause,
        )  # fmt: skip

    def _source(self, bursts: LiveBursts, origin: str, session: int = 1) -> LiveSource:
        return LiveSource(
            self.nodes, build_burst(self._site).grid, origin, bursts,
            session=session, fresh_tuning=self._site.calibration.fresh_tuning,
        )  # fmt: skip

    def _radios(self, bursts: LiveBursts) -> Mapping[str, RadioIdentity]:
        """Kind and serial of every node's radio, once all have been there."""
        names = [node.node_id for node in self.nodes]
        bursts.wait_for(names)
        states = {
            node.node_id: node
            for link in self._exchange.links
            if link.state is not None
            for node in link.state.nodes
        }
        known = {
            name: RadioIdentity(*node.radio[:2])
            for name, node in states.items()
            if node.radio is not None
        }
        missing = [name for name in names if name not in known]
        if missing:
            why = [f"{name} ({_why_unopened(states.get(name))})" for name in missing]
            msg = (
                f"nodes whose radio was never open, so that nobody knows which one it is: "
                f"{', '.join(why)}; a dictionary is of certain radios"
            )
            raise UsageError(msg)
        return {name: known[name] for name in names}

    def _calibrate(self, job: Job, setup: Setup) -> None:
        options = job.asked.options
        out = self._folder / options.folder
        plan = CampaignPlan(options.only, options.spread_s, options.update, options.relearn)
        if options.resume or options.update:
            manifest_of(out)  # says if there is nothing to go on with
        with reported(out, _log.info), written_to(out):
            learned, total = calibrate(self._site, setup, out, _shown_in(job), plan)
        job.result = (str(out), total, learned)
        if setup.has_radios and options.only != "backgrounds":
            found = load_node_calibration(out, self.nodes)
            job.calibration = None if found is None else written_down(found)

    def _check(self, job: Job, setup: Setup) -> None:
        options = job.asked.options
        root = self._folder / options.folder
        with written_to(root):
            found = check_dictionary(self._site, setup, root, options.num_captures, _shown_in(job))
        job.checks = tuple(found)

    def _localize(self, job: Job, setup: Setup, bursts: LiveBursts) -> None:
        options = job.asked.options
        changed = {
            name: getattr(options, name)
            for name in ("num_receivers", "max_sensings", "fusion", "tolerance_m")
        }
        site = overridden(self._site, Overrides(**changed))

        def show(text: str) -> None:
            job.check()
            job.progress = text

        kind: BackgroundKind = options.background
        root = self._folder / options.folder
        made = load_node_calibration(job.folder, self.nodes)
        with prepared(site, setup, kind, root, show, made) as known:
            if known.calibration is not None and made is None:
                save_node_calibration(job.folder, known.calibration)
            context = _context(job.asked.job_id, known.calibration)
            job.calibration = context.calibration
            unusable = unusable_links(known.background_of)
            reporter = LinkReporter(site, self.nodes, self.processors, known.calibration, unusable)
            links = LiveLinks(bursts, known.background_of, reporter, context)
            journal = Journal(job.folder / "journal")
            try:
                run = Localization(
                    site, JournaledLinks(links, journal), setup.planning_rng(), setup.target_m
                )
                records = []
                for index, record in enumerate(run.run()):
                    records.append(record)
                    times = links.times.pop(index, SensingTimes())
                    job.records.append(record_fields(record, index, times))
                    radius_m = record.estimate.radius_95_m
                    show(f"{index + 1} sensings; 95 % radius so far {radius_m:.3g} m")
                if kind == "learned":
                    keep_drift(root, run.network, records)
            finally:
                journal.close()
                self._loop.call_soon_threadsafe(self._exchange.forget, context.run_id)


def _shown_in(job: Job) -> Callable[[CampaignState], None]:
    """What shows how far a campaign is; it ends with its job."""

    def show(now: CampaignState) -> None:
        job.check()
        job.done, job.total, job.progress = now.done, now.total, now.text
        job.remarks = tuple(now.remarks)

    job.progress = CampaignState().text
    return show


def _pause(job: Job, seconds: float) -> None:
    """Let time pass, unless the job is to end."""
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0.0:
        job.check()
        time.sleep(min(left_s, _LOOK_S))


def _why_unopened(node: NodeState | None) -> str:
    """What an agent says of a node."""
    return "its agent is not there" if node is None else node.fault or "it is being opened"


def _context(run_id: str, calibration: NodeCalibration | None) -> RunContext:
    described = None if calibration is None else written_down(calibration)
    return RunContext(run_id=run_id, calibration=described)
