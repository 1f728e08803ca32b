"""The belief: found, misled, and led back."""

import math

import numpy as np
import pytest

from fusion.belief import Belief
from fusion.network import Network
from tests.unit.fusion.halls import (
    AREA_M,
    GRID,
    HALF_PLANE,
    OMNIDIRECTIONAL,
    Hall,
    hypothesis_at,
    make_node,
    mixed_nodes,
    random_hall,
    random_nodes,
    report_of,
    run,
    true_range_m,
)

TARGET_M = np.array([95.0, 110.0])


def facing(
    name: str, x_m: float, y_m: float, off_rad: float = 0.3, num_elements: int = 8, **fields
):
    """A node whose boresight is `off_rad` off the direction of the target."""
    boresight = math.atan2(TARGET_M[1] - y_m, TARGET_M[0] - x_m) + off_rad
    return make_node(name, (x_m, y_m), boresight, num_elements, **fields)


def hall_nodes(num_elements: int = 8, **fields):
    corners = {"a": (60.0, 30.0), "b": (20.0, 120.0), "c": (150.0, 60.0), "d": (120.0, 180.0)}
    return {
        name: facing(name, *corner, num_elements=num_elements, **fields)
        for name, corner in corners.items()
    }


def belief_of(nodes, **fields) -> Belief:
    return Belief(Network(list(nodes.values()), GRID), AREA_M, 1.0, **fields)


def seen(nodes, tx: str, rx: str, *points_m, snr: float = 300.0, index: int = 0, **fields):
    """Report of echoes at points, without errors."""
    hypotheses = [hypothesis_at(nodes[tx], nodes[rx], np.array(p), snr) for p in points_m]
    return report_of(nodes[tx], nodes[rx], *hypotheses, sensing_index=index, **fields)


def near(mode, point_m) -> bool:
    """Whether a point is within five deviations of a mode."""
    offset = np.asarray(point_m) - mode.position_m
    return bool(offset @ np.linalg.solve(mode.covariance_m2, offset) < 25.0)


def best(belief: Belief):
    assert belief.best is not None
    return belief.best


@pytest.mark.parametrize("bearing", ["sine", "angle"])
@pytest.mark.parametrize("link", ["ab", "cd", "db"])
def test_one_detection_puts_the_mode_at_the_truth(link, bearing):
    nodes = hall_nodes()
    belief = belief_of(nodes, bearing=bearing)
    belief.update([seen(nodes, *link, TARGET_M)])
    mode, probability = best(belief)
    deviation_m = math.sqrt(np.trace(mode.covariance_m2))
    assert math.dist(mode.position_m, TARGET_M) < 0.5 * deviation_m
    assert deviation_m < 5.0
    assert probability > 0.9  # a ghost has one per cent of a map, a miss and noise are as rare
    assert mode.choice == (0,)
    estimate = belief.summary()
    np.testing.assert_array_equal(estimate.position_m, mode.position_m)
    assert (estimate.probability, estimate.status) == (probability, "searching")


def test_more_looks_narrow_the_mode():
    nodes = hall_nodes()
    belief = belief_of(nodes)
    spreads = []
    for index, link in enumerate(("ab", "ac", "ad", "cb")):
        belief.update([seen(nodes, *link, TARGET_M, index=index)])
        mode, _ = best(belief)
        spreads.append(np.trace(mode.covariance_m2))
        assert near(mode, TARGET_M)
    assert spreads == sorted(spreads, reverse=True)
    assert best(belief)[1] > 0.999


GHOST_M = (40.0, 60.0)


@pytest.mark.parametrize("first_look", ["ghost alone", "ghost and truth", "truth and ghost"])
def test_a_ghost_is_recovered_from(first_look):
    looks: dict[str, list] = {
        "ghost alone": [GHOST_M],
        "ghost and truth": [GHOST_M, TARGET_M],
        "truth and ghost": [TARGET_M, GHOST_M],
    }
    nodes = hall_nodes()
    belief = belief_of(nodes)
    belief.update([seen(nodes, "a", "b", *looks[first_look])])
    if first_look == "ghost alone":
        assert near(best(belief)[0], GHOST_M)
    else:
        modes = [[near(m, p) for p in (GHOST_M, TARGET_M)] for m in belief.modes[:2]]
        assert sorted(modes) == [[False, True], [True, False]]
    # The other receivers see the target where it is, and nothing at the ghost.
    for index, link in enumerate(("ac", "ad", "bd"), start=1):
        belief.update([seen(nodes, *link, TARGET_M, index=index)])
    mode, probability = best(belief)
    assert near(mode, TARGET_M)
    assert math.sqrt(np.trace(mode.covariance_m2)) < 1.0
    assert probability > 0.99


def test_a_ghost_is_given_up_when_nobody_else_sees_it():
    nodes = hall_nodes()
    belief = belief_of(nodes)
    belief.update([seen(nodes, "a", "b", (80.0, 110.0), snr=2000.0)])
    probabilities = [best(belief)[1]]
    for index, link in enumerate(("ac", "ad", "bd", "cb", "cd"), start=1):
        belief.update([seen(nodes, *link, index=index)])
        probabilities.append(best(belief)[1])
    assert probabilities == sorted(probabilities, reverse=True)
    assert probabilities[0] > 0.9
    assert probabilities[-1] < 0.05


