"""Scenes: what is drawn, from which stream, and how often anew."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from drivers.array import UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node, SurveyUncertainty
from sim_backend.scene import SceneStatistics, draw_scene, draw_uniform_poses, random_stream

AREA_M = (10.0, -20.0, 110.0, 30.0)
STATISTICS = SceneStatistics(AREA_M)
# Two-sided 99.9 % intervals: of the thirty or so below, one in thirty sets would fail by chance.
TAIL = 0.0005


def nodes(count: int, survey: SurveyUncertainty | None = None) -> list[Node]:
    array = UniformLinearArray(4, 0.015)
    poses = draw_uniform_poses(7, AREA_M, count)
    return [
        Node(f"n{n}", f"l{n}", pose, array, survey=survey or SurveyUncertainty())
        for n, pose in enumerate(poses)
    ]


def test_the_hall_does_not_depend_on_which_node_stands_where():
    """Survey errors, and what scatters at a node, belong to its place."""
    ordered = nodes(5, SurveyUncertainty(0.1, 0.05))
    shuffled = [ordered[n] for n in (3, 1, 4, 0, 2)]
    places = [node.location_id for node in ordered]
    scene, same = (draw_scene(8, given, STATISTICS, places) for given in (ordered, shuffled))
    assert draw_scene(8, ordered, STATISTICS).static_hash == scene.static_hash == same.static_hash
    assert draw_scene(8, shuffled, STATISTICS).static_hash != scene.static_hash
    assert {node.location_id: node for node in same.nodes} == {
        node.location_id: node for node in scene.nodes
    }
    for here, there in ((0, 3), (3, 0), (2, 4)):  # node 0 stands at index 3 there, and so on
        np.testing.assert_array_equal(
            scene.clutter_rcs_m2[scene.num_dedicated + here],
            same.clutter_rcs_m2[same.num_dedicated + there],
        )
    moved = replace(same, nodes=(same.nodes[1], same.nodes[0], *same.nodes[2:]))
    assert moved.static_hash != scene.static_hash  # other things scatter at the places


def test_streams_are_reproducible():
    first = random_stream(5, "noise", 1, 2, 3).standard_normal(8)
    np.testing.assert_array_equal(first, random_stream(5, "noise", 1, 2, 3).standard_normal(8))


def test_streams_differ_by_seed_meaning_and_every_index():
    keys: list[tuple] = [
        (5, "noise", 1, 2, 3),
        (6, "noise", 1, 2, 3),
        (5, "background", 1, 2, 3),
        (5, "noise", 2, 1, 3),
        (5, "noise", 1, 2, 4),
        (5, "noise", 1, 2),
        (5, "noise", 1, 2, 0),
        (5, "noise", 0, 1, 2),
        (5, "noise"),
        (5, "noise", 0),
        (5, "rcs"),
    ]
    draws = np.array([random_stream(*key).standard_normal(2000) for key in keys])
    # Correlations of independent streams are normal with deviation 1/sqrt(2000); 55 pairs at
    # 1 % in all: 4.0 deviations.
    correlation = np.corrcoef(draws)[np.triu_indices(len(keys), 1)]
    limit = stats.norm.isf(0.01 / 2 / len(correlation)) / math.sqrt(2000)
    assert np.abs(correlation).max() < limit


def test_scene_is_reproducible_and_inside_the_area():
    surveyed = nodes(5)
    scene, again = draw_scene(3, surveyed, STATISTICS), draw_scene(3, surveyed, STATISTICS)
    np.testing.assert_array_equal(scene.target_m, again.target_m)
    np.testing.assert_array_equal(scene.clutter_m, again.clutter_m)
    np.testing.assert_array_equal(scene.clutter_rcs_m2, again.clutter_rcs_m2)
    assert draw_scene(4, surveyed, STATISTICS).target_m[0] != scene.target_m[0]
    points = np.vstack((scene.clutter_m, scene.target_m))
    assert (points >= AREA_M[:2]).all()
    assert (points <= AREA_M[2:]).all()


def test_draws_do_not_depend_on_each_other():
    # Fewer nodes or scatterers, same seed: the same target; and the same first scatterers.
    few = draw_scene(3, nodes(2), replace(STATISTICS, num_clutter=4))
    many = draw_scene(3, nodes(9), STATISTICS)
    np.testing.assert_array_equal(few.target_m, many.target_m)
    np.testing.assert_array_equal(few.clutter_m[:4], many.clutter_m[:4])


def test_target_position_can_be_fixed():
    scene = draw_scene(3, nodes(2), replace(STATISTICS, target_m=(50.0, 1.0)))
    np.testing.assert_array_equal(scene.target_m, [50.0, 1.0])


def test_clutter_of_a_link_leaves_out_its_two_nodes():
    surveyed = nodes(40)
    scene = draw_scene(3, surveyed, STATISTICS)
    points_m, rcs_m2 = scene.clutter_of_link(11, 4)
    assert points_m.shape == (68, 2)  # 30 dedicated + 40 nodes - the link's own 2
    assert rcs_m2.shape == (68,)
    seen = {tuple(p) for p in points_m}
    positions = [node.pose.position_m for node in surveyed]
    assert {n for n, p in enumerate(positions) if p not in seen} == {4, 11}
    np.testing.assert_array_equal(rcs_m2[:30], scene.clutter_rcs_m2[:30])
    # Clutter is frozen: the reverse link sees the same.
    np.testing.assert_array_equal(scene.clutter_of_link(4, 11)[1], rcs_m2)


def test_nodes_need_not_scatter():
    scene = draw_scene(3, nodes(40), replace(STATISTICS, nodes_are_clutter=False))
    assert len(scene.clutter_of_link(0, 1)[0]) == 30


def test_no_clutter_at_all():
    scene = draw_scene(3, nodes(2), replace(STATISTICS, num_clutter=0))
    assert len(scene.clutter_of_link(0, 1)[0]) == 0


@pytest.mark.parametrize(
    ("rcs_draw", "same_look", "same_link"),
    [("burst_link", False, False), ("link", True, False), ("scene", True, True)],
)
def test_rcs_is_redrawn_as_asked(rcs_draw, same_look, same_link):
    scene = draw_scene(3, nodes(4), replace(STATISTICS, rcs_draw=rcs_draw))
    reference = scene.target_rcs_m2(0, 1, 0)
    assert scene.target_rcs_m2(0, 1, 0) == reference
    assert (scene.target_rcs_m2(0, 1, 1) == reference) is same_look
    assert (scene.target_rcs_m2(1, 0, 0) == reference) is same_link
    assert (scene.target_rcs_m2(2, 3, 0) == reference) is same_link


def test_rcs_is_exponential_with_the_set_mean():
    statistics = replace(STATISTICS, mean_rcs_m2=2.5)
    scene = draw_scene(3, nodes(2), statistics)
    looks = [scene.target_rcs_m2(0, 1, look) for look in range(1000)]
    scenes = [
        draw_scene(seed, nodes(2), replace(statistics, rcs_draw="scene")).target_rcs_m2(0, 1, 0)
        for seed in range(300)
    ]
    clutter = draw_scene(3, nodes(2), replace(statistics, num_clutter=1000)).clutter_rcs_m2
    for draws in (looks, scenes, clutter):
        # The sum of n unit exponentials is gamma distributed with shape n.
        low, high = stats.gamma.ppf([TAIL, 1 - TAIL], len(draws)) / len(draws)
        assert 2.5 * low < np.mean(draws) < 2.5 * high
        assert stats.kstest(np.divide(draws, 2.5), "expon").pvalue > 2 * TAIL


def test_survey_errors_have_their_standard_deviation():
    surveyed = nodes(5, SurveyUncertainty(position_std_m=0.2, boresight_std_rad=0.03))
    errors = np.array(
        [
            (*(true.pose.position - node.pose.position),
             true.pose.boresight_rad - node.pose.boresight_rad)
            for seed in range(100)
            for true, node in zip(draw_scene(seed, surveyed, STATISTICS).nodes, surveyed,
                                  strict=True)
        ]
    )  # fmt: skip
    num_draws = len(errors)
    low, high = np.sqrt(stats.chi2.ppf([TAIL, 1 - TAIL], num_draws) / num_draws)
    for column, std in zip(errors.T, (0.2, 0.2, 0.03), strict=True):
        assert std * low < math.sqrt(np.mean(column**2)) < std * high
    # 500 draws: correlations between the three within 3.3 deviations
    correlation = np.corrcoef(errors.T)[np.triu_indices(3, 1)]
    assert np.abs(correlation).max() < stats.norm.isf(TAIL) / math.sqrt(num_draws)


def test_a_perfect_survey_has_no_error():
    surveyed = nodes(3)
    assert [node.pose for node in draw_scene(3, surveyed, STATISTICS).nodes] == [
        node.pose for node in surveyed
    ]


def test_node_clutter_stands_at_the_true_positions():
    surveyed = nodes(3, SurveyUncertainty(position_std_m=1.0))
    scene = draw_scene(3, surveyed, STATISTICS)
    true_m = np.array([node.pose.position_m for node in scene.nodes])
    np.testing.assert_array_equal(scene.clutter_m[scene.num_dedicated :], true_m)
    assert not np.allclose(true_m, [node.pose.position_m for node in surveyed])


def test_uniform_poses_cover_the_area():
    poses = draw_uniform_poses(7, AREA_M, 2000)
    assert all(isinstance(pose, Pose) for pose in poses)
    columns = np.array([(*pose.position_m, pose.boresight_rad) for pose in poses]).T
    spans = [(10.0, 100.0), (-20.0, 50.0), (0.0, 2 * math.pi)]  # start and width
    for column, (start, width) in zip(columns, spans, strict=True):
        assert stats.kstest(column, "uniform", args=(start, width)).pvalue > 2 * TAIL
