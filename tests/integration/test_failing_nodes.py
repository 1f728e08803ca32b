"""Nodes whose captures keep failing are left alone for a while; the run goes on with the others."""

from collections.abc import Callable

import pytest

from drivers.capture import Capture, missing_capture
from fusion.candidates import FAILURES_IN_A_ROW, SENSINGS_OUT
from sim_backend.ether import Ether
from sim_backend.impairments import PRESETS
from sim_backend.radio import SimRadio
from testbed.build import build_burst, build_scene
from testbed.radio_source import RadioSource
from testbed.runs.backgrounds import perfect_background
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization, SensingRecord
from testbed.runs.setup import Simulation, simulate
from testbed.site import Site
from tests.unit.testbed.sites import as_site, changed, lab, tiny


class Interrupted:
    """A capture source of which some nodes neither send nor hear at some sensings."""

    def __init__(self, source, broken: Callable[[int], set[str]]) -> None:
        self._source = source
        self._broken = broken
        self.nodes, self.grid, self.origin = source.nodes, source.grid, source.origin

    def sense(self, tx_id, rx_ids, sensing_index) -> tuple[Capture, ...]:
        broken = self._broken(sensing_index)
        return tuple(
            missing_capture(tx_id, capture.rx_id, self.grid, "the device is gone")
            if broken & {tx_id, capture.rx_id}
            else capture
            for capture in self._source.sense(tx_id, rx_ids, sensing_index)
        )

    def sense_background(self, tx_id, rx_ids, capture_index, *, brief=False):
        return self._source.sense_background(tx_id, rx_ids, capture_index, brief=brief)


def run_over(site: Site, simulation: Simulation, source) -> Localization:
    """A run over a source of the simulation's captures, with perfect backgrounds."""
    links = LocalLinks(site, source, perfect_background(simulation.source), Processors(site))
    return Localization(site, links, simulation.planning_rng(), simulation.target_m)


def localized(site: Site, seed: int, broken: Callable[[int], set[str]]) -> list[SensingRecord]:
    simulation = simulate(site, seed)
    return list(run_over(site, simulation, Interrupted(simulation.source, broken)).run())


def with_node(records: list[SensingRecord], node_id: str) -> list[int]:
    """Sensings that a node took part in."""
    return [
        index for index, record in enumerate(records)
        if node_id in (record.config.tx_id, *record.config.rx_ids)
    ]  # fmt: skip


def never(_: int) -> set[str]:
    return set()


@pytest.mark.parametrize("num_receivers", [1, 2, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_target_is_found_without_the_node_that_always_fails(seed, num_receivers):
    site = as_site(
        changed(lab(), {"sensing.num_receivers": num_receivers, "sensing.max_sensings": 20})
    )
    broken = localized(site, seed, never)[-1].config.tx_id  # one that is wanted
    records = localized(site, seed, lambda _: {broken})
    assert records[-1].estimate.status == "converged"
    assert records[-1].error_m < 0.5
    used = with_node(records, broken)
    assert used
    for index in used[FAILURES_IN_A_ROW - 1 :]:
        assert not {*range(index + 1, index + 1 + SENSINGS_OUT)} & set(used)


def test_a_node_that_heals_takes_part_again():
    """Without a tolerance, so that it senses on, and wants the node whenever it may have it."""
    site = as_site(changed(lab(), {"sensing.max_sensings": 24, "sensing.tolerance_m": 1e-6}))
    broken = localized(site, 0, never)[-1].config.tx_id
    records = localized(site, 0, lambda index: {broken} if index < 10 else set())
    used = with_node(records, broken)
    assert len([index for index in used if index < 10]) <= FAILURES_IN_A_ROW + 1
    back = [index for index in used if index >= 10]
    assert back
    assert back[0] < 10 + SENSINGS_OUT + 1
    assert all(not records[index].problems for index in back)


def test_with_two_nodes_of_which_one_fails_the_budget_is_spent_without_an_estimate():
    raw = changed(lab(), {"sensing.num_receivers": 1, "sensing.max_sensings": 12})
    del raw["nodes"][2:]
    records = localized(as_site(raw), 0, lambda _: {"a"})
    assert len(records) == 12
    assert all(record.problems and not record.looks for record in records)
    assert records[-1].estimate.status == "unresolved"
    assert records[-1].estimate.probability == 0.0


def test_a_radio_that_is_gone_is_left_alone():
    site = as_site(changed(tiny(), {"sensing.num_receivers": 1, "sensing.max_sensings": 9}))
    simulation = simulate(site, 3)
    ether = Ether(build_scene(site, simulation.source.nodes, 3))
    nodes = simulation.source.nodes
    radios = {node.node_id: SimRadio(ether, n, PRESETS["ideal"]) for n, node in enumerate(nodes)}
    source = RadioSource(
        nodes, radios, build_burst(site), "a test", world=ether, wait_s=ether.advance
    )
    run = run_over(site, simulation, source)
    config = run.controller.next_config()
    gone = config.tx_id
    radios[gone].faults.inject("lost")
    records = list(run.run())
    assert with_node(records, gone)[:3] == [0, 1, 2]
    assert not set(with_node(records, gone)) & {3, 4, 5, 6, 7}
    assert any(record.looks for record in records[3:8])
