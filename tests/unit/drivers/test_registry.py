"""Radios are found by the entry points of whatever is installed."""

import ctypes
from importlib import import_module

import pytest

from drivers.radio import RadioSpec
from drivers.radio_errors import RadioNotFoundError, UnknownRadioError
from drivers.registry import installed_kinds, open_radio
from drivers.vendor_software import vendor_import

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
    with pytest.raises(RadioNotFoundError, match=r"a_library_that_is_missing.*install what"):
        open_radio("other", SPEC)


@pytest.mark.parametrize(("kind", "line"), [("pluto", "libiio0"), ("usrp", "python3-uhd")])
def test_what_a_vendor_s_radio_needs_is_said_as_a_line_to_type(kind, line):
    with (
        pytest.raises(
            RadioNotFoundError, match=rf"node 'a'.*nobody_has_it.*apt-get install {line}"
        ),
        vendor_import("a", kind),
    ):
        import_module("nobody_has_it")


def test_a_binding_without_its_library_is_one_that_cannot_be_loaded():
    """pylibiio without libiio looks for functions in the interpreter itself."""
    with pytest.raises(RadioNotFoundError, match="undefined symbol"), vendor_import("a", "pluto"):
        ctypes.CDLL(None).iio_get_backends_count  # noqa: B018


def test_an_unknown_kind_names_a_close_one_or_all(distribution):
    with pytest.raises(UnknownRadioError, match=r"node 'a'.*kind 'sme'.*did you mean 'some'"):
        open_radio("sme", SPEC)
    with pytest.raises(UnknownRadioError, match=r"known kinds: .*other.*replay, some"):
        open_radio("xyz", SPEC)


def test_the_callers_own_kinds_come_first(distribution):
    assert open_radio("some", SPEC, {"some": lambda spec: spec.node_id}) == "a"
    with pytest.raises(UnknownRadioError, match="mine"):
        open_radio("xyz", SPEC, {"mine": lambda spec: None})


def test_this_project_s_own_are_among_them():
    kinds = installed_kinds()
    assert kinds["replay"].value == "drivers.replay:open_replay_radio"
    assert kinds["pluto"].value == "drivers.pluto:open_pluto_radio"
    assert kinds["usrp"].value == "drivers.usrp:open_usrp_radio"
