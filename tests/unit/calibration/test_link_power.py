"""Powers of radios and what scatterers add to the levels of direct paths, told apart."""

import itertools

import numpy as np
import pytest

from calibration.link_power import known_powers, link_powers

SCATTER_DB = 1.0  # half of what radios are off


def levels(num_nodes: int, rng: np.random.Generator):
    """Levels of all links, and what scatterers have added to each."""
    names = [f"n{n}" for n in range(num_nodes)]
    power, gain = rng.normal(0.0, 2.0, (2, num_nodes))
    added, level = {}, {}
    for i, j in itertools.permutations(range(num_nodes), 2):
        back = added.get((names[j], names[i]))
        fresh = rng.normal(0.0, SCATTER_DB)
        added[names[i], names[j]] = (
            fresh if back is None else 0.9 * back + np.sqrt(1.0 - 0.81) * fresh
        )
        level[names[i], names[j]] = power[i] + gain[j] + added[names[i], names[j]]
    return names, level, added


@pytest.mark.parametrize("num_nodes", [2, 3, 12])
def test_what_scatterers_added_is_as_sure_as_stated(num_nodes):
    rng = np.random.default_rng(4)
    ratio = []
    for _ in range(200):
        names, level, added = levels(num_nodes, rng)
        powers = link_powers(names, level, SCATTER_DB)
        for link, truth in added.items():
            found, std = powers.scattered_db(link, level[link])
            ratio.append((found - truth) / std)
    assert np.sqrt(np.mean(np.square(ratio))) == pytest.approx(1.0, abs=0.15)


def test_two_nodes_tell_nothing_of_scatterers_and_many_all():
    rng = np.random.default_rng(5)
    stated = {}
    for num_nodes in (2, 12):
        names, level, _ = levels(num_nodes, rng)
        powers = link_powers(names, level, SCATTER_DB)
        stated[num_nodes] = powers.scattered_db(("n0", "n1"), level["n0", "n1"])[1]
    assert stated[2] > 0.8 * SCATTER_DB
    assert stated[12] < 0.5 * SCATTER_DB


def test_a_link_that_nobody_sounded_is_judged_by_the_others():
    rng = np.random.default_rng(6)
    ratio = []
    for _ in range(300):
        names, level, added = levels(6, rng)
        known = {k: v for k, v in level.items() if set(k) != {"n0", "n1"}}
        powers = link_powers(names, known, SCATTER_DB)
        found, std = powers.scattered_db(("n0", "n1"), level["n0", "n1"])
        ratio.append((found - added["n0", "n1"]) / std)
    assert np.sqrt(np.mean(np.square(ratio))) == pytest.approx(1.0, abs=0.12)


def test_powers_that_were_kept_say_the_same():
    names, level, _ = levels(5, np.random.default_rng(7))
    powers = link_powers(names, level, SCATTER_DB)
    kept = known_powers(powers.by_node(), list(level), SCATTER_DB)
    for link, value in level.items():
        added, std = powers.scattered_db(link, value)
        # Weights of links are not kept: who reads powers again takes all links alike.
        assert kept.scattered_db(link, value) == (pytest.approx(added), pytest.approx(std, rel=0.1))


def test_a_path_that_scatterers_have_taken_away_leaves_the_powers_alone():
    """20 dB less between two of three radios, both ways: more than any radio is off."""
    rng = np.random.default_rng(8)
    off_db, ratio = [], []
    for _ in range(100):
        names, level, added = levels(3, rng)
        whole = link_powers(names, level, SCATTER_DB).mean_db
        faded = {k: v - 20.0 * (set(k) == {"n0", "n1"}) for k, v in level.items()}
        powers = link_powers(names, faded, SCATTER_DB)
        off_db.append(powers.mean_db - whole)
        found, std = powers.scattered_db(("n0", "n1"), faded["n0", "n1"])
        ratio.append((found - added["n0", "n1"] + 20.0) / std)
    # Shared out by squares, it would be 7 dB, and 12 standard deviations.
    assert np.sqrt(np.mean(np.square(off_db))) < 2.0
    assert np.sqrt(np.mean(np.square(ratio))) < 2.0
