"""What links say at points, compiled, is what the literal equations say."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from drivers.array import ElementPattern
from drivers.node import Node
from fusion.echo_evidence import choice_scores, log_rcs, point_evidence, unit_snr
from fusion.likelihood import LinkEvidence, exponential_rcs_prior
from fusion.network import Network
from tests.oracles import modes as literal
from tests.unit.fusion.halls import GRID, hypothesis_at, make_node, mixed_nodes, report_of

PRIOR = exponential_rcs_prior(1.0)
seeds = st.integers(0, 2**32 - 1)
patterns = st.builds(
    ElementPattern,
    kind=st.sampled_from(["sector", "3gpp_38901", "omnidirectional"]),
    field_of_view_rad=st.sampled_from([0.5, math.pi / 2, math.pi, 4.0, 2 * math.pi]),
    front_to_back_db=st.sampled_from([0.0, 30.0, math.inf]),
    gain_dbi=st.floats(-3.0, 8.0),
)
boresights = st.floats(-10.0, 10.0) | st.sampled_from([0.0, math.pi / 2, math.pi, -math.pi / 4])


def evidence(network: Network, tx: Node, rx: Node, rng: np.random.Generator) -> LinkEvidence:
    snr = 20.0 + 10.0 ** rng.uniform(0.0, 5.0, int(rng.integers(4)))
    echoes = [hypothesis_at(tx, rx, rng.uniform(0.0, 200.0, 2), s, rng) for s in snr]
    return LinkEvidence(network, report_of(tx, rx, *echoes), 1e-6)


@given(transmit=patterns, receive=patterns, sent=boresights, heard=boresights, seed=seeds)
@settings(deadline=None)
def test_unit_snr_is_the_network_s(transmit, receive, sent, heard, seed):
    tx = make_node("tx", (60.0, 20.0), sent, transmit_pattern=transmit)
    rx = make_node("rx", (20.0, 90.0), heard, receive_pattern=receive)
    network = Network([tx, rx], GRID)
    link = LinkEvidence(network, report_of(tx, rx), 1e-6)
    rng = np.random.default_rng(seed)
    points_m = rng.uniform(0.0, 200.0, (200, 2))
    # On the nodes, beside them, and exactly across and along their boresights
    whole = np.array([(0, 0), (0, 0.1), (0, 5), (7, 0), (-3, 0), (0, -9), (4, 4), (-4, 4)])
    points_m[:16] = np.concatenate([node.pose.position + whole for node in (tx, rx)])
    expected = network.link_snr(tx, rx, points_m)
    np.testing.assert_allclose(unit_snr(link.row[None], points_m)[0], expected, rtol=1e-12)
    np.testing.assert_array_equal(
        link.unit_snr(points_m.reshape(10, 20, 2)), link.unit_snr(points_m).reshape(10, 20)
    )


def drawn_links(rng: np.random.Generator, count: int) -> list[LinkEvidence]:
    """Reports of links of unlike nodes, some of the time aligned."""
    nodes = mixed_nodes(int(rng.integers(1000)), 4)
    network = Network(nodes, GRID, aligned=bool(rng.integers(2)))
    pairs = [[nodes[n] for n in rng.permutation(4)[:2]] for _ in range(count)]
    return [evidence(network, tx, rx, rng) for tx, rx in pairs]


def arrays(links: list[LinkEvidence], choice: list[int | None]):
    taken = list(zip(links, choice, strict=True))
    return (
        np.array([link.row for link in links]),
        np.array([np.nan if h is None else link.levels[h] for link, h in taken]),
        np.array([np.nan if h is None else link.log_false[h] for link, h in taken]),
    )


def hearing(links: list[LinkEvidence], points_m: np.ndarray):
    pairs = [(link.tx.node_id, link.rx.node_id) for link in links]
    distinct = sorted(set(pairs))
    each = [links[pairs.index(pair)].hearing(points_m) for pair in distinct]
    numbers = np.array([distinct.index(pair) for pair in pairs])
    return numbers, *(np.array(part) for part in zip(*each, strict=True))


def snr_of(links: list[LinkEvidence], points_m: np.ndarray) -> list[np.ndarray]:
    return [link.unit_snr(points_m) for link in links]


@given(seed=seeds, count=st.integers(1, 8), spread_m=st.floats(0.01, 50.0))
@settings(deadline=None)
def test_evidence_of_points_is_the_sum_over_links(seed, count, spread_m):
    rng = np.random.default_rng(seed)
    links = drawn_links(rng, count)
    points_m = rng.uniform(20.0, 180.0, 2) + spread_m * rng.standard_normal((32, 2))
    choice = [
        None if not link.measurements or rng.random() < 0.3 else len(link.measurements) - 1
        for link in links
    ]
    inside = rng.random(32) < 0.9
    inside[0] = True
    total, weights, levels = point_evidence(
        *arrays(links, choice),
        *hearing(links, points_m),
        PRIOR.log_probability,
        PRIOR.level_m2,
        points_m,
        inside,
    )
    joint = literal.log_joint(links, choice, snr_of(links, points_m), points_m, PRIOR)
    joint[:, ~inside] = -np.inf
    expected = special.logsumexp(joint)
    assert total == pytest.approx(expected, rel=1e-12, abs=1e-9)
    share = np.exp(joint - expected)
    np.testing.assert_allclose(weights, share.sum(axis=0), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(levels, share.sum(axis=1), rtol=1e-8, atol=1e-12)
    np.testing.assert_array_equal(weights[~inside], 0.0)


@given(seed=seeds, count=st.integers(0, 6), spread_m=st.floats(0.01, 50.0))
@settings(deadline=None)
def test_scores_are_means_over_points_and_levels(seed, count, spread_m):
    rng = np.random.default_rng(seed)
    *taken, link = drawn_links(rng, count + 1)
    taken = [other for other in taken if other.measurements]
    position_m = rng.uniform(20.0, 180.0, 2)
    points_m = position_m + spread_m * rng.standard_normal((32, 2))
    at = position_m[None]
    if taken:
        found = log_rcs(
            *arrays(taken, [0] * len(taken)), PRIOR.log_probability, PRIOR.level_m2, position_m
        )
        joint = literal.log_joint(taken, [0] * len(taken), snr_of(taken, at), at, PRIOR)[:, 0]
        expected = joint - special.logsumexp(joint)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    else:
        expected = PRIOR.log_probability
    scores = choice_scores(
        link.row, link.levels, link.log_false, *link.hearing(points_m),
        expected, PRIOR.level_m2, points_m,
    )  # fmt: skip
    of_each = literal.choice_scores(link, link.unit_snr(points_m), points_m, expected, PRIOR)
    np.testing.assert_allclose(scores, of_each, rtol=1e-9, atol=1e-9)
