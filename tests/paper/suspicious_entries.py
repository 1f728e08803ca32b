"""What a dictionary's report calls suspicious: of healthy campaigns, and of planted faults.

    python -m tests.paper.suspicious_entries --halls 6
    python -m tests.paper.suspicious_entries --halls 1 --picture docs/images/coverage.png

The lab's six nodes with radios of preset `lab` at IQ fidelity, a hall a campaign. Then entries that
have a direct path are spoiled, one with each fault: an element without signal, all of it 14 dB
weaker, 100 ns late, with the noise of something that moves. And a campaign is run with a site file
that has one node half a metre from where it stands.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import Entry, EntryHeader
from calibration.entry_checks import EntryCheck, EntryChecks
from drivers.geometry import ComplexArray
from testbed.figures.coverage import coverage_figure
from testbed.report.facts import Link
from testbed.report.paths import grid_of
from testbed.report.report import Report, report_of
from testbed.report.suspicions import has_direct_path
from testbed.runs.calibrate import calibrate
from testbed.runs.setup import opened_setup
from testbed.site import Site
from tests.paper.coherence import LAB, site_with
from tests.unit.testbed.report.halls import Surveyed

NUM_ELEMENTS = 4
LATE_S, WEAKER_DB, NOISIER_DB, MOVED_M = 100e-9, 14.0, 6.0, 0.5
# What each fault must be called.
FAULTS = ("element", "weak path", "reciprocity", "noise")


@dataclass(frozen=True)
class Judged:
    """What was said of one hall: healthy, with faults, and with a wrong location.

    Attributes
    ----------
    healthy
        Suspicious links of a healthy campaign, of how many entries.
    noise_std_db
        Robust spread of healthy entries' noise about what is expected.
    named
        Faults that were called what they are.
    others
        Links that became suspicious without a fault.
    moved
        Links of the node whose location is wrong that are suspicious, and of others.
    """

    healthy: tuple[int, int]
    noise_std_db: float
    named: frozenset[str]
    others: int
    moved: tuple[int, int]


def tuned_once() -> Site:
    """The lab, whose nodes' times hold throughout a campaign."""
    raw = msgspec.to_builtins(site_with(LAB, "lab", NUM_ELEMENTS))
    raw["calibration"]["fresh_tuning"] = False
    return msgspec.convert(raw, Site)


def judged(site: Site, seed: int, folder: Path) -> Judged:
    """Run a hall's campaigns into a folder, and plant faults."""
    root = folder / f"hall-{seed}"
    _campaign(site, seed, root)
    healthy = report_of(root)
    links = dict(zip(FAULTS, _chosen(healthy, seed), strict=True))
    plant(root, links)
    spoiled = report_of(root)
    kinds = {(found.link, found.kind) for found in spoiled.suspicions}
    named = {
        kind for kind, link in links.items() if {(link, kind), (link[::-1], kind)} & kinds
    }  # there and back are said once
    spoiled_pairs = {frozenset(link) for link in links.values()}
    known = {frozenset(link) for link in healthy.suspicious_links} | spoiled_pairs
    others = sum(frozenset(link) not in known for link in spoiled.suspicious_links)
    wrong = folder / f"wrong-{seed}"
    moved_id = site.nodes[seed % len(site.nodes)]
    _campaign(site, seed, wrong, {moved_id.node_id: (0.0, MOVED_M)})
    mine = [moved_id.location_id in link for link in report_of(wrong).suspicious_links]
    return Judged(
        (len(healthy.suspicious_links), len(healthy.facts.entries)), healthy.noise.std_db,
        frozenset(named), others,
        (sum(mine), len(mine) - sum(mine)),
    )  # fmt: skip


def _campaign(
    site: Site, seed: int, root: Path, moved_m: dict[str, tuple[float, float]] | None = None
) -> None:
    with opened_setup(site, seed, "iq") as setup:
        calibrate(site, replace(setup, source=Surveyed(setup.source, moved_m or {})), root)


