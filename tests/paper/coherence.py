"""Captures of radios that share nothing, less their background: floor, false alarms, suppression.

    python -m tests.paper.coherence --impairments lab --scenes 4
    python -m tests.paper.coherence --site examples/studies/pluto.yaml --impairments pluto

Backgrounds are of an earlier session: five bursts of 14 symbols, radios freshly tuned for each.
Every figure for links with and without a usable direct path.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from calibration.direct_path import usable_direct_path
from calibration.learning import learn_background
from calibration.placing import place_background
from drivers.capture import CaptureSource
from drivers.geometry import ComplexArray, delay_limits_s
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.channel import channel_estimate
from processing.detect import exceedances, plan_cfar
from processing.pipeline import LinkProcessor
from processing.power_map import with_equal_noise
from processing.search import ProcessingSettings
from processing.suppression import Background
from sim_backend.frontend import draw_hardware
from sim_backend.impairments import PRESETS
from testbed.build import Overrides, longest_delay_s, overridden, radio_sections
from testbed.runs.setup import opened_setup
from testbed.site import Site, load_site

LAB = Path(__file__).parents[2] / "examples" / "lab.yaml"
PLUTO = LAB.parent / "studies" / "pluto.yaml"
FALSE_ALARM_PROBABILITY = 1e-2
NUM_CAPTURES = 4
NUM_BOOTSTRAPS = 2000


@dataclass(frozen=True)
class LinkFigures:
    """What one target-free capture shows.

    Attributes
    ----------
    usable
        Whether the link has a usable direct path.
    floor_db
        Power of the residual over the receiver's thermal noise, k T F times the tone spacing.
    unaligned_db
        Suppression without alignment.
    cells, alarms
        Cells looked at and those over the threshold: in all, and where the background lies.
    """

    usable: bool
    floor_db: float
    unaligned_db: float
    cells: tuple[int, int]
    alarms: tuple[int, int]


def site_with(path: Path, impairments: str, num_elements: int | None) -> Site:
    """The site for this measurement."""
    site = overridden(
        load_site(path), Overrides(num_elements=num_elements, impairments=impairments)
    )
    raw = msgspec.to_builtins(site)
    raw["waveform"]["num_symbols"] = 4
    raw["calibration"] |= {"num_captures": 5, "num_symbols": 14, "fresh_tuning": True}
    return msgspec.convert(raw, Site)


def figures(site: Site, seed: int, num_links: int | None = None) -> Iterator[LinkFigures]:
    """Figures of the links of a scene, or of so many drawn ones; several captures of each."""
    with opened_setup(site, seed, "iq") as setup:
        assert setup.earlier is not None
        nodes = setup.source.nodes
        links = [(i, j) for i in range(len(nodes)) for j in range(len(nodes)) if i != j]
        drawn = np.random.default_rng(seed).permutation(len(links))[:num_links]
        bench = Bench(site, setup.source, seed)
        for index in drawn:
            i, j = links[int(index)]
            tx, rx = nodes[i], nodes[j]
            learned = learn_background(setup.earlier, tx.node_id, rx.node_id, 5).channel
            background = Background(placed(learned, tx, rx, setup.source.grid), "learned")
            yield from bench.link(i, j, background, learned)


class Bench:
    """One scene's radios, and what is measured of their links."""

    def __init__(self, site: Site, source: CaptureSource, seed: int) -> None:
        self._site, self._source, self._seed = site, source, seed
        self._grid = source.grid
        settings = ProcessingSettings(false_alarm_probability=FALSE_ALARM_PROBABILITY)
        array = source.nodes[0].array
        self._processor = LinkProcessor(self._grid, array, longest_delay_s(site), settings)
        self._cfar = plan_cfar(self._processor.map_plan, FALSE_ALARM_PROBABILITY)

    def link(
        self, i: int, j: int, background: Background, learned: ComplexArray | None = None
    ) -> Iterator[LinkFigures]:
        """Figures of captures of a link, less a background that was learned as given, if known."""
        tx, rx = self._source.nodes[i], self._source.nodes[j]
        lies = self._processor.map_of(background.channel).power
        searched = self._searched(tx, rx)
        noise_var = thermal_var(self._site, tx, rx, self._grid, self._seed, j)
        for index in range(NUM_CAPTURES):
            capture = self._source.sense_background(tx.node_id, (rx.node_id,), index, brief=True)[0]
            what = self._processor.suppressed(capture, background)
            floor = np.mean(np.abs(what.residual) ** 2) * what.louder * capture.num_averaged
            unaligned_db = np.nan
            if learned is not None:
                estimate = channel_estimate(capture.rx_pilots, pilot_symbols(self._grid))
                left = np.mean(np.abs(estimate - learned) ** 2)
                unaligned_db = float(10.0 * np.log10(np.mean(np.abs(estimate) ** 2) / left))
            found = self._processor.map_of(what.residual)
            link = self._processor.prepared(background, capture.coherent_groups)
            level = link.noise_level(what, found) * link.share
            above = exceedances(with_equal_noise(found, level).power, self._cfar) & searched
            own = (lies > 100.0 * found.noise_power) & searched
            yield LinkFigures(
                usable_direct_path(tx, rx),
                float(10.0 * np.log10(floor / noise_var)),
                unaligned_db,
                (int(np.sum(searched & (level > 0.0))), int(np.sum(own & (level > 0.0)))),
                (int(above.sum()), int(above[own].sum())),
            )

    def _searched(self, tx: Node, rx: Node) -> np.ndarray:
        """Delays that echoes from the area can have: where the detector looks."""
        area_m = self._site.area_m
        shortest, longest = delay_limits_s(tx.pose.position, rx.pose.position, area_m)
        delay = self._processor.map_plan.delay_grid_s
        return (delay >= shortest) & (delay <= longest)


