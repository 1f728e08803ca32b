"""Which entries of a dictionary are called stale after a machine was moved, or a forklift parked.

    python -m tests.paper.stale_entries --scenes 10
    python -m tests.paper.stale_entries --scenes 2 --fidelity iq

A hall is learned without target; then one of its scatterers, which reflects as much as a drawn
thing between a screwdriver and a machine, is moved by half a metre, and every entry is checked. How
many are called stale is printed by the matched energy of what has changed:
the energy of the channel's difference over the noise of one entry of a capture's channel.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np
from scipy import stats

from drivers.capture import CaptureSource
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.waveform import OfdmGrid
from processing.alignment import align
from sim_backend.channel import background_channel
from sim_backend.ether import Ether
from sim_backend.scene import Scene
from sim_backend.source import SimulatedSource
from testbed.build import (
    build_burst,
    build_grid,
    build_nodes,
    build_scene,
    simulated,
)
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.dictionary_check import check_entries
from testbed.runs.node_calibration import calibrate_nodes
from testbed.runs.setup import Fidelity, iq_source
from testbed.site import Site, load_site

MOVED_M = 0.5
# What is moved: from a screwdriver to a machine.
RCS_DBSM = (-60.0, 0.0)
FORKLIFT_DBSM = 10.0
NUM_CAPTURES = 3
STALE_FROM_DB, VALID_TO_DB = 20.0, 0.0


@dataclass(frozen=True)
class CheckedEntry:
    """One entry after the change.

    Attributes
    ----------
    changed_db
        Matched energy of the change.
    left_db
        Of what alignment to the entry leaves of it; all of it, at pilot fidelity.
    """

    seed: int
    link: tuple[str, str]
    changed_db: float
    left_db: float
    state: str


def machine_moved(scene: Scene, seed: int) -> tuple[Scene, Scene]:
    """The scene with one scatterer of a drawn RCS, and that half a metre off in any direction."""
    rng = np.random.default_rng([seed, 8])
    which, angle = int(rng.integers(scene.num_dedicated)), rng.uniform(0.0, 2.0 * np.pi)
    rcs_m2, clutter_m = scene.clutter_rcs_m2.copy(), scene.clutter_m.copy()
    rcs_m2[which] = 10.0 ** (rng.uniform(*RCS_DBSM) / 10.0)
    clutter_m[which] += MOVED_M * np.array([np.cos(angle), np.sin(angle)])
    before = replace(scene, clutter_rcs_m2=rcs_m2)
    return before, replace(before, clutter_m=clutter_m)


def forklift_parked(scene: Scene, seed: int) -> tuple[Scene, Scene]:
    """The scene without one of its scatterers, and with a forklift where that was."""
    which = int(np.random.default_rng([seed, 9]).integers(scene.num_dedicated))
    before, after = scene.clutter_rcs_m2.copy(), scene.clutter_rcs_m2.copy()
    before[which], after[which] = 0.0, 10.0 ** (FORKLIFT_DBSM / 10.0)
    return replace(scene, clutter_rcs_m2=before), replace(scene, clutter_rcs_m2=after)


def hardly_changed(scene: Scene, _seed: int) -> tuple[Scene, Scene]:
    """The scene, and the same to one in a million."""
    return scene, replace(scene, clutter_rcs_m2=1.000001 * scene.clutter_rcs_m2)


Change = Callable[[Scene, int], tuple[Scene, Scene]]
CHANGES: dict[str, Change] = {"machine": machine_moved, "forklift": forklift_parked}


def checked_entries(
    site: Site, seed: int, fidelity: Fidelity, change: Change = machine_moved
) -> Iterator[CheckedEntry]:
    """Learn the entries of a scene, change something, check them."""
    nodes, grid = build_nodes(site, seed), build_grid(site)
    scene, after = change(build_scene(site, nodes, seed), seed)
    with TemporaryDirectory() as folder, captured(site, scene, 0, fidelity) as before:
        dictionary = open_dictionary(Path(folder) / "d", before, site.calibration.num_captures)
        backgrounds = LearnedBackgrounds(before, dictionary)
        for tx in nodes:
            others = tuple(rx.node_id for rx in nodes if rx is not tx)
            assert not backgrounds.learn_together(tx.node_id, others)
        with captured(site, after, 1, fidelity) as now:
            calibration = None if fidelity == "pilot" else calibrate_nodes(now)
            checks = check_entries(site, now, dictionary, calibration, NUM_CAPTURES)
    state = {check.link: check.state for check in checks}
    averaged = 1 if fidelity == "pilot" else build_burst(site).num_symbols
    changed_db, left_db = (
        changes_db(scene, after, nodes, grid, averaged, aligned=aligned)
        for aligned in (False, fidelity == "iq")
    )
    for tx, rx in changed_db:
        link = tx.location_id, rx.location_id
        yield CheckedEntry(seed, link, changed_db[tx, rx], left_db[tx, rx], state[link])


def changes_db(
    before: Scene,
    after: Scene,
    nodes: Sequence[Node],
    grid: OfdmGrid,
    averaged: int = 1,
    *,
    aligned: bool = False,
) -> dict[tuple[Node, Node], float]:
    """Matched energy of what has changed on each link, over noise, in decibels.

    Parameters
    ----------
    averaged
        Symbols that a capture is a mean of.
    aligned
        Whether only what alignment leaves of it counts: a thing that stands on the direct path
        changes that path's gain and delay, which are each capture's own.
    """
    changed_db = {}
    for i, tx in enumerate(nodes):
        for j, rx in enumerate(nodes):
            if i != j:
                then, now = (background_channel(scene, grid, i, j) for scene in (before, after))
                if aligned:
                    now, _ = align(now, then, grid, ())
                noise_var = channel_noise_var(tx, rx, grid) / averaged
                energy = np.sum(np.abs(now - then) ** 2) / noise_var
                changed_db[tx, rx] = float(10.0 * np.log10(energy))
    return changed_db


@contextmanager
def captured(site: Site, scene: Scene, session: int, fidelity: Fidelity) -> Iterator[CaptureSource]:
    """Captures of a scene in one session of its radios."""
    if fidelity == "pilot":
        yield SimulatedSource(scene, build_nodes(site, scene.seed), build_grid(site))
        return
    with closing(iq_source(site, Ether(scene, session), "stale entries")) as source:
        yield source


class Called(Protocol):
    """What an entry is called."""

    @property
    def changed_db(self) -> float: ...

    @property
    def state(self) -> str: ...


def share_called(
    entries: Sequence[Called], state: str = "stale"
) -> tuple[int, int, tuple[float, float]]:
    """How many of them are stale, of how many, and the 95 % interval of that share."""
    called = sum(entry.state == state for entry in entries)
    interval = stats.binomtest(called, max(len(entries), 1)).proportion_ci(0.95, method="exact")
    return called, len(entries), (float(interval.low), float(interval.high))


def print_shares(entries: Sequence[Called], state: str = "stale") -> None:
    """Print how many are called so, by what has changed."""
    for low_db, high_db in ((-np.inf, VALID_TO_DB), (0.0, 10.0), (10.0, STALE_FROM_DB),
                            (STALE_FROM_DB, 30.0), (30.0, np.inf)):  # fmt: skip
        called, count, (least, most) = share_called(
            [entry for entry in entries if low_db <= entry.changed_db < high_db], state
        )
        print(  # noqa: T201
            f"changed by {low_db:5.0f} to {high_db:4.0f} dB: {called:4d} of {count:4d} entries "
            f"{state} [{least:.3f}, {most:.3f}]"
        )


def main() -> None:
    """Print how many are stale, by what has changed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, default=Path("examples/lab.yaml"))
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--fidelity", choices=["pilot", "iq"], default="pilot")
    parser.add_argument("--change", choices=list(CHANGES), default="machine")
    asked = parser.parse_args()
    site = simulated(load_site(asked.site))
    entries = [
        entry
        for seed in range(asked.scenes)
        for entry in checked_entries(site, seed, asked.fidelity, CHANGES[asked.change])
    ]
    print_shares(entries)
    if asked.fidelity == "iq":
        print("of that, alignment leaves")  # noqa: T201
        print_shares([replace(entry, changed_db=entry.left_db) for entry in entries])


if __name__ == "__main__":
    main()
