"""A few kills of `tests.chaos.killed_campaign`; two hundred by command. It finds what it is for."""

import pytest

from tests.chaos.killed_campaign import NUM_LINKS, Killer, killed_campaigns
from tests.unit.testbed.sites import tiny, write_site


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("num_kills", "spread"), [(10, False), (6, True)])
def test_a_campaign_that_is_killed_on_and_on_ends_as_one_that_was_not(tmp_path, num_kills, spread):
    toll = killed_campaigns(num_kills, 1, tmp_path, spread=spread)
    assert not toll.problems, str(toll)
    assert toll.num_killed == num_kills
    assert toll.num_campaigns > 0
    assert toll.num_resumed > 0
    assert toll.num_whole >= NUM_LINKS


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_what_is_not_as_it_should_be_is_found(tmp_path):
    killer = Killer(write_site(tmp_path, tiny()), tmp_path, 1)
    root, toll = tmp_path / "second", killer.toll
    seen = killer.look(root, {})
    killer.compare(root)
    assert (toll.num_whole, toll.num_cut_short, toll.problems) == (NUM_LINKS, 0, [])
    headers, arrays = sorted(root.glob("*.entry.json")), sorted(root.glob("*.npy"))
    headers[0].write_bytes(headers[0].read_bytes())  # learned again, with the same result
    headers[1].unlink()
    arrays[2].write_bytes(arrays[2].read_bytes()[:-1])
    (root / "x.npy.1.tmp").touch()
    killer.look(root, seen)
    assert toll.num_cut_short == 1
    damaged, changed = toll.problems
    assert damaged.startswith(f"second: {headers[2]}: entry ")
    assert changed == f"second: lost or learned again: {headers[0].name}, {headers[1].name}"
    toll.problems.clear()
    killer.compare(root)
    assert toll.problems == [
        f"second: {headers[1].name} is missing",
        "second: x.npy.1.tmp was left",
        f"second: {arrays[2].name} is not as undisturbed",
    ]