def test_two_receivers_that_disagree_leave_two_modes_until_a_third_decides():
    nodes = hall_nodes()
    other_m = (110.0, 90.0)
    belief = belief_of(nodes)
    belief.update([seen(nodes, "a", "b", TARGET_M), seen(nodes, "a", "c", other_m)])
    explained = [[near(m, p) for p in (TARGET_M, other_m)] for m in belief.modes]
    assert [True, False] in explained
    assert [False, True] in explained
    assert best(belief)[1] < 0.99
    belief.update([seen(nodes, "a", "d", TARGET_M, index=1)])
    mode, probability = best(belief)
    assert near(mode, TARGET_M)
    assert probability > 0.99
    assert mode.choice == (0, None, 0)  # and the second report was a miss with a ghost


def test_nothing_seen_lowers_the_belief_where_it_would_have_been():
    nodes = hall_nodes()
    belief = belief_of(nodes)
    belief.update([seen(nodes, "a", "b"), seen(nodes, "a", "c")])
    assert belief.modes == []
    assert belief.best is None
    probability = belief.grid.cell_probability()
    uniform = 1 / len(probability)
    close = np.hypot(*(belief.grid.points_m - [60.0, 75.0]).T) < 10.0  # near a, in view of both
    assert probability[close].max() < 0.5 * uniform
    assert probability.max() > uniform
    estimate = belief.summary()
    assert (estimate.probability, estimate.status) == (0.0, "searching")
    # Still the whole area: a uniform 200 m x 200 m has 58 m in each direction.
    assert math.sqrt(np.linalg.eigvalsh(estimate.covariance_m2)[0]) > 40.0
    assert math.sqrt(np.linalg.eigvalsh(estimate.covariance_m2)[1]) < 90.0
    assert estimate.peb_m == pytest.approx(math.sqrt(np.trace(estimate.covariance_m2)))


def test_a_late_detection_after_misses_counts_them():
    """Three looks that should have seen it make a ghost of what one look sees."""
    nodes = hall_nodes()
    doubtful, fresh = belief_of(nodes), belief_of(nodes)
    doubtful.update([seen(nodes, "a", rx, index=n) for n, rx in enumerate("bcd")])
    for belief in (doubtful, fresh):
        belief.update([seen(nodes, "b", "d", TARGET_M, index=3)])
        assert near(best(belief)[0], TARGET_M)
    assert best(doubtful)[1] < best(fresh)[1]
    assert best(doubtful)[0].rcs_m2 < best(fresh)[0].rcs_m2


def mirrored(tx, rx) -> np.ndarray:
    """Where the target's echo would come from behind `rx`: same range, same sine."""
    heading = 2 * rx.pose.boresight_rad + math.pi - math.atan2(
        *(TARGET_M - rx.pose.position)[::-1]
    )  # fmt: skip
    unit = np.array([math.cos(heading), math.sin(heading)])
    low, high = 0.0, 1000.0
    for _ in range(100):  # the range grows along the ray
        middle = (low + high) / 2
        short = true_range_m(tx, rx, rx.pose.position + middle * unit) < true_range_m(
            tx, rx, TARGET_M
        )
        low, high = (middle, high) if short else (low, middle)
    return np.asarray(rx.pose.position + low * unit)


@pytest.mark.parametrize("num_elements", [2, 8])
def test_omnidirectional_elements_leave_front_and_back_until_another_looks(num_elements):
    nodes = hall_nodes(num_elements, receive_pattern=OMNIDIRECTIONAL)
    nodes["c"] = facing("c", 120.0, 80.0, 0.3, num_elements, receive_pattern=OMNIDIRECTIONAL)
    belief = belief_of(nodes)
    back_m = mirrored(nodes["a"], nodes["c"])
    assert (back_m > 0.0).all()
    assert (back_m < 200.0).all()
    belief.update([seen(nodes, "a", "c", TARGET_M)])
    assert len(belief.modes) == 2
    assert sorted([near(m, TARGET_M), near(m, back_m)] for m in belief.modes) == [
        [False, True], [True, False],
    ]  # fmt: skip
    assert best(belief)[1] < 0.95
    belief.update([seen(nodes, "a", "d", TARGET_M, index=1)])
    mode, probability = best(belief)
    assert near(mode, TARGET_M)
    assert probability > 0.99


