"""What is sensed where nothing is found, and whom P2 chooses: as settings say."""

import math

import numpy as np
import pytest
from scipy import stats

from drivers.array import ElementPattern
from fusion.network import Network
from fusion.planning import best_configuration
from tests.unit.fusion.halls import (
    GRID,
    HALF_PLANE,
    Hall,
    hypothesis_at,
    make_node,
    mixed_nodes,
    random_hall,
    random_nodes,
    report_of,
    true_snr,
)

HALL = random_hall(3, random_nodes(3, 8), rcs_m2=10.0)
IDS = [node.node_id for node in HALL.nodes]
CENTRE_M = np.array([100.0, 100.0])


def silent(config, index):
    """Reports of a sensing that detects nothing."""
    nodes = {node.node_id: node for node in HALL.nodes}
    return [report_of(nodes[config.tx_id], nodes[rx], sensing_index=index) for rx in config.rx_ids]


def searched(count=12, absent=(), seed=0, **settings):
    """Configurations of a run that never detects anything."""
    controller = HALL.controller(seed, max_sensings=count, **settings)
    controller.set_absent(absent)
    configs = []
    while (config := controller.next_config()) is not None:
        controller.update(silent(config, len(configs)))
        configs.append(config)
    return configs


@pytest.mark.parametrize("num_receivers", [1, 3])
@pytest.mark.parametrize("initialization", ["expected_error", "field_of_view", "random"])
def test_after_an_empty_look_chance_decides(initialization, num_receivers):
    settings = {"initialization": initialization, "num_receivers": num_receivers}
    configs = searched(**settings, recovery="random")
    assert len(configs) == 12
    assert len(set(configs)) >= 9  # of 56 or more: one comes twice on average
    assert configs == searched(**settings, recovery="random")
    assert configs[1:] != searched(**settings, recovery="random", seed=1)[1:]
    assert configs[1:] != searched(**settings, recovery="belief")[1:]
    for config in configs:
        assert len({config.tx_id, *config.rx_ids}) == 1 + num_receivers


def test_chance_chooses_all_nodes_alike():
    """How often each of eight sends, against the 99.9 % quantile of chi-square."""
    configs = searched(161, recovery="random", initialization="random")
    sent = [config.tx_id for config in configs]
    counts = np.array([sent.count(node_id) for node_id in IDS])
    assert stats.chisquare(counts).pvalue > 0.001


@pytest.mark.parametrize("recovery", ["random", "belief"])
def test_only_nodes_that_are_present_are_chosen(recovery):
    absent = set(IDS[2:5])
    for config in searched(absent=absent, recovery=recovery, num_receivers=2):
        assert not {config.tx_id, *config.rx_ids} & absent


# Three nodes that see the centre, from unlike sides, and one ten metres from it that does not:
# it faces away. All send in every direction.
SEEING = [
    make_node("west", (40.0, 100.0), 0.0, 8), make_node("south", (100.0, 40.0), math.pi / 2, 8),
    make_node("corner", (50.0, 50.0), math.pi / 4, 8),
]  # fmt: skip
AVERTED = make_node("averted", (100.0, 90.0), -math.pi / 2, 8)


def in_doubt(**settings):
    """A controller after one look at three places of which none is likely."""
    hall = Hall(SEEING, CENTRE_M)
    controller = hall.controller(0, tolerance_m=1e-4, **settings)
    tx, rx, _ = SEEING
    echoes = [
        hypothesis_at(tx, rx, place_m, true_snr(tx, rx, place_m, 1.0))
        for place_m in np.array([(120.0, 150.0), (150.0, 120.0), (130.0, 130.0)])
    ]
    controller.update([report_of(tx, rx, *echoes)])
    assert 0.2 < controller.belief.best[1] < 0.5
    return controller


def test_in_doubt_belief_searches_on_and_otherwise_p2_takes_the_best():
    controller = in_doubt(recovery="random", selection="point")
    mode, _ = controller.belief.best
    network, point_m = Network(SEEING, GRID), mode.position_m[None]
    information = network.information(point_m, network.snr(point_m, np.array([mode.rcs_m2])))[0]
    (xx, xy), (_, yy) = np.linalg.inv(mode.covariance_m2)
    best = best_configuration(network, information, np.array([xx, xy, yy]), 1).config
    assert controller.next_config() == best
    for selection in ("point", "blind", "visible"):  # P2 is not asked
        found = in_doubt(recovery="belief", selection=selection).next_config()
        assert found == in_doubt(recovery="belief").next_config() != best


def config_once_found(absent=(), **settings):
    """What is sensed, without some, after the target was found by those that see it."""
    hall = Hall([*SEEING, AVERTED], CENTRE_M, 1, rcs_m2=30.0, fading=False)
    controller = hall.controller(0, tolerance_m=1e-4, **settings)
    controller.set_absent(["averted"])
    controller.update(hall.sense(controller.next_config(), 0))
    controller.set_absent(absent)
    assert hall.error_m(controller.estimate) < 1.0
    return controller.next_config()


