"""One typical link of a hall, made ready once and shared by all cases."""

from dataclasses import dataclass, replace
from functools import cached_property
from importlib.resources import as_file, files

import numpy as np

from drivers.capture import Capture
from drivers.geometry import ComplexArray, FloatArray, delay_limits_s
from drivers.node import Node
from drivers.waveform import OfdmGrid, pilot_symbols
from fusion.network import Network
from processing.channel import channel_estimate
from processing.pipeline import LinkProcessor
from processing.power_map import PowerMap
from processing.report import LinkReport
from processing.suppression import Background
from testbed.bench.literal import literal_module
from testbed.runs.backgrounds import equivalent_background, perfect_background
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization
from testbed.runs.setup import Simulation, simulate
from testbed.site import Site, load_site

_TYPICAL_SNR = 1e3  # 30 dB: the median of the links that see the target
# How the radios of the capture that has to be aligned differ from those of its background.
_PHASE_RAD, _GAIN, _LATE_CELLS = 2.1, 0.8, 2.37


def paper_hall() -> Site:
    """The hall of the paper's section VI, as `testbed init --preset factory` writes it."""
    with as_file(files("testbed") / "presets" / "factory.yaml") as path:
        return load_site(path)


@dataclass(frozen=True)
class Sizes:
    """Numbers that are not the site's own.

    Attributes
    ----------
    num_samples
        Points of the initialization, ``N_s``.
    num_receivers
        ``N_r`` of exact planning.
    many_nodes, many_receivers
        N and ``N_r`` of planning where not all sets can be tried.
    num_scatterers
        Of the channel that is synthesized.
    num_captures
        Of the median, ``N_BG``.
    num_noise_draws
        Behind an error that is a statistic.
    num_sensings
        Of the loop.
    num_trials, num_compared
        Of the study, and how many of them one process does alone.
    """

    num_samples: int = 128
    num_receivers: int = 3
    many_nodes: int = 1000
    many_receivers: int = 4
    num_scatterers: int = 70
    num_captures: int = 70
    num_noise_draws: int = 50
    num_sensings: int = 120
    num_trials: int = 96
    num_compared: int = 16


