"""A localization that goes on after its coordinator died gives what it had given otherwise."""

from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from fusion.sensing import SensingConfig
from testbed.bus.job_messages import RecordFields, SensingTimes
from testbed.runs.backgrounds import perfect_background
from testbed.runs.links import LocalLinks, Processors, Sensed
from testbed.runs.localize import Localization
from testbed.runs.setup import simulate
from testbed.services.conversion import record_fields
from testbed.services.journal import Journal, JournaledLinks, JournalError
from testbed.site import Site
from tests.unit.testbed.sites import as_site, changed, lab

SEED = 3
NUM_SENSINGS = 6
# So that they do not end before.
FINE = {"sensing.tolerance_m": 1e-3, "sensing.max_sensings": NUM_SENSINGS}


@pytest.fixture(scope="module")
def site() -> Site:
    return as_site(changed(lab(), {"waveform.num_subcarriers": 128, **FINE}))


@pytest.fixture(scope="module")
def processors(site) -> Processors:
    return Processors(site)


class Kept:
    """Runs of a site that share a journal; each is a coordinator of its own."""

    def __init__(self, site: Site, processors: Processors, path: Path) -> None:
        self.site = site
        self._processors = processors
        self._path = path
        self.sensed: list[int] = []  # by all runs
        self.gone: set[str] = set()  # nodes, whoever asks

    def run(self, links: type[LocalLinks] = LocalLinks, site: Site | None = None):
        """Records of a run, as they come."""
        simulation = simulate(self.site, SEED)
        behind = links(
            self.site, simulation.source, perfect_background(simulation.source), self._processors
        )
        behind.sensed, behind.gone = self.sensed, self.gone
        with closing(Journal(self._path)) as journal:
            run = Localization(
                site or self.site, JournaledLinks(behind, journal), simulation.planning_rng(),
                simulation.target_m,
            )  # fmt: skip
            for index, record in enumerate(run.run()):
                yield record_fields(record, index, SensingTimes())


class Noted(LocalLinks):
    """Links that note when they are sensed with."""

    def sense(self, config: SensingConfig, index: int) -> Sensed:
        self.sensed.append(index)
        return super().sense(config, index)


class Failing(Noted):
    """Links of which some nodes go away in the middle of a sensing, and come back later."""

    def absent(self, index: int) -> Collection[str]:
        return sorted(self.gone) if index in (2, 3) else ()

    def sense(self, config: SensingConfig, index: int) -> Sensed:
        if index == 2 and not self.gone:
            self.gone |= {config.tx_id, config.rx_ids[0]}
            return Sensed((), dict.fromkeys(config.rx_ids, "its agent is gone"), unheard=True)
        return super().sense(config, index)


def whole(records: Iterator[RecordFields]) -> list[bytes]:
    """All records, bit by bit."""
    return [msgspec.msgpack.encode(record) for record in records]


def test_a_run_that_ended_is_given_again_without_a_sensing(site, processors, tmp_path):
    kept = Kept(site, processors, tmp_path / "journal")
    first = whole(kept.run(Noted))
    assert kept.sensed == list(range(NUM_SENSINGS))
    assert whole(kept.run(Noted)) == first
    assert kept.sensed == list(range(NUM_SENSINGS))


@pytest.mark.parametrize("links", [Noted, Failing])
def test_wherever_a_run_stops_the_next_one_goes_on_and_ends_alike(
    site, processors, tmp_path, links
):
    undisturbed = whole(Kept(site, processors, tmp_path / "undisturbed").run(links))
    assert len(undisturbed) == NUM_SENSINGS
    for stop in range(NUM_SENSINGS):
        kept = Kept(site, processors, tmp_path / f"stopped-{stop}")
        run = kept.run(links)
        begun = [msgspec.msgpack.encode(next(run)) for _ in range(stop)]
        run.close()
        assert begun == undisturbed[:stop]
        assert whole(kept.run(links)) == undisturbed
        assert kept.sensed == list(range(NUM_SENSINGS))  # none lost, none twice


def test_a_run_with_nodes_that_left_says_so_and_is_another_one(site, processors, tmp_path):
    records = [
        msgspec.msgpack.decode(record, type=RecordFields)
        for record in whole(Kept(site, processors, tmp_path / "journal").run(Failing))
    ]
    absent = [set(record.sensed.absent) for record in records]
    (gone,) = {frozenset(names) for names in absent if names}
    assert [bool(names) for names in absent] == [False, False, True, True, False, False]
    for record in records[2:4]:
        assert gone.isdisjoint((record.sensed.config.tx_id, *record.sensed.config.rx_ids))
    assert any(
        not gone.isdisjoint((r.sensed.config.tx_id, *r.sensed.config.rx_ids)) for r in records
    )


def test_a_journal_of_another_plan_is_refused(site, processors, tmp_path):
    kept = Kept(site, processors, tmp_path / "journal")
    run = kept.run(Noted)
    for _ in range(2):
        next(run)
    run.close()
    other = as_site(
        changed(lab(), {"waveform.num_subcarriers": 128, "sensing.num_receivers": 3, **FINE})
    )
    with pytest.raises(JournalError, match=r"sensing 1 was .* now another one is planned"):
        list(kept.run(Noted, other))