@pytest.mark.parametrize("recovery", ["belief", "random"])
@pytest.mark.parametrize("fusion", ["accumulate", "latest"])
def test_only_blind_selection_chooses_who_faces_away(fusion, recovery):
    chosen = {
        selection: config_once_found(selection=selection, fusion=fusion, recovery=recovery)
        for selection in ("visible", "point", "blind")
    }
    assert chosen["blind"].rx_ids == ("averted",)
    for sighted in ("visible", "point"):
        assert chosen[sighted].tx_id == "averted"  # nearest
        assert chosen[sighted].rx_ids != ("averted",)


def test_blind_selection_chooses_of_those_that_are_present():
    config = config_once_found(absent=["averted"], selection="blind")
    assert "averted" not in {config.tx_id, *config.rx_ids}


def test_blind_selection_keeps_the_initialization_and_the_search():
    """Which know fields of view in the paper as well."""
    for recovery in ("belief", "random"):
        configs = searched(8, recovery=recovery)
        assert configs == searched(8, recovery=recovery, selection="blind")


POINTS_M = np.array([[100.0, 100.0], [30.0, 150.0], [120.0, 20.0]])


def test_without_fields_of_view_all_see_as_ahead():
    nodes = random_nodes(5, 6)
    network = Network(nodes, GRID)
    blind = network.without_fields_of_view()
    ahead = [make_node(n.node_id, n.pose.position_m, n.pose.boresight_rad, 4,
                       ElementPattern("omnidirectional")) for n in nodes]  # fmt: skip
    snr, everywhere = network.snr(POINTS_M, np.ones(3)), blind.snr(POINTS_M, np.ones(3))
    assert (snr == 0.0).sum() > 3 * 6  # more than the diagonal
    np.testing.assert_allclose(everywhere, Network(ahead, GRID).snr(POINTS_M, np.ones(3)))
    assert ((everywhere > 0.0) == ~np.eye(6, dtype=bool)).all()
    np.testing.assert_allclose(everywhere[snr > 0.0], snr[snr > 0.0])
    assert blind.in_view(POINTS_M).all()
    # The network itself, and what was restricted before, stay as they are.
    assert not network.in_view(POINTS_M).all()


def test_parts_are_blind_as_well():
    network = Network(random_nodes(5, 6), GRID)
    some = ["n00", "n03", "n04"]
    before = network.only(some).snr(POINTS_M, np.ones(3))
    blind = network.without_fields_of_view()
    part = blind.only(some)
    kept = np.ix_(range(3), (0, 3, 4), (0, 3, 4))
    np.testing.assert_array_equal(
        part.snr(POINTS_M, np.ones(3)), blind.snr(POINTS_M, np.ones(3))[kept]
    )
    assert (part.snr(POINTS_M, np.ones(3)) != before).any()
    np.testing.assert_array_equal(network.only(some).snr(POINTS_M, np.ones(3)), before)


def test_gains_ahead_are_kept_in_every_direction():
    patterns = (
        HALF_PLANE, ElementPattern("3gpp_38901", gain_dbi=1.5), ElementPattern(gain_dbi=5.0),
        ElementPattern("omnidirectional", gain_dbi=-2.0),
    )  # fmt: skip
    angles_rad = np.linspace(-math.pi, math.pi, 41)
    for pattern in patterns:
        everywhere = pattern.seeing_everywhere()
        np.testing.assert_allclose(everywhere.power_gain(angles_rad), pattern.power_gain(0.0))
        assert everywhere.in_view(angles_rad).all()


@pytest.mark.parametrize("aligned", [False, True])
def test_symbols_of_a_burst_add_to_the_snr_and_parts_keep_that(aligned):
    nodes = mixed_nodes(2, 6)
    some = [nodes[n].node_id for n in (1, 2, 5)]
    one, four = (Network(nodes, GRID, aligned=aligned, num_symbols=n) for n in (1, 4))
    rcs_m2 = np.array([1.0, 0.3, 2.0])
    for single, several in ((one, four), (one.only(some), four.only(some))):
        np.testing.assert_allclose(
            several.snr(POINTS_M, rcs_m2), 4.0 * single.snr(POINTS_M, rcs_m2), rtol=1e-12
        )
        tx, rx = single.nodes[:2]
        np.testing.assert_allclose(
            several.link_snr(tx, rx, POINTS_M), 4.0 * single.link_snr(tx, rx, POINTS_M)
        )
        assert several.num_symbols == 4
    part_of_part = four.only([*some, nodes[0].node_id]).only(some)
    np.testing.assert_array_equal(
        part_of_part.snr(POINTS_M, rcs_m2), four.only(some).snr(POINTS_M, rcs_m2)
    )
    assert four.without_fields_of_view().num_symbols == 4
