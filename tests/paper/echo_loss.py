"""What alignment and subtraction cost an injected echo, by its excess over the direct path's delay.

    python -m tests.paper.echo_loss --impairments lab
    python -m tests.paper.echo_loss --figure docs/images/echo-loss.png

Radios and backgrounds as in `tests.paper.coherence`: another session, freshly tuned bursts. An
echo is added to captures at a known delay after the direct path and from a drawn direction, as
strong as to be found well. Losses are its matched SNR over thermal noise, less what detection
sees after alignment, and less the one reported after echo and alignment were estimated together.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

from calibration.direct_path import usable_direct_path
from calibration.learning import learn_background
from drivers.capture import Capture
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, distance_m
from drivers.node import Node
from drivers.waveform import pilot_symbols
from processing.alignment import align, shifted
from processing.channel import channel_estimate
from processing.pipeline import LinkProcessor
from processing.power_map import with_equal_noise
from processing.report import LinkReport
from processing.suppression import Background
from sim_backend.impairments import PRESETS
from testbed.build import build_processing, longest_delay_s
from testbed.runs.setup import opened_setup
from testbed.site import Site
from tests.paper.coherence import LAB, placed, site_with, thermal_var

EXCESS_CELLS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.5, 4.0, 6.0)
ELEMENTS = (1, 2, 8)
SNR_DB = 30.0  # of the injected echo in its matched cell, over thermal noise
_NEAR = 0.7  # cells, beams: how far off an echo may be found


@dataclass(frozen=True)
class Loss:
    """One injected echo: its excess delay and what it lost.

    Attributes
    ----------
    usable
        Whether the link has a usable direct path.
    seen_db
        Lost for detection, largest about the echo.
    loss_db
        Lost in the report; infinite if it was not reported.
    """

    excess_cells: float
    usable: bool
    seen_db: float
    loss_db: float


def losses(site: Site, seed: int, num_links: int | None = None) -> Iterator[Loss]:
    """Losses on the links of a scene, or on so many drawn ones, one echo for each excess delay."""
    with opened_setup(site, seed, "iq") as setup:
        nodes = setup.source.nodes
        links = [(tx, rx) for tx in nodes for rx in nodes if tx is not rx]
        rng = np.random.default_rng(seed)
        processor = LinkProcessor(
            setup.source.grid, nodes[0].array, longest_delay_s(site), build_processing(site)
        )
        for index in rng.permutation(len(links))[:num_links]:
            tx, rx = links[int(index)]
            learned = learn_background(setup.earlier, tx.node_id, rx.node_id, 5).channel
            background = Background(placed(learned, tx, rx, setup.source.grid), "learned")
            noise_var = thermal_var(site, tx, rx, setup.source.grid, seed, nodes.index(rx))
            for number, excess in enumerate(EXCESS_CELLS):
                capture = setup.source.sense_background(
                    tx.node_id, (rx.node_id,), number, brief=True
                )[0]
                echo = _Echo(tx, rx, excess, float(rng.uniform(-0.87, 0.87)))
                power = 10.0 ** (SNR_DB / 10.0) * noise_var / capture.num_averaged
                with_echo = injected(processor, capture, background, echo, power)
                report = processor.report(
                    with_echo, background, sensing_index=0, delay_limits_s=(0.0, np.inf)
                )
                yield Loss(
                    excess, usable_direct_path(tx, rx),
                    echo.unseen_db(processor, with_echo, background),
                    echo.lost_db(processor, report),
                )  # fmt: skip


@dataclass(frozen=True)
class _Echo:
    """An echo so many cells after a link's direct path."""

    tx: Node
    rx: Node
    excess_cells: float
    sine: float

    def delay_s(self, processor: LinkProcessor) -> float:
        direct_m = float(distance_m(self.tx.pose.position_m, self.rx.pose.position_m))
        direct_s = direct_m / SPEED_OF_LIGHT_M_PER_S
        return direct_s + self.excess_cells / processor.grid.bandwidth_hz

    def unseen_db(
        self, processor: LinkProcessor, capture: Capture, background: Background
    ) -> float:
        """SNR that is missing from the strongest cell about the echo, as detection sees it."""
        what = processor.suppressed(capture, background)
        found = processor.map_of(what.residual)
        link = processor.prepared(background, capture.coherent_groups)
        level = link.noise_level(what, found) * link.share
        cells = (found.plan.delay_grid_s - self.delay_s(processor)) * processor.grid.bandwidth_hz
        about = with_equal_noise(found, level).power[:, np.abs(cells) < 1.5 * _NEAR]
        snr = max(float(about.max()) / found.noise_power - 1.0, 1e-3)
        return float(SNR_DB - 10.0 * np.log10(snr))

    def lost_db(self, processor: LinkProcessor, report: LinkReport) -> float:
        """SNR that is missing from the strongest hypothesis near the echo."""
        array, grid = processor.array, processor.grid
        beams = array.num_elements * array.spacing_m / grid.wavelength_m
        near = [
            h.snr for h in report.hypotheses
            if abs(h.delay_s - self.delay_s(processor)) * grid.bandwidth_hz < _NEAR
            and (h.sine is None or abs((h.sine - self.sine + 1.0) % 2.0 - 1.0) * beams < _NEAR)
        ]  # fmt: skip
        return SNR_DB - 10.0 * np.log10(max(near)) if near else np.inf