class Workload:
    """A simulated hall and one of its links, neither among the strongest nor among the weakest.

    Parameters
    ----------
    site
        The hall; the paper's, if left out.
    sizes
        Everything else that has a size.
    seed
        Of the scene.
    """

    def __init__(self, site: Site | None = None, sizes: Sizes | None = None, seed: int = 0) -> None:
        self.site = paper_hall() if site is None else site
        self.sizes = Sizes() if sizes is None else sizes
        self.seed = seed
        self.processors = Processors(self.site)

    @cached_property
    def simulation(self) -> Simulation:
        """The scene, with everything static in it."""
        return simulate(self.site, self.seed)

    @property
    def grid(self) -> OfdmGrid:
        """The waveform."""
        return self.simulation.source.grid

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes as surveyed."""
        return self.simulation.source.nodes

    @cached_property
    def network(self) -> Network:
        """The nodes as planning sees them."""
        return Network(self.nodes, self.grid)

    @cached_property
    def link(self) -> tuple[int, int]:
        """Transmitter and receiver whose mean echo of the target is nearest to 30 dB."""
        snr = self.network.snr(self.simulation.target_m[None], np.ones(1))[0]
        away = np.abs(np.log(np.maximum(snr, 1e-300) / _TYPICAL_SNR))
        tx, rx = np.unravel_index(int(np.argmin(away)), snr.shape)
        return int(tx), int(rx)

    @property
    def processor(self) -> LinkProcessor:
        """Of the receiver's captures."""
        return self.processors.of(self.nodes[self.link[1]])

    @cached_property
    def delay_limits_s(self) -> tuple[float, float]:
        """Shortest and longest delay over the search area."""
        tx, rx = (self.nodes[n].pose.position for n in self.link)
        return delay_limits_s(tx, rx, self.site.area_m)

    @cached_property
    def background(self) -> Background:
        """The link's entry: its static channel, and the noise that the median leaves in it."""
        source = self.simulation.source
        names = [self.nodes[n].node_id for n in self.link]
        noise = source.entry_noise(names[0], names[1], self.sizes.num_captures)
        return Background(source.static_channel(*self.link) + noise, "bench")

    @cached_property
    def capture(self) -> Capture:
        """A capture that lies as its background does."""
        tx, rx = (self.nodes[n].node_id for n in self.link)
        return self.simulation.source.sense(tx, (rx,), 0)[0]

    @cached_property
    def moved_capture(self) -> Capture:
        """The same through radios of another phase, gain and time."""
        return self.moved(self.capture)

    def moved(self, capture: Capture) -> Capture:
        """A capture through radios of another phase, gain and time: it must be aligned."""
        late_s = _LATE_CELLS / self.grid.bandwidth_hz
        turn = _GAIN * np.exp(1j * (_PHASE_RAD - 2.0 * np.pi * self.grid.offset_hz * late_s))
        pilots = capture.rx_pilots * turn[:, None].astype(np.complex64)
        return replace(capture, rx_pilots=pilots, needs_alignment=True)

    @cached_property
    def residual(self) -> ComplexArray:
        """What the background leaves of the capture, shape ``(K, M)``."""
        return self.processor.residual(self.capture, self.background)

    @cached_property
    def found(self) -> PowerMap:
        """Its map."""
        return self.processor.map_of(self.residual)

    def report(self, capture: Capture) -> LinkReport:
        """Report of one of the captures."""
        return self.processor.report(
            capture, self.background, sensing_index=0, delay_limits_s=self.delay_limits_s
        )

    @cached_property
    def channels(self) -> ComplexArray:
        """Channel estimates of target-free captures, shape ``(N_BG, K, M)``, complex64."""
        source, pilots = self.simulation.source, pilot_symbols(self.grid)
        tx, rx = (self.nodes[n].node_id for n in self.link)
        count = self.sizes.num_captures
        captures = (source.sense_background(tx, (rx,), n)[0] for n in range(count))
        return np.array([channel_estimate(capture.rx_pilots, pilots) for capture in captures])

    @cached_property
    def link_information(self) -> FloatArray:
        """Information of all links about the target, shape ``(N, N, 3)``."""
        point = self.simulation.target_m[None]
        return self.network.information(point, self.network.snr(point, np.ones(1)))[0]

    def localization(
        self, seed: int, *, aligned: bool
    ) -> tuple[Localization, LocalLinks, Simulation]:
        """A run over another scene; with backgrounds in their equivalent form, as in studies.

        Captures that are to be aligned need backgrounds as they are.
        """
        simulation = simulate(self.site, seed, cancel_static=not aligned)
        background_of = (
            perfect_background(simulation.source)
            if aligned
            else equivalent_background(simulation.source, self.sizes.num_captures)
        )
        links = LocalLinks(self.site, simulation.source, background_of, self.processors)
        run = Localization(self.site, links, simulation.planning_rng(), simulation.target_m)
        return run, links, simulation

    def chain(self) -> object | None:
        """The literal chain with this link's constants, ``None`` without a checkout."""
        literal = literal_module("chain")
        if literal is None:
            return None
        processor = self.processor
        plan, cfar = processor.map_plan, processor.cfar
        return literal.Chain(
            frequency_hz=self.grid.frequency_hz,
            pilots=pilot_symbols(self.grid),
            num_elements=plan.array.num_elements,
            spacing_m=plan.array.spacing_m,
            angle_grid_rad=plan.angle_grid_rad,
            fft_length=plan.fft_length,
            num_bins=len(plan.delay_grid_s),
            threshold=cfar.threshold,
            windows=(cfar.guard, cfar.train, cfar.angle_halfwidth),
            max_hypotheses=processor.settings.max_hypotheses,
        )
