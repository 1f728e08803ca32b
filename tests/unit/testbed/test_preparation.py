"""What is known before sensing: of each kind, kept where it is to be kept, refused where not."""

import numpy as np
import pytest

from calibration.dictionary import DictionaryError
from calibration.node_files import FILE_NAME
from drivers.capture import CaptureRefusedError
from testbed.errors import UsageError
from testbed.runs.backgrounds import no_background, perfect_background
from testbed.runs.preparation import prepared
from testbed.runs.setup import Setup, opened_setup, simulate
from tests.unit.testbed.sites import as_site, contents, tiny

SITE = as_site(tiny())


@pytest.fixture(scope="module")
def setup() -> Setup:
    return simulate(SITE, 3)


@pytest.fixture(scope="module")
def radios():
    with opened_setup(SITE, 3, "iq") as found:
        yield found


def in_a_hall_with_people(setup: Setup) -> Setup:
    """The same captures, but nobody says that the hall is free of targets: as with real radios."""
    return Setup(setup.source, setup.seed, has_radios=setup.has_radios)


def test_nothing_is_known_of_none(setup, tmp_path):
    with prepared(SITE, setup, "none", tmp_path / "d") as known:
        assert known.background_of is no_background
        assert known.calibration is None
    assert contents(tmp_path) == {}


def test_perfect_backgrounds_are_the_simulator_s_own(setup, tmp_path):
    with prepared(SITE, setup, "perfect", tmp_path / "d") as known:
        found = known.background_of("a", "b")
        assert known.calibration is None
    assert found is not None
    wanted = perfect_background(setup.pilots)("a", "b").channel
    np.testing.assert_array_equal(found.channel, wanted)
    assert contents(tmp_path) == {}


def test_real_radios_know_no_perfect_background(setup):
    with (
        pytest.raises(UsageError, match="--background perfect is known to a simulator only"),
        prepared(SITE, in_a_hall_with_people(setup), "perfect", None),
    ):
        pass  # fmt: skip


def test_learned_backgrounds_need_a_place(setup):
    with (
        pytest.raises(UsageError, match=r"need --dictionary DIR.*or --background none"),
        prepared(SITE, setup, "learned", None),
    ):
        pass  # fmt: skip


def test_at_pilot_fidelity_backgrounds_are_learned_when_needed_and_kept(setup, tmp_path):
    root, told = tmp_path / "d", []
    with prepared(SITE, setup, "learned", root, told.append) as known:
        assert known.calibration is None  # pilots come without radios to calibrate
        assert told == []
        first = known.background_of("a", "b")
        assert told == ["learning the background of a -> b, 2 captures"]
    before = contents(root)
    with prepared(SITE, simulate(SITE, 3), "learned", root, told.append) as known:
        again = known.background_of("a", "b")
    assert len(told) == 1
    np.testing.assert_array_equal(first.channel, again.channel)
    assert contents(root) == before


def test_radios_are_calibrated_first_in_every_run(radios, tmp_path):
    root, told = tmp_path / "d", []
    with prepared(SITE, radios, "learned", root, told.append) as known:
        calibration = known.calibration
        assert calibration is not None
        done = [f"calibrating the nodes, {n} of 8 bursts" for n in range(9)]
        assert list(dict.fromkeys(told)) == done
        background = known.background_of("a", "b")
    assert background is not None
    assert background.response is not None
    assert background.delay_is_absolute
    assert [node.node_id for node in calibration.nodes] == ["a", "b", "c", "d"]
    # What soundings tell is more than what the survey did.
    surveyed = [node.survey.boresight_std_rad for node in radios.source.nodes]
    assert np.all(np.sqrt(calibration.errors.variances[:, 2]) < surveyed)
    before = contents(root)
    assert FILE_NAME in before
    told.clear()
    with prepared(SITE, radios, "learned", root, told.append) as known:
        assert known.calibration is not None
    assert list(dict.fromkeys(told)) == done  # times do not outlast a session
    assert set(contents(root)) == set(before)


def test_where_the_hall_may_hold_a_target_nothing_is_learned(radios, tmp_path):
    root = tmp_path / "d"
    strangers = in_a_hall_with_people(radios)
    with prepared(SITE, strangers, "learned", root) as known:
        assert known.calibration is not None  # a sounding minds nobody in the hall
        with pytest.raises(CaptureRefusedError, match="no background of a -> b; run testbed cal"):
            known.background_of("a", "b")
    with prepared(SITE, radios, "learned", root) as known:
        learned = known.background_of("a", "b")
    with prepared(SITE, strangers, "learned", root) as known:
        assert known.calibration is not None
        kept = known.background_of("a", "b")
    assert kept.content_hash == learned.content_hash


def test_a_place_that_cannot_be_written_is_named(setup, tmp_path):
    (tmp_path / "f").write_text("precious", encoding="utf-8")
    root = tmp_path / "f" / "d"
    with (
        pytest.raises(UsageError, match="cannot be written: Not a directory") as refused,
        prepared(SITE, setup, "learned", root),
    ):
        pass  # fmt: skip
    assert str(refused.value).startswith(f"{root}: ")


def test_a_dictionary_of_another_campaign_is_refused(setup, tmp_path):
    with prepared(SITE, setup, "learned", tmp_path / "d"):
        pass
    with (
        pytest.raises(DictionaryError, match="another origin"),
        prepared(SITE, simulate(SITE, 4), "learned", tmp_path / "d"),
    ):
        pass  # fmt: skip


def test_a_damaged_calibration_is_refused(radios, tmp_path):
    root = tmp_path / "d"
    with prepared(SITE, radios, "learned", root):
        pass
    (root / FILE_NAME).write_bytes(b"{}")
    recorded = Setup(radios.source, radios.seed)  # as a replay: what was calibrated is read
    with (
        pytest.raises(DictionaryError, match="not a calibration of nodes"),
        prepared(SITE, recorded, "learned", root),
    ):
        pass  # fmt: skip
