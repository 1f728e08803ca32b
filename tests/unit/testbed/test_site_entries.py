"""A dictionary of places, used by whichever nodes stand there."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from calibration.dictionary_entry import DictionaryError, RadioIdentity
from calibration.exchanged_elements import ExchangedElements
from drivers.capture import CaptureRefusedError
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.calibrate import calibrate
from testbed.runs.campaign_state import CampaignPlan
from testbed.runs.node_calibration import calibrate_nodes
from testbed.runs.setup import simulate
from testbed.runs.site_entries import SiteEntries
from tests.unit.testbed.sites import as_site, changed, lab

SITE = as_site(lab())
SWAPPED = as_site(
    changed(
        lab(),
        {
            "nodes.0.location_id": "north-east", "nodes.0.boresight_deg": 225.0,
            "nodes.3.location_id": "south-west", "nodes.3.boresight_deg": 45.0,
        },
    )
)  # fmt: skip
NUM_CAPTURES = SITE.calibration.num_captures


@dataclass
class Hall:
    """A source whose origin does not tell poses apart, as that of radios does not."""

    source: object
    origin: str = "radios"

    def __getattr__(self, name):
        return getattr(self.source, name)


def setup_of(site=SITE):
    setup = simulate(site, 3)
    return replace(setup, source=Hall(setup.source))


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("hall") / "d"
    calibrate(SITE, setup_of(), root)
    return root


def entries_of(root, site, radios=None):
    source = setup_of(site).source
    return SiteEntries(open_dictionary(root, source, NUM_CAPTURES), source, radios or {})


def test_nodes_that_swap_places_find_the_entries_of_their_places(learned):
    before, after = entries_of(learned, SITE), entries_of(learned, SWAPPED)
    assert before.changed == after.changed == {}
    assert before.learned_by == {}
    assert after.locations(("a", "b")) == before.locations(("d", "b"))
    assert after.content_hash(("a", "b")) == before.content_hash(("d", "b"))
    assert after.between(("south-west", "south")) == ("d", "b")
    assert after.between(("south-west", "nowhere")) is None
    # Other elements listen at two of the places.
    assert {link[1] for link in after.learned_by} == {"a", "d"}
    assert len(after.learned_by) == 10
    assert after.learned_by["b", "a"] == "node d"


def test_a_dictionary_of_pilots_serves_whichever_node_stands_where(learned, tmp_path):
    """Pilots are simulated without hardware: nothing needs to be known of elements."""
    swapped = simulate(SWAPPED, 3)
    assert swapped.source.origin == simulate(SITE, 3).source.origin
    calibrate(SITE, simulate(SITE, 3), tmp_path / "d")
    assert calibrate(SWAPPED, swapped, tmp_path / "d") == (0, 30)
    dictionary = open_dictionary(tmp_path / "d", swapped.source, NUM_CAPTURES)
    backgrounds = LearnedBackgrounds(swapped.source, dictionary)
    static = swapped.source.static_channel(0, 1)
    left = np.mean(np.abs(backgrounds("a", "b").channel - static) ** 2)
    assert left < 1e-3 * np.mean(np.abs(static) ** 2)


def test_a_node_that_was_moved_costs_its_entries_until_they_are_learned_again(learned, tmp_path):
    root = tmp_path / "d"
    calibrate(SITE, setup_of(), root)
    site = as_site(changed(lab(), {"locations.1.position_m": [15.5, 0.5]}))
    moved = setup_of(site)
    dictionary = open_dictionary(root, moved.source, NUM_CAPTURES)
    backgrounds = LearnedBackgrounds(moved.source, dictionary)
    assert len(backgrounds.unusable) == 10
    assert all("b" in link for link in backgrounds.unusable)
    assert backgrounds.known("a", "b") is None
    with pytest.raises(CaptureRefusedError, match=r"a -> b .*: receiver moved by 0.5 m; learn it"):
        backgrounds("a", "b")
    with pytest.raises(
        DictionaryError,
        match=r"10 entries .*: a -> b.* and 2 more links: receiver moved by 0.5 m; b -> a, "
        r"b -> c, b -> d and 2 more links: transmitter moved by 0.5 m\. Add --relearn",
    ):
        calibrate(site, moved, root)
    assert calibrate(site, moved, root, plan=CampaignPlan(relearn=True)) == (10, 30)
    assert not LearnedBackgrounds(moved.source, dictionary).unusable
    assert calibrate(site, moved, root) == (0, 30)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"nodes.1.boresight_deg": 93.0}, "receiver turned by 3 degrees"),
        ({"nodes.1.array": {"num_elements": 3}}, "receiver with another antenna (3 elements"),
        ({"nodes.1.transmit_pattern": {"kind": "sector"}}, "transmitter with another antenna"),
    ],
)
def test_what_has_changed_at_a_node_is_said(learned, changes, why):
    entries = entries_of(learned, as_site(changed(lab(), changes)))
    assert len(entries.changed) == 5
    assert all(why in text for text in entries.changed.values())


def test_a_dictionary_of_another_hall_is_refused(learned):
    far = {f"locations.{n}.position_m": [n + 0.25, 0.25] for n in range(6)}
    with pytest.raises(DictionaryError, match=r"other node poses.* moved by .* another directory"):
        entries_of(learned, as_site(changed(lab(), far)))
    named = {f"locations.{n}.location_id": f"x{n}" for n in range(6)}
    named |= {f"nodes.{n}.location_id": f"x{n}" for n in range(6)}
    with pytest.raises(DictionaryError, match="no link of this site is there"):
        entries_of(learned, as_site(changed(lab(), named)))


def test_a_node_with_another_radio_is_another_receiver(learned, tmp_path):
    first, other = RadioIdentity("usrp", "30F"), RadioIdentity("usrp", "31A")
    setup = replace(setup_of(), radios={"a": first})
    calibrate(SITE, setup, tmp_path / "d")
    assert entries_of(tmp_path / "d", SITE, {"a": first}).learned_by == {}
    assert entries_of(tmp_path / "d", SITE, {"a": other}).learned_by == dict.fromkeys(
        [(tx, "a") for tx in "bcdef"], "usrp 30F"
    )


def test_entries_of_others_are_heard_through_the_elements_that_are_there_now(learned):
    setup = setup_of(SWAPPED)
    dictionary = open_dictionary(learned, setup.source, NUM_CAPTURES)
    calibration = calibrate_nodes(setup.source)
    gain = np.exp(1j * np.array([0.3, -0.1, 0.2, -0.4]))
    known = {("a", "node d"): ExchangedElements(gain, np.zeros(4))}
    backgrounds = LearnedBackgrounds(
        setup.source, dictionary, calibration=replace(calibration, exchanged=known)
    )
    # What nothing is known of is refused, and not planned with.
    assert {link[1] for link in backgrounds.unusable} == {"d"}
    with pytest.raises(CaptureRefusedError, match=r"node a listened, and no sounding tells how"):
        backgrounds("b", "d")
    as_learned = LearnedBackgrounds(setup.source, dictionary)
    plain, heard = as_learned("b", "a"), backgrounds("b", "a")
    raw = dictionary.get("south", "north-east").channel
    np.testing.assert_array_equal(plain.channel, raw)
    turned = heard.channel * heard.response / raw
    between = turned[:, 1:] / turned[:, :1]
    np.testing.assert_allclose(
        np.angle(between.mean(axis=0) / (gain[1:] / gain[0])), 0.0, atol=1e-3
    )
    # A campaign learns them again when it is asked to.
