"""What alignment and subtraction cost an injected echo, by its excess over the direct path's delay.

    python -m tests.paper.echo_loss --impairments lab
    python -m tests.paper.echo_loss --figure docs/images/echo-loss.png

Radios and backgrounds as in `tests.paper.coherence`: another session, freshly tuned bursts. An
echo is added to captures at a known delay after the direct path and from a drawn direction, as
strong as to be found well. Loss is its matched SNR over thermal noise, less the SNR reported.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from threadpoolctl import threadpool_limits

from calibration.background import learn_background
from calibration.direct_path import usable_direct_path
from drivers.capture import Capture
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, distance_m
from drivers.node import Node
from drivers.waveform import pilot_symbols
from processing.alignment import align, shifted
from processing.channel import channel_estimate
from processing.echo import echo_columns
from processing.pipeline import LinkProcessor
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
    """One injected echo: its excess delay and what it lost, infinite if it was not found."""

    excess_cells: float
    usable: bool
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
                yield Loss(excess, usable_direct_path(tx, rx), echo.lost_db(
                    processor, processor.report(
                        with_echo, background, sensing_index=0, delay_limits_s=(0.0, np.inf)
                    ),
                ))  # fmt: skip


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
    sine = echo.sine if processor.array.num_elements > 1 else None
    wave = echo_columns(echo.delay_s(processor), sine, grid, processor.array)[0]
    wave = shifted(wave.reshape(estimate.shape), grid, lay.delay_s) * lay.gain
    wave = wave * np.sqrt(power / wave.size)
    return replace(capture, rx_pilots=capture.rx_pilots + wave * pilots[:, None])


def figure(found: dict[int, list[Loss]], path: Path, title: str) -> None:
    """Median and 90 % of the loss by excess delay, one line for each number of elements."""
    drawing, axes = plt.subplots(figsize=(7.0, 4.5), layout="constrained")
    for num_elements, links in found.items():
        rows = [_row(links, excess) for excess in EXCESS_CELLS]
        line = axes.plot(
            EXCESS_CELLS, [row.median_db for row in rows], marker="o", ms=4,
            label=f"{num_elements} element{'s' if num_elements > 1 else ''}",
        )[0]  # fmt: skip
        axes.plot(EXCESS_CELLS, [row.ninety_db for row in rows], ":", color=line.get_color())
    axes.axhline(1.5, color="0.6", lw=1.0)
    axes.axvline(2.0, color="0.6", lw=1.0)
    axes.set(
        xscale="log", xlabel="excess over the direct path's delay (resolution cells)",
        ylabel="loss of output SNR (dB)", ylim=(-1.0, 25.0), title=title,
    )  # fmt: skip
    axes.legend(title="median; dotted: 90 %", frameon=False)
    drawing.savefig(path, dpi=120)


@dataclass(frozen=True)
class _Row:
    median_db: float
    ninety_db: float
    missed: int
    count: int


def _row(links: list[Loss], excess: float) -> _Row:
    mine = np.array([link.loss_db for link in links if link.excess_cells == excess])
    ninety = float(np.sort(mine)[int(0.9 * (len(mine) - 1))])
    return _Row(float(np.median(mine)), ninety, int(np.isinf(mine).sum()), len(mine))


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
    print("excess cells  median dB   90 % dB  missed")  # noqa: T201
    for excess in EXCESS_CELLS:
        row = _row(links, excess)
        numbers = f"{row.median_db:11.2f}{row.ninety_db:10.2f}"
        print(f"{excess:12.1f}{numbers}{row.missed:5d} of {row.count}")  # noqa: T201


if __name__ == "__main__":
    main()
