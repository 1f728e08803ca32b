"""Radios are found by the entry points of whatever is installed."""

import pytest

from drivers.radio import RadioSpec
from drivers.radio_errors import RadioNotFoundError, UnknownRadioError
from drivers.registry import installed_kinds, open_radio

SPEC = RadioSpec("a", 1)


@pytest.fixture
def distribution(tmp_path, monkeypatch):
    """A package with two kinds: one that opens, one whose vendor library is missing."""
    info = tmp_path / "some_radio-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-radio\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[isac_testbed.radios]\nsome = some_radio:open_it\nother = some_radio_vendor:open_it\n"
    )
    (tmp_path / "some_radio.py").write_text("def open_it(spec):\n    return ['opened', spec]\n")
    (tmp_path / "some_radio_vendor.py").write_text("import a_library_that_is_missing\n")
    monkeypatch.syspath_prepend(tmp_path)


def test_an_installed_kind_is_found_and_opened(distribution):
    assert installed_kinds()["some"].value == "some_radio:open_it"
    assert open_radio("some", SPEC) == ["opened", SPEC]


def test_a_missing_vendor_library_is_named(distribution):
    with pytest.raises(RadioNotFoundError, match="a_library_that_is_missing"):
        open_radio("other", SPEC)


def test_an_unknown_kind_names_a_close_one_or_all(distribution):
    with pytest.raises(UnknownRadioError, match=r"node 'a'.*kind 'sme'.*did you mean 'some'"):
        open_radio("sme", SPEC)
    with pytest.raises(UnknownRadioError, match="known kinds: other, replay, some"):
        open_radio("xyz", SPEC)


def test_the_callers_own_kinds_come_first(distribution):
    assert open_radio("some", SPEC, {"some": lambda spec: spec.node_id}) == "a"
    with pytest.raises(UnknownRadioError, match="mine"):
        open_radio("xyz", SPEC, {"mine": lambda spec: None})


def test_replay_is_one_of_them():
    assert installed_kinds()["replay"].value == "drivers.replay:open_replay_radio"