def test_the_same_link_again_keeps_both_mirror_images():
    """Both fit every look equally well; neither may turn into the other while they are wide."""
    nodes = hall_nodes(4, receive_pattern=OMNIDIRECTIONAL)
    nodes["c"] = facing("c", 120.0, 80.0, 0.3, 4, receive_pattern=OMNIDIRECTIONAL)
    back_m = mirrored(nodes["a"], nodes["c"])
    for seed in range(10):
        rng = np.random.default_rng(seed)
        belief = belief_of(nodes)
        for index in range(6):
            hypothesis = hypothesis_at(nodes["a"], nodes["c"], TARGET_M, 60.0, rng)
            belief.update([report_of(nodes["a"], nodes["c"], hypothesis, sensing_index=index)])
            for point_m in (TARGET_M, back_m):
                nearest = min(math.dist(m.position_m, point_m) for m in belief.modes)
                assert nearest < 15.0, f"seed {seed}: an image is lost after look {index}"
            assert best(belief)[1] < 0.97


def test_delays_alone_meet_where_ellipses_with_one_focus_do():
    nodes = hall_nodes(1, receive_pattern=OMNIDIRECTIONAL)
    belief = belief_of(nodes)
    belief.update([seen(nodes, "a", "b", TARGET_M)])
    assert belief.best is None  # one ellipse is no place
    probability = belief.grid.cell_probability()
    range_m = true_range_m(nodes["a"], nodes["b"], TARGET_M)
    off_m = [true_range_m(nodes["a"], nodes["b"], p) - range_m for p in belief.grid.points_m]
    on_ellipse = np.abs(off_m) < 4 * belief.grid.cell_m
    assert probability[on_ellipse].sum() > 0.9
    belief.update([seen(nodes, "a", "c", TARGET_M, index=1)])
    assert any(near(mode, TARGET_M) for mode in belief.modes)
    belief.update([seen(nodes, "a", "d", TARGET_M, index=2)])
    mode, probability = best(belief)
    assert near(mode, TARGET_M)
    assert probability > 0.99


def test_angles_alone_triangulate():
    nodes = hall_nodes()
    belief = belief_of(nodes)
    for index, rx in enumerate("bcd"):
        report = seen(nodes, "a", rx, TARGET_M, index=index, delay_is_absolute=False)
        belief.update([report])
    mode, probability = best(belief)
    assert near(mode, TARGET_M)
    assert math.sqrt(np.trace(mode.covariance_m2)) < 3.0
    assert probability > 0.99


def test_an_echo_that_says_nothing_about_where_is_taken_as_seen():
    """One element without a common time: neither angle nor delay, but the target was in view."""
    nodes = hall_nodes()
    nodes["deaf"] = facing("deaf", 60.0, 150.0, num_elements=1)
    belief = belief_of(nodes)
    for index, rx in enumerate(("deaf", "deaf", "b", "c", "deaf", "d")):
        belief.update([seen(nodes, "a", rx, TARGET_M, index=index, delay_is_absolute=False)])
    mode, probability = best(belief)
    assert near(mode, TARGET_M)
    assert probability > 0.99
    assert mode.choice[4] == 0


@pytest.mark.parametrize("kind", ["half plane", "omnidirectional", "unlike"])
def test_probability_is_one(kind):
    """Never below zero nor above one, and positions and covariances are numbers."""
    for seed in range(6):
        nodes = {
            "half plane": lambda seed: random_nodes(seed, 10, receive_pattern=HALF_PLANE),
            "omnidirectional": lambda seed: random_nodes(seed, 10, receive_pattern=OMNIDIRECTIONAL),
            "unlike": lambda seed: mixed_nodes(seed, 10),
        }[kind](seed)
        hall = random_hall(seed, nodes)
        _, estimates = run(hall, hall.controller(seed, num_receivers=2, max_sensings=5))
        for estimate in estimates:
            assert 0.0 <= estimate.probability <= 1.0 + 1e-12
            assert np.isfinite(estimate.position_m).all()
            assert (np.linalg.eigvalsh(estimate.covariance_m2) > 0.0).all()


def test_looks_at_links_that_hear_nothing_change_nothing():
    nodes = hall_nodes()
    nodes["away"] = facing("away", 190.0, 195.0, math.pi)  # into the corner
    belief = belief_of(nodes)
    belief.update([seen(nodes, "a", "b", TARGET_M)])
    before = best(belief)
    belief.update([seen(nodes, "a", "away", index=1)])
    after = best(belief)
    np.testing.assert_allclose(after[0].position_m, before[0].position_m, atol=1e-3)
    assert after[1] == pytest.approx(before[1], abs=0.01)


def test_hall_reports_are_what_they_say():
    """The halls of these tests: errors as large as stated, misses by Swerling I."""
    nodes = list(hall_nodes().values())
    errors, stated, detected = [], [], 0
    for seed in range(400):
        report = Hall(nodes, TARGET_M, seed).look("a", "b", 0)
        if report.hypotheses:
            detected += 1
            found = report.hypotheses[0]
            truth = true_range_m(nodes[0], nodes[1], TARGET_M)
            errors.append((found.delay_s * 299_792_458.0 - truth) / 299_792_458.0)
            stated.append(math.sqrt(found.delay_var_s2))
    normalized = np.array(errors) / np.array(stated)
    assert 0.75 < np.mean(normalized**2) < 1.35
    assert 0.5 < detected / 400 < 1.0