def _chosen(report: Report, seed: int) -> Iterator[Link]:
    """Links to spoil: of pairs that have a direct path both ways, each pair once."""
    entries = report.facts.entries
    pairs = [
        (tx, rx)
        for tx, rx in sorted(entries)
        if tx < rx and has_direct_path(entries[tx, rx]) and has_direct_path(entries[rx, tx])
    ]
    # Of a weak path, links at wider angles must be there to compare it with.
    by_angle = sorted(pairs, key=lambda link: _angle_rad(report, link))
    drawn = np.random.default_rng(seed).permutation(len(pairs) - 1)[: len(FAULTS) - 1]
    first, *others = by_angle[0], *(by_angle[1 + n] for n in drawn)
    return iter((others[0], first, *others[1:]))


def _angle_rad(report: Report, link: Link) -> float:
    path = report.facts.entries[link].path
    return np.inf if path is None else abs(path.rx_angle_rad) + abs(path.tx_angle_rad)


def plant(root: Path, links: dict[str, Link]) -> None:
    """Spoil an entry with each fault."""
    dictionary = BackgroundDictionary.existing(root)
    for kind, link in links.items():
        entry = dictionary.get(*link)
        header = entry.header
        dictionary.put(
            *link, _spoiled(entry, kind), header.config_epoch,
            delay_is_absolute=header.delay_is_absolute, delay_var_s2=header.delay_var_s2,
            geometry=header.geometry,
            learned_with=_noisier(header) if kind == "noise" else header.learned_with,
        )  # fmt: skip


def _spoiled(entry: Entry, kind: str) -> ComplexArray:
    channel = entry.channel.copy()
    grid = grid_of(entry.header)
    assert grid is not None
    if kind == "element":
        channel[:, -1] *= 0.03
    elif kind == "weak path":
        channel *= np.float32(10.0 ** (-WEAKER_DB / 20.0))
    elif kind == "reciprocity":
        channel *= np.exp(-2j * np.pi * grid.offset_hz * LATE_S)[:, None].astype(np.complex64)
    return channel


def _noisier(header: EntryHeader):
    ends = header.learned_with
    return msgspec.structs.replace(ends, noise_var=ends.noise_var * 10.0 ** (NOISIER_DB / 10.0))


def picture(root: Path, path: Path) -> None:
    """Draw the coverage of a spoiled hall, some of its entries missing, stale or drifting."""
    dictionary = BackgroundDictionary.existing(root)
    links = sorted(report_of(root).facts.entries)
    states = {links[3]: "stale", links[11]: "drifting", links[17]: "drifting"}
    EntryChecks(dictionary).put(
        EntryCheck(
            *link,
            dictionary.get(*link).header.content_hash,
            state,
            3,
            2,
            20.0,
            10.0,
            0.0,
            None,
            "2026-11-29",
        )
        for link, state in states.items()
    )
    header = next(dictionary.header_paths())
    header.unlink()
    coverage_figure(report_of(root)).savefig(path, dpi=90)


def main() -> None:
    """Print what is called suspicious."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--halls", type=int, default=6)
    parser.add_argument("--picture", type=Path, help="where to draw the last hall's coverage")
    asked = parser.parse_args()
    site = tuned_once()
    with TemporaryDirectory() as folder, threadpool_limits(limits=1):
        halls = [judged(site, seed, Path(folder)) for seed in range(asked.halls)]
        if asked.picture is not None:
            picture(Path(folder) / f"hall-{asked.halls - 1}", asked.picture)
    named = Counter(kind for hall in halls for kind in hall.named)
    suspicious, entries = (sum(hall.healthy[n] for hall in halls) for n in (0, 1))
    mine, others = (sum(hall.moved[n] for hall in halls) for n in (0, 1))
    found = sum(hall.moved[0] > 0 for hall in halls)
    spread_db = np.mean([hall.noise_std_db for hall in halls])
    for line in (
        f"healthy: {suspicious} of {entries} entries suspicious",
        f"noise over expected: {spread_db:.2f} dB (robust standard deviation)",
        *(f"{kind}: {named[kind]} of {len(halls)} named" for kind in FAULTS),
        f"beside the faults: {sum(hall.others for hall in halls)} links",
        f"wrong location: {found} of {len(halls)} named, by {mine} links; {others} of other nodes",
    ):
        print(line)  # noqa: T201


if __name__ == "__main__":
    main()
