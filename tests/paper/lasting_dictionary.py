"""What a dictionary is worth later: as it was learned, restarted, nodes swapped, a node replaced.

    python -m tests.paper.lasting_dictionary --scenes 10

Radios of the preset lab. A dictionary is learned; then radios are switched on anew (other phases,
other times), and either all is as it was, or two nodes have swapped places, or another node is in
the place of one. Each is compared with a dictionary that is learned then ("unchanged"): the floor
of target-free captures over thermal noise and their false alarms as in `tests.paper.coherence`, on
links that the change concerns, and the error of localizations.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from calibration.direct_path import usable_direct_path
from drivers.capture import CaptureSource
from drivers.geometry import FloatArray
from sim_backend.ether import Ether
from testbed.build import build_nodes, build_scene
from testbed.radios import simulated_identities
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization
from testbed.runs.node_calibration import node_calibration_of
from testbed.runs.setup import Setup, iq_origin, iq_source, planning_rng, simulate
from testbed.site import Site
from tests.paper.coherence import LAB, NUM_BOOTSTRAPS, Bench, LinkFigures, rate, site_with

NEW_UNIT = 100
TOLERANCE_M = 0.25


@dataclass(frozen=True)
class Case:
    """One way to use a dictionary later.

    Attributes
    ----------
    name
        For people.
    site
        As it is then.
    concerned
        Nodes whose links are looked at.
    """

    name: str
    site: Site
    concerned: frozenset[str]


@dataclass(frozen=True)
class Figures:
    """What one dictionary is worth in one scene."""

    links: list[LinkFigures]
    errors_m: list[float]
    num_unusable: int


def cases(site: Site) -> list[Case]:
    """The site as it is, and as it is after each change; nodes that the change concerns."""
    everyone = frozenset(node.node_id for node in site.nodes)
    first, other = site.nodes[0], site.nodes[len(site.nodes) // 2]
    return [
        Case("restarted", site, everyone),
        Case("swapped", swapped(site), frozenset((first.node_id, other.node_id))),
        Case("replaced", replaced(site), frozenset((first.node_id,))),
    ]


def swapped(site: Site) -> Site:
    """The first node and one half around the hall where the other stood, turned alike."""
    raw = msgspec.to_builtins(site)
    one, other = raw["nodes"][0], raw["nodes"][len(site.nodes) // 2]
    for name in ("location_id", "boresight_deg"):
        one[name], other[name] = other[name], one[name]
    return msgspec.convert(raw, Site)


def replaced(site: Site) -> Site:
    """The first node with other hardware."""
    raw = msgspec.to_builtins(site)
    raw["nodes"][0]["radio"] = {"kind": "sim", "options": {"unit": NEW_UNIT}}
    return msgspec.convert(raw, Site)


def figures(site: Site, seed: int, num_runs: int) -> Iterator[tuple[str, bool, Figures]]:
    """Case, whether the dictionary was learned before, and what it was worth; of one scene."""
    with TemporaryDirectory() as folder, ExitStack() as opened:
        before = _learned(opened_session(site, seed, 0, opened), site, Path(folder) / "before")
        for case in cases(site):
            now = opened_session(case.site, seed, 1, opened)
            fresh = _learned(now, case.site, Path(folder) / case.name)
            yield case.name, False, _measured(case, now, fresh, num_runs)
            yield case.name, True, _measured(case, now, before, num_runs)


def opened_session(site: Site, seed: int, session: int, opened: ExitStack) -> Setup:
    """The radios of a scene in one session."""
    pilots = simulate(site, seed)
    nodes = build_nodes(site, seed)
    scene = build_scene(site, nodes, seed)
    source = iq_source(site, Ether(scene, session), iq_origin(site, pilots))
    opened.enter_context(closing(source))
    return Setup(
        source, seed, scene.target_m, pilots.pilots, has_radios=True,
        radios=simulated_identities(site, nodes, seed),
    )  # fmt: skip


def _learned(setup: Setup, site: Site, root: Path) -> Path:
    dictionary = open_dictionary(root, setup.source, site.calibration.num_captures)
    backgrounds = LearnedBackgrounds(setup.source, dictionary, radios=setup.radios)
    for tx in setup.source.nodes:
        others = [rx.node_id for rx in setup.source.nodes if rx is not tx]
        assert not backgrounds.learn_together(tx.node_id, others)
    return root


def _measured(case: Case, setup: Setup, root: Path, num_runs: int) -> Figures:
    source = setup.source
    dictionary = open_dictionary(root, source, case.site.calibration.num_captures)
    errors_m: list[float] = []
    for _ in range(num_runs):
        calibration = node_calibration_of(setup, dictionary)
        backgrounds = LearnedBackgrounds(
            source, dictionary, calibration=calibration, radios=setup.radios, can_learn=False
        )
        links = LocalLinks(case.site, source, backgrounds, Processors(case.site), calibration)
        run = Localization(case.site, links, planning_rng(setup.seed), setup.target_m)
        errors_m += [record.error_m or 0.0 for record in run.run()][-1:]
    found = list(_links(case, source, backgrounds, setup.seed))
    return Figures(found, errors_m, len(backgrounds.unusable))


def _links(
    case: Case, source: CaptureSource, backgrounds: LearnedBackgrounds, seed: int
) -> Iterator[LinkFigures]:
    bench = Bench(case.site, source, seed)
    for i, tx in enumerate(source.nodes):
        for j, rx in enumerate(source.nodes):
            link = tx.node_id, rx.node_id
            if i == j or not case.concerned & set(link) or not usable_direct_path(tx, rx):
                continue
            yield from bench.link(i, j, backgrounds(*link))


def main() -> None:
    """Print what the module says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, default=LAB)
    parser.add_argument("--impairments", default="lab")
    parser.add_argument("--scenes", type=int, default=10)
    parser.add_argument("--runs", type=int, default=4, help="localizations of each scene")
    given = parser.parse_args()
    site = site_with(given.site, given.impairments, None)
    found: dict[tuple[str, bool], list[Figures]] = {}
    with threadpool_limits(limits=1):
        for seed in range(given.scenes):
            for name, before, measured in figures(site, seed, given.runs):
                found.setdefault((name, before), []).append(measured)
    for (name, before), measured in found.items():
        print(f"{name}, learned {'before' if before else 'then'}: {_text(measured)}")  # noqa: T201
    for name in dict.fromkeys(name for name, _ in found):
        now_m, before_m = (_errors_m(found[name, before]) for before in (False, True))
        print(  # noqa: T201
            f"{name}: median error {np.median(before_m) / np.median(now_m):.2f} of that with a "
            f"fresh dictionary {_interval(before_m, now_m)}"
        )


