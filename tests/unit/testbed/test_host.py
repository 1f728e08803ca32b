"""The host's transmit configuration: its own, strict, and out of every command's reach."""

import os
import pwd

import pytest

from drivers.interlock import Transmission, TransmitBand, TransmitLimits, check_transmission
from drivers.radio_errors import TransmitForbiddenError
from testbed.host import TRANSMIT_PLACES, TransmitConfigurationError, load_transmit_limits

WHOLE = """
bands:
  - {low_mhz: 5725.0, high_mhz: 5875.0, max_power_dbm: 14.0}
  - {low_mhz: 2400.0, high_mhz: 2483.5, max_power_dbm: 10.0}
max_transmission_ms: 50.0
duty_cycle: 0.05
duty_window_s: 20.0
hours: ["22:30", "06:00"]
attenuation_db: 10.0
cabled: true
receive_damage_dbm: 0.0
damage_margin_db: 3.0
lease_s: 1.5
"""


def written(path, text, mode=0o600):
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_every_field_arrives_in_its_unit(tmp_path):
    path = written(tmp_path / "transmit.yaml", WHOLE)
    assert load_transmit_limits([path]) == TransmitLimits(
        bands=(TransmitBand(5.725e9, 5.875e9, 14.0), TransmitBand(2.4e9, 2.4835e9, 10.0)),
        max_transmission_s=0.05,
        duty_cycle=0.05,
        duty_window_s=20.0,
        hours=(22.5, 6.0),
        attenuation_db=10.0,
        cabled=True,
        receive_damage_dbm=0.0,
        damage_margin_db=3.0,
        lease_s=1.5,
        source=f"the limits of this host are set in {path}",
    )


def test_without_a_file_nothing_is_allowed_and_the_refusal_says_which_to_write(tmp_path):
    limits = load_transmit_limits([tmp_path / "none.yaml", tmp_path / "no.yaml"])
    quiet = Transmission(5.8e9, 5.8e9, -100.0, -100.0, 1e-6)
    with pytest.raises(TransmitForbiddenError, match="no band") as refused:
        check_transmission(quiet, limits, 0.0, 12.0)
    assert f"write {tmp_path / 'none.yaml'} or {tmp_path / 'no.yaml'}" in str(refused.value)


def test_an_empty_file_allows_nothing(tmp_path):
    limits = load_transmit_limits([written(tmp_path / "transmit.yaml", "")])
    assert limits.bands == ()
    assert not limits.cabled


def test_the_first_file_counts_alone(tmp_path):
    first = written(tmp_path / "first.yaml", "duty_cycle: 0.5")
    second = written(tmp_path / "second.yaml", WHOLE)
    assert load_transmit_limits([first, second]).bands == ()
    assert load_transmit_limits([tmp_path / "none.yaml", second]).cabled


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_can_write_is_refused(tmp_path, mode):
    path = written(tmp_path / "transmit.yaml", WHOLE, mode)
    with pytest.raises(TransmitConfigurationError, match=f"mode {mode:o}.*chmod 644 {path}"):
        load_transmit_limits([path])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("band: []", ["$", "'band'", "did you mean 'bands'"]),
        ("bands: [{low_mhz: 1.0, high_mhz: 2.0}]", ["$.bands[0]", "max_power_dbm", "missing"]),
        (
            "bands: [{low_mhz: 2.0, high_mhz: 1.0, max_power_dbm: 0.0}]",
            ["$.bands[0]", "low_mhz must be below high_mhz, got 2 and 1"],
        ),
        ("duty_cycle: 5", ["$.duty_cycle", "<= 1.0", "got 5"]),
        ("duty_cycle: -0.1", ["$.duty_cycle", ">= 0.0"]),
        ('hours: ["8:00", "18:00"]', ["$.hours[0]"]),
        ('hours: ["08:00"]', ["$.hours"]),
        ("cabled: yes please", ["$.cabled", "true or false"]),
        ("lease_s: 0", ["$.lease_s", "> 0.0"]),
        ("attenuation_db: .nan", ["$.attenuation_db"]),
        ("lease_s: 1\nlease_s: 2", ["line 2", "given twice"]),
        ("[1, 2]", ["$"]),
        ("a: [", ["line"]),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_sent(tmp_path, text, words):
    path = written(tmp_path / "transmit.yaml", text)
    with pytest.raises(TransmitConfigurationError) as refused:
        load_transmit_limits([path])
    assert str(refused.value).startswith(f"{path}: ")
    assert all(word in str(refused.value) for word in words), str(refused.value)


def test_no_environment_moves_the_places(monkeypatch):
    """The places are fixed when the module is made, from the password database."""
    import importlib

    import testbed.host

    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/nowhere")
    reloaded = importlib.reload(testbed.host)
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert [str(place) for place in reloaded.TRANSMIT_PLACES] == [
        "/etc/isac-testbed/transmit.yaml",
        f"{home}/.config/isac-testbed/transmit.yaml",
    ]
    assert [str(place) for place in TRANSMIT_PLACES] == [
        str(place) for place in reloaded.TRANSMIT_PLACES
    ]
