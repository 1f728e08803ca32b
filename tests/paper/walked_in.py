"""What a target that walks in during calibration does to entries and to localization.

    python -m tests.paper.walked_in --scenes 5
    python -m tests.paper.walked_in --scenes 3 --fidelity iq --impairments lab --captures 7

A target of 0 dBsm stands somewhere in the hall for a share of each entry's captures, one after the
other. Entries are learned as a campaign does, which leaves parts of the time out, and as the median
of all captures alone (``--median-only``). Printed are how many entries are flagged, the matched
energy of what an entry holds of the visitor, over one capture's noise, and the errors of a target
that is then localized elsewhere.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import msgspec
import numpy as np

from calibration.dictionary import BackgroundDictionary
from drivers.capture import Capture, CaptureSource
from drivers.link_budget import channel_noise_var
from sim_backend.source import SimulatedSource
from testbed.build import Overrides, build_grid, overridden, simulated
from testbed.runs.backgrounds import LearnedBackgrounds
from testbed.runs.calibrate import calibrate
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization
from testbed.runs.moved import MovedThings
from testbed.runs.setup import Simulation, opened_setup, simulate
from testbed.site import Site, load_site

SHARES = (0.0, 0.2, 0.4, 0.6)
# When the visitor comes, as a share of the captures.
COMES_AT = 0.25


class Visited:
    """A source whose target stands in the hall for some captures of a background.

    Parameters
    ----------
    source
        Whose captures they are.
    visitor
        Whose captures those with the visitor are.
    indices
        Of these.
    """

    def __init__(self, source: CaptureSource, visitor: CaptureSource, indices: range) -> None:
        self._source, self._visitor, self._indices = source, visitor, indices
        self.nodes, self.grid, self.origin = source.nodes, source.grid, source.origin

    def sense(self, tx_id: str, rx_ids: Sequence[str], index: int) -> tuple[Capture, ...]:
        """As of the source."""
        return self._source.sense(tx_id, rx_ids, index)

    def sense_background(
        self, tx_id: str, rx_ids: Sequence[str], index: int, *, brief: bool = False
    ) -> tuple[Capture, ...]:
        """With the visitor, if it is there then."""
        if index in self._indices:
            return self._visitor.sense(tx_id, rx_ids, index)
        return self._source.sense_background(tx_id, rx_ids, index, brief=brief)


@dataclass(frozen=True)
class Visit:
    """What a visit left.

    Attributes
    ----------
    num_flagged, num_entries
        Entries in whose captures something was seen to move, and all.
    held_db
        Matched energy of what each entry is off; empty at IQ fidelity.
    error_m
        Of the target that is localized afterwards; ``None`` at IQ fidelity.
    """

    num_flagged: int
    num_entries: int
    held_db: list[float]
    error_m: float | None


def stay(num_captures: int, share: float) -> range:
    """Indices of the captures that a visitor is there for."""
    first = round(COMES_AT * num_captures)
    return range(first, first + round(share * num_captures))


def visited(site: Site, setup: Simulation, share: float) -> Visited:
    """A simulated hall with a visitor somewhere for a share of each entry's captures."""
    x_min, y_min, x_max, y_max = site.area_m
    rng = np.random.default_rng([setup.seed, 9])
    there_m = rng.uniform((x_min, y_min), (x_max, y_max))
    scene = replace(setup.source.scene, target_m=there_m)
    visitor = SimulatedSource(scene, setup.source.nodes, build_grid(site))
    return Visited(setup.source, visitor, stay(site.calibration.num_captures, share))


def visit(site: Site, seed: int, share: float) -> Visit:
    """Learn a hall while a visitor is there, and localize in it."""
    setup, seen = simulate(site, seed), []
    with TemporaryDirectory() as folder:
        root = Path(folder) / "d"
        source = visited(site, setup, share)
        _, total = calibrate(site, replace(setup, source=source), root, seen.append)
        dictionary = BackgroundDictionary.existing(root)
        backgrounds = LearnedBackgrounds(setup.source, dictionary)
        links = LocalLinks(site, setup.source, backgrounds, Processors(site))
        run = Localization(site, links, setup.planning_rng(), setup.target_m)
        error_m = list(run.run())[-1].error_m
        return Visit(len(seen[-1].moved), total, held_db(setup, dictionary), error_m)


def visit_at_iq(site: Site, seed: int, share: float) -> Visit:
    """The same through simulated radios, the visitor where the target is."""
    seen = []
    with opened_setup(site, seed, "iq") as setup, TemporaryDirectory() as folder:
        indices = stay(site.calibration.num_captures, share)
        source = Visited(setup.source, setup.source, indices)
        _, total = calibrate(site, replace(setup, source=source), Path(folder) / "d", seen.append)
        return Visit(len(seen[-1].moved), total, [], None)


def held_db(setup: Simulation, dictionary: BackgroundDictionary) -> list[float]:
    """Energy of what each entry is off, in its strongest cell, over one capture's noise."""
    held, source = [], setup.source
    for i, tx in enumerate(source.nodes):
        for j, rx in enumerate(source.nodes):
            if i != j:
                entry = dictionary.get(tx.location_id, rx.location_id)
                off = entry.channel - source.static_channel(i, j)
                cells = np.abs(np.fft.fft2(off, [2 * size for size in off.shape])) ** 2 / off.size
                noise_var = channel_noise_var(tx, rx, source.grid)
                held.append(10.0 * np.log10(float(cells.max()) / noise_var))
    return held


@contextmanager
def median_only() -> Iterator[None]:
    """Nobody looks at parts of the time."""
    with patch.object(MovedThings, "most_moved", lambda _self, _learned: None):
        yield


def main() -> None:
    """Print what visits of several lengths leave."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, default=Path("examples/lab.yaml"))
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--fidelity", choices=["pilot", "iq"], default="pilot")
    parser.add_argument("--impairments")
    parser.add_argument("--captures", type=int)
    parser.add_argument("--median-only", action="store_true")
    asked = parser.parse_args()
    site = overridden(simulated(load_site(asked.site)), Overrides(impairments=asked.impairments))
    if asked.captures:
        calibration = msgspec.structs.replace(site.calibration, num_captures=asked.captures)
        site = msgspec.structs.replace(site, calibration=calibration)
    once = visit if asked.fidelity == "pilot" else visit_at_iq
    for share in SHARES:
        with median_only() if asked.median_only else nullcontext():
            visits = [once(site, seed, share) for seed in range(asked.scenes)]
        flagged, count = (
            sum(getattr(v, n) for v in visits) for n in ("num_flagged", "num_entries")
        )
        text = f"there for {share:4.0%}: {flagged:4d} of {count:4d} entries flagged"
        if held := [value for v in visits for value in v.held_db]:
            errors_m = [v.error_m for v in visits]
            text += (
                f"; entries off by {np.median(held):5.1f} dB, at most {max(held):5.1f} dB; "
                f"localized within 0.5 m {sum(error < 0.5 for error in errors_m)} of "
                f"{len(errors_m)}, median error {1e3 * np.median(errors_m):.0f} mm"
            )
        print(text)  # noqa: T201


if __name__ == "__main__":
    main()
