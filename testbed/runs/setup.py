"""What a run senses with: a simulated scene at pilot or IQ fidelity, or a site's own radios."""

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np

from calibration.dictionary_entry import RadioIdentity
from drivers.capture import CaptureSource
from drivers.geometry import FloatArray
from sim_backend.ether import Ether
from sim_backend.scene import random_stream
from sim_backend.source import SimulatedSource, StaticModel
from testbed.build import (
    build_burst,
    build_calibration_burst,
    build_grid,
    build_impairments,
    build_nodes,
    build_scene,
    radio_kinds,
)
from testbed.errors import UsageError
from testbed.radios import close_radios, open_radios, simulated_identities, simulated_radios
from testbed.site import Site

if TYPE_CHECKING:
    from testbed.radio_source import RadioSource

Fidelity = Literal["pilot", "iq"]


def planning_rng(seed: int) -> np.random.Generator:
    """Generator for the planner's own samples."""
    return random_stream(seed, "planning")


@dataclass(frozen=True)
class Setup:
    """Everything that captures come from in one run.

    Attributes
    ----------
    source
        Captures.
    seed
        What the scene, or the planner's samples, are drawn from.
    target_m
        The truth, shape ``(2,)``, where a simulator knows it.
    pilots
        The same scene at pilot fidelity, where there is one: its static channel is known.
    has_radios
        Whether captures come through radios, whose clocks and arrays are to be calibrated.
    earlier
        Where backgrounds are learned, if not from `source`: the same radios in a session before,
        with other phases and times.
    radios
        Which radios the nodes have, by node id; empty where there are none, or not known.
    pause
        Lets a number of seconds pass where the radios are: in a simulation that takes no time.
    """

    source: CaptureSource
    seed: int
    target_m: FloatArray | None = None
    pilots: SimulatedSource | None = None
    has_radios: bool = False
    earlier: CaptureSource | None = None
    radios: Mapping[str, RadioIdentity] = field(default_factory=dict)
    pause: Callable[[float], None] = time.sleep

    @property
    def can_learn(self) -> bool:
        """Whether the hall is free of targets whenever a background is learned."""
        return self.target_m is not None

    def planning_rng(self) -> np.random.Generator:
        """Generator for the planner's own samples."""
        return planning_rng(self.seed)


@dataclass(frozen=True)
class Simulation(Setup):
    """A setup at pilot fidelity: the simulator is the source."""

    source: SimulatedSource
    target_m: FloatArray


def simulate(site: Site, seed: int, *, cancel_static: bool = False) -> Simulation:
    """Draw the scene of a seed and put simulated receivers at its nodes, at pilot fidelity."""
    nodes = build_nodes(site, seed)
    scene = build_scene(site, nodes, seed)
    model: StaticModel = "cancelled" if cancel_static else "synthesized"
    pilots = SimulatedSource(scene, nodes, build_grid(site), model, site.waveform.num_symbols)
    return Simulation(pilots, seed, scene.target_m, pilots, pause=lambda _seconds: None)


@contextmanager
def opened_setup(site: Site, seed: int, fidelity: Fidelity) -> Iterator[Setup]:
    """The site's radios, or its simulated scene if all of them are simulated; closed at the end.

    Raises
    ------
    UsageError
        If simulated and real radios are mixed: they share no air.
    RadioError
        If a radio cannot be opened or cannot send the waveform.
    """
    kinds = radio_kinds(site)
    if kinds != {"sim"} and "sim" in kinds:
        others = ", ".join(sorted(kinds - {"sim"}))
        msg = (
            f"{site.name}: radios of kind sim cannot hear those of kind {others}; add --simulate "
            "to replace every radio by a simulated one"
        )
        raise UsageError(msg)
    if kinds == {"sim"} and fidelity == "pilot":
        yield simulate(site, seed)
        return
    with ExitStack() as opened:
        yield (
            _simulated_iq(site, seed, opened) if kinds == {"sim"} else _hardware(site, seed, opened)
        )


def _simulated_iq(site: Site, seed: int, opened: ExitStack) -> Setup:
    """Two sessions of the same radios: backgrounds are of the first, all else of the second."""
    pilots = simulate(site, seed)
    scene = build_scene(site, pilots.source.nodes, seed)
    origin = iq_origin(site, pilots)
    airs = Ether(scene, 0), Ether(scene, 1)
    earlier, now = (opened.enter_context(closing(iq_source(site, air, origin))) for air in airs)
    return Setup(
        now, seed, scene.target_m, pilots.pilots, has_radios=True, earlier=earlier,
        radios=simulated_identities(site, scene.nodes, seed), pause=airs[1].advance,
    )  # fmt: skip


def iq_source(site: Site, ether: Ether, origin: str) -> "RadioSource":
    """Captures through simulated radios in one session of theirs; to be closed."""
    from testbed.radio_source import RadioSource  # what finds bursts takes long to import

    nodes = ether.scene.nodes
    radios = open_radios(site, nodes, {"sim": simulated_radios(site, ether)})
    return RadioSource(
        build_nodes(site, ether.scene.seed), radios, build_burst(site), origin,
        calibration_burst=build_calibration_burst(site),
        fresh_tuning=site.calibration.fresh_tuning, world=ether, wait_s=ether.advance,
        lead_s=site.bursts.lead_ms / 1e3, repeat_s=site.bursts.repeat_ms / 1e3,
    )  # fmt: skip


def iq_origin(site: Site, pilots: Simulation) -> str:
    """Origin of captures through simulated radios; see `drivers.capture.CaptureSource`."""
    described = hashlib.sha256(repr(build_impairments(site)).encode()).hexdigest()[:8]
    return f"{pilots.source.origin}, IQ with impairments {described}"


# Of captures through radios: which ones, each entry says.
RADIOS_ORIGIN = "radios"


def _hardware(site: Site, seed: int, opened: ExitStack) -> Setup:
    from testbed.radio_source import RadioSource

    nodes = build_nodes(site, seed)
    radios = open_radios(site, nodes, {})
    try:
        identities = {
            name: RadioIdentity(radio.info.kind, radio.info.serial)
            for name, radio in radios.items()
        }
        source = RadioSource(
            nodes, radios, build_burst(site), RADIOS_ORIGIN,
            calibration_burst=build_calibration_burst(site),
            fresh_tuning=site.calibration.fresh_tuning,
            lead_s=site.bursts.lead_ms / 1e3, repeat_s=site.bursts.repeat_ms / 1e3,
        )  # fmt: skip
    except BaseException:
        close_radios(radios)
        raise
    opened.callback(source.close)
    return Setup(source, seed, has_radios=True, radios=identities)