def thermal_var(site: Site, tx: Node, rx: Node, grid: OfdmGrid, seed: int, j: int) -> float:
    """Variance that a receiver's own noise gives an entry: its true noise figure and gain.

    Parameters
    ----------
    j
        The receiver's index among the nodes.
    """
    section = radio_sections(site, [rx])[rx.node_id]
    unit = section.options.get("unit", j)
    hardware = draw_hardware(rx, PRESETS[site.simulation.impairments.preset], seed, unit)
    extra_db = hardware.noise_figure_db - rx.noise_figure_db
    extra_db += 20.0 * np.log10(hardware.rx_gain)
    return channel_noise_var(tx, rx, grid) * 10.0 ** (extra_db / 10.0)


def placed(channel: ComplexArray, tx: Node, rx: Node, grid: OfdmGrid) -> ComplexArray:
    """A background whose delays are about those of the hall."""
    return place_background(channel, tx, rx, grid, time_var_s2=None).channel


def rate(links: list[LinkFigures], which: int) -> tuple[float, float, float]:
    """False-alarm rate over the set one, with a 95 % interval by bootstrap over captures."""
    cells = np.array([link.cells[which] for link in links], dtype=np.float64)
    alarms = np.array([link.alarms[which] for link in links], dtype=np.float64)
    drawn = np.random.default_rng(0).integers(len(links), size=(NUM_BOOTSTRAPS, len(links)))
    ratios = alarms[drawn].sum(axis=1) / cells[drawn].sum(axis=1) / FALSE_ALARM_PROBABILITY
    low, high = np.percentile(ratios, [2.5, 97.5])
    return float(alarms.sum() / cells.sum() / FALSE_ALARM_PROBABILITY), float(low), float(high)


def main() -> None:
    """Print what the module says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=LAB)
    parser.add_argument("--impairments", choices=list(PRESETS), default="lab")
    parser.add_argument("--elements", type=int)
    parser.add_argument("--links", type=int, help="of each scene; all, if left out")
    parser.add_argument("--scenes", type=int, default=4)
    given = parser.parse_args()
    site = site_with(given.site, given.impairments, given.elements)
    with threadpool_limits(limits=1):
        links = [link for seed in range(given.scenes) for link in figures(site, seed, given.links)]
    for usable in (True, False):
        mine = [link for link in links if link.usable == usable]
        if not mine:
            continue
        floor_db = [link.floor_db for link in mine]
        text = ", ".join(
            f"{name} {found:.2f} [{low:.2f}, {high:.2f}]"
            for name, (found, low, high) in (
                ("all cells", rate(mine, 0)), ("the background's own", rate(mine, 1)),
            )
        )  # fmt: skip
        print(  # noqa: T201
            f"{site.name}, {given.impairments}, {len(mine)} captures of links "
            f"{'with' if usable else 'without'} a usable direct path: floor over k T F df median "
            f"{np.median(floor_db):.2f} dB, 90 % {np.percentile(floor_db, 90):.2f} dB; without "
            f"alignment suppressed by {np.median([link.unaligned_db for link in mine]):.1f} dB; "
            f"false alarms over the set rate: {text}"
        )


if __name__ == "__main__":
    main()
