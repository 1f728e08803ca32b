"""Which entries localizations call drifting after something has changed.

    python -m tests.paper.drifting_entries --scenes 10

A hall is learned without target, then a machine is moved or a forklift parked as in
`tests.paper.stale_entries`. Each entry is looked at with targets at places of their own, whose
position is known. Printed is how many entries drift by what has changed, and the statistics.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from calibration.entry_drift import EntryDrift, keep_seen
from fusion.sensing import PositionEstimate, SensingConfig
from sim_backend.scene import Scene
from sim_backend.source import SimulatedSource
from testbed.build import build_grid, build_nodes, build_scene, simulated
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.drift import headers_of, seen_in
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import SensingRecord
from testbed.site import Site, load_site
from tests.paper.stale_entries import CHANGES, Change, changes_db, machine_moved, print_shares


@dataclass(frozen=True)
class DriftingEntry:
    """One entry after the change."""

    changed_db: float
    drift: EntryDrift

    @property
    def state(self) -> str:
        """As called by localizations."""
        return "valid" if self.drift.reason is None else "drifting"


def drifting_entries(
    site: Site, seed: int, num_targets: int, change: Change = machine_moved
) -> Iterator[DriftingEntry]:
    """Learn the entries of a scene, change something, look at targets."""
    nodes, grid = build_nodes(site, seed), build_grid(site)
    scene, after = change(build_scene(site, nodes, seed), seed)
    with TemporaryDirectory() as folder:
        before = SimulatedSource(scene, nodes, grid)
        num_captures = site.calibration.num_captures
        dictionary = open_dictionary(Path(folder) / "d", before, num_captures)
        backgrounds = LearnedBackgrounds(before, dictionary)
        for tx in nodes:
            others = tuple(rx.node_id for rx in nodes if rx is not tx)
            assert not backgrounds.learn_together(tx.node_id, others)
        headers = headers_of(dictionary)
        drifts: dict[tuple[str, str], EntryDrift] = {}
        for number in range(num_targets):
            links, records = looked_at(site, after, number, backgrounds)
            seen = seen_in(records, links.network, headers)
            drifts |= {drift.link: drift for drift in keep_seen(dictionary, seen)}
    for (tx, rx), changed_db in changes_db(scene, after, nodes, grid).items():
        yield DriftingEntry(changed_db, drifts[tx.location_id, rx.location_id])


def looked_at(
    site: Site, scene: Scene, number: int, backgrounds: LearnedBackgrounds
) -> tuple[LocalLinks, list[SensingRecord]]:
    """All entries with a target at a place of its own, which is known."""
    rng = np.random.default_rng([scene.seed, number])
    x_min, y_min, x_max, y_max = site.area_m
    target_m = rng.uniform((x_min, y_min), (x_max, y_max))
    there = replace(scene, target_m=target_m, seed=scene.seed + 1000 * (number + 1))
    nodes = build_nodes(site, scene.seed)
    source = SimulatedSource(there, nodes, build_grid(site))
    links = LocalLinks(site, source, backgrounds, Processors(site))
    estimate = PositionEstimate(target_m, np.eye(2) * 1e-4, 1.0, "converged")
    records = []
    for tx in nodes:
        others = tuple(rx.node_id for rx in nodes if rx is not tx)
        config = SensingConfig(tx.node_id, others)
        sensed = links.sense(config, number)
        records.append(SensingRecord(config, sensed.looks, sensed.problems, estimate, None))
    return links, records


def main() -> None:
    """Print how many drift, by what has changed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, default=Path("examples/lab.yaml"))
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--targets", type=int, default=20)
    parser.add_argument("--change", choices=list(CHANGES), default="machine")
    asked = parser.parse_args()
    site = simulated(load_site(asked.site))
    entries = [
        entry
        for seed in range(asked.scenes)
        for entry in drifting_entries(site, seed, asked.targets, CHANGES[asked.change])
    ]
    print_shares(entries, "drifting")
    for name in ("noise_db", "outside_db"):
        values = [value for e in entries if (value := getattr(e.drift, name)) is not None]
        print(f"{name}: {np.mean(values):.2f} on average, {np.max(values):.2f} at most")  # noqa: T201


if __name__ == "__main__":
    main()