def _errors_m(found: Sequence[Figures]) -> FloatArray:
    return np.array([each.errors_m for each in found])


def _interval(before_m: FloatArray, now_m: FloatArray) -> str:
    """95 % interval of the ratio of medians, by bootstrap over scenes."""
    drawn = np.random.default_rng(0).integers(len(now_m), size=(NUM_BOOTSTRAPS, len(now_m)))
    ratios = [np.median(before_m[rows]) / np.median(now_m[rows]) for rows in drawn]
    return "[{:.2f}, {:.2f}]".format(*np.percentile(ratios, [2.5, 97.5]))


def _text(found: Sequence[Figures]) -> str:
    links = [link for each in found for link in each.links]
    floor_db = [link.floor_db for link in links]
    alarms, low, high = rate(links, 0)
    own, own_low, own_high = rate(links, 1)
    errors_m = _errors_m(found)
    return (
        f"floor over k T F df {np.median(floor_db):.2f} dB, 90 % {np.percentile(floor_db, 90):.2f} "
        f"dB; false alarms over the set rate {alarms:.2f} [{low:.2f}, {high:.2f}], in the "
        f"background's own cells {own:.2f} [{own_low:.2f}, {own_high:.2f}]; error "
        f"{1e3 * np.median(errors_m):.1f} mm in the median, over 0.25 m in "
        f"{np.sum(errors_m > TOLERANCE_M)} of {errors_m.size}; "
        f"{sum(each.num_unusable for each in found)} links unusable"
    )


if __name__ == "__main__":
    main()