def injected(
    processor: LinkProcessor, capture: Capture, background: Background, echo: _Echo, power: float
) -> Capture:
    """A capture with an echo of this power over all entries, where its own timing puts it."""
    grid, pilots = processor.grid, pilot_symbols(processor.grid)
    estimate = channel_estimate(capture.rx_pilots, pilots)
    _, lay = align(estimate, background.channel, grid, capture.coherent_groups)
    late_s = echo.delay_s(processor) + processor.array.element_delay_s(echo.sine)
    wave = np.exp(-2j * np.pi * grid.frequency_hz[:, None] * late_s)
    wave = shifted(wave, grid, lay.delay_s, lay.gain)
    wave = wave * np.sqrt(power / wave.size)
    return replace(capture, rx_pilots=capture.rx_pilots + wave * pilots[:, None])


def figure(found: dict[int, list[Loss]], path: Path, title: str) -> None:
    """Losses by excess delay, and how many echoes are not reported, by number of elements."""
    drawing, panels = plt.subplots(1, 2, figsize=(9.5, 4.0), layout="constrained")
    for num_elements, links in found.items():
        rows = [_row(links, excess) for excess in EXCESS_CELLS]
        name = f"{num_elements} element{'s' if num_elements > 1 else ''}"
        seen = [row.seen_db for row in rows]
        line = panels[0].plot(EXCESS_CELLS, seen, "--", marker="o", ms=4)[0]
        reported = [row.median_db for row in rows]
        panels[0].plot(EXCESS_CELLS, reported, marker="o", ms=4, color=line.get_color())
        missed = [100.0 * row.missed / row.count for row in rows]
        panels[1].plot(EXCESS_CELLS, missed, marker="o", ms=4, label=name)
    panels[0].axhline(1.5, color="0.7", lw=1.0)
    panels[0].axvline(2.0, color="0.7", lw=1.0)
    panels[0].set(ylabel="median loss of SNR (dB)", ylim=(-1.0, 25.0))
    panels[0].set_title("dashed: for detection; solid: as reported")
    panels[1].set(ylabel="not reported (%)", ylim=(-3.0, 103.0))
    panels[1].legend(frameon=False)
    for axes in panels:
        axes.set(xscale="log", xlabel="excess over the direct path (resolution cells)")
        axes.set_xticks([0.1, 0.3, 1.0, 2.0, 5.0], ["0.1", "0.3", "1", "2", "5"])
        axes.minorticks_off()
    drawing.suptitle(title)
    drawing.savefig(path, dpi=120)
    plt.close(drawing)


@dataclass(frozen=True)
class _Row:
    seen_db: float
    median_db: float
    ninety_db: float
    missed: int
    count: int


def _row(links: list[Loss], excess: float) -> _Row:
    here = [link for link in links if link.excess_cells == excess]
    seen_db = float(np.median([link.seen_db for link in here]))
    mine = np.array([link.loss_db for link in here])
    ninety = float(np.sort(mine)[int(0.9 * (len(mine) - 1))])
    return _Row(seen_db, float(np.median(mine)), ninety, int(np.isinf(mine).sum()), len(mine))


def main() -> None:
    """Print what the module says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--site", type=Path, default=LAB)
    parser.add_argument("--impairments", choices=list(PRESETS), default="lab")
    parser.add_argument("--scenes", type=int, default=4)
    parser.add_argument("--links", type=int, default=10, help="of each scene")
    parser.add_argument("--figure", type=Path, help="where to draw the losses as well")
    given = parser.parse_args()
    found = {}
    for num_elements in ELEMENTS:
        site = site_with(given.site, given.impairments, num_elements)
        with threadpool_limits(limits=1):
            found[num_elements] = [
                loss for seed in range(given.scenes) for loss in losses(site, seed, given.links)
            ]
        for usable in (True, False):
            mine = [loss for loss in found[num_elements] if loss.usable == usable]
            if mine:
                _print(f"{site.name}, {given.impairments}", num_elements, usable, mine)
    if given.figure is not None:
        figure(found, given.figure, f"{site.name}, radios as preset {given.impairments}")


def _print(where: str, num_elements: int, usable: bool, links: list[Loss]) -> None:
    path = "with" if usable else "without"
    print(f"{where}, {num_elements} elements, links {path} a usable direct path")  # noqa: T201
    print("              detection   reported")  # noqa: T201
    print("excess cells  median dB  median dB   90 % dB  missed")  # noqa: T201
    for excess in EXCESS_CELLS:
        row = _row(links, excess)
        numbers = f"{row.seen_db:11.2f}{row.median_db:11.2f}{row.ninety_db:10.2f}"
        print(f"{excess:12.1f}{numbers}{row.missed:5d} of {row.count}")  # noqa: T201


if __name__ == "__main__":
    main()
