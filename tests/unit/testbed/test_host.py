"""The host's transmit configuration: its own, strict, and out of every command's reach."""

import os
import pwd
import runpy
from pathlib import Path

import pytest

import testbed.host
from drivers.interlock import Transmission, TransmitBand, TransmitLimits, check_transmission
from drivers.radio_errors import TransmitForbiddenError
from testbed.errors import explain, user_errors
from testbed.host import TransmitConfigurationError, load_transmit_limits

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
        ('hours: ["08:00", "24:30"]', ["$.hours[1]"]),
        ('hours: ["08:00", "08:00"]', ["$.hours", "no time at all", "leave hours out"]),
        ("cabled: yes please", ["$.cabled", "true or false"]),
        ("lease_s: 0", ["$.lease_s", "> 0.0"]),
        ("attenuation_db: .nan", ["$.attenuation_db"]),
        # An infinite lease would be no watchdog at all.
        ("lease_s: .inf", ["$.lease_s", "finite", "got inf"]),
        ("lease_s: .nan", ["$.lease_s"]),
        ("max_transmission_ms: .inf", ["$.max_transmission_ms", "finite"]),
        ("duty_window_s: .inf", ["$.duty_window_s", "finite"]),
        ("damage_margin_db: -1.0", ["$.damage_margin_db", ">= 0.0"]),
        (
            "bands: [{low_mhz: 1.0, high_mhz: .inf, max_power_dbm: 0.0}]",
            ["$.bands[0].high_mhz", "finite"],
        ),
        ("bands: [{low_mhz: 1.0, high_mhz: 2.0, max_power_dbm: .nan}]", ["$.bands[0].max_power"]),
        ("bands: [{low_hz: 1.0, high_mhz: 2.0, max_power_dbm: 0.0}]", ["$.bands[0]", "low_hz"]),
        ("source: me", ["$", "'source'"]),
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


def test_every_problem_is_named_at_once(tmp_path):
    bands = ["{low_mhz: 2.0, high_mhz: 1.0, max_power_dbm: 0.0}"] * 2
    path = written(tmp_path / "transmit.yaml", f"bands: [{', '.join(bands)}]\nlease_s: .inf")
    with pytest.raises(TransmitConfigurationError) as refused:
        load_transmit_limits([path])
    assert [problem.partition(":")[0] for problem in refused.value.problems] == [
        "$.bands[0]", "$.bands[1]", "$.lease_s",
    ]  # fmt: skip


def test_the_whole_day_may_be_written(tmp_path):
    path = written(tmp_path / "transmit.yaml", 'hours: ["00:00", "24:00"]')
    assert load_transmit_limits([path]).hours == (0.0, 24.0)


def test_what_is_there_but_no_file_does_not_fall_through_to_the_next_place(tmp_path):
    """Or whoever removes what a link leads to would give the next file the last word."""
    second = written(tmp_path / "second.yaml", WHOLE)
    link = tmp_path / "link.yaml"
    link.symlink_to(tmp_path / "gone.yaml")
    with pytest.raises(TransmitConfigurationError, match=f"{link}: No such file"):
        load_transmit_limits([link, second])
    with pytest.raises(TransmitConfigurationError, match=f"{tmp_path}: must be a file"):
        load_transmit_limits([tmp_path, second])
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # would be waited for
    with pytest.raises(TransmitConfigurationError, match=f"{pipe}: must be a file"):
        load_transmit_limits([pipe, second])
    assert load_transmit_limits([second / "below a file", second]).cabled


def test_a_link_is_judged_by_the_file_that_it_leads_to(tmp_path):
    path = written(tmp_path / "transmit.yaml", WHOLE)
    link = tmp_path / "link.yaml"
    link.symlink_to(path)
    assert load_transmit_limits([link]).cabled
    path.chmod(0o646)
    with pytest.raises(TransmitConfigurationError, match="mode 646"):
        load_transmit_limits([link])


def test_a_broken_configuration_is_the_users_to_mend(tmp_path):
    path = written(tmp_path / "transmit.yaml", "duty_cycle: 5")
    with pytest.raises(user_errors()) as refused:
        load_transmit_limits([path])
    assert explain(refused.value) == f"{path}: $.duty_cycle: must be a number <= 1.0, got 5"


EVERYBODY = Path("/etc/isac-testbed/transmit.yaml")


def places_anew() -> tuple[Path, ...]:
    """Places as a new process finds them, without touching the module that others imported."""
    places: tuple[Path, ...] = runpy.run_path(testbed.host.__file__)["TRANSMIT_PLACES"]
    return places


def test_no_environment_moves_the_places(monkeypatch):
    """The places are fixed when the module is made, from the password database."""
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS", "USER", "LOGNAME"):
        monkeypatch.setenv(name, "/nowhere")
    home = pwd.getpwuid(os.getuid()).pw_dir
    own = Path(f"{home}/.config/isac-testbed/transmit.yaml")
    assert places_anew() == testbed.host.TRANSMIT_PLACES == (EVERYBODY, own)


@pytest.mark.parametrize("home", [None, "", "relative"])
def test_a_user_without_a_home_has_the_hosts_place_only(monkeypatch, home):
    """As in a container; a relative home would be wherever a command is started."""

    def entry(_: int) -> pwd.struct_passwd:
        if home is None:
            raise KeyError
        return pwd.struct_passwd(("me", "x", 1, 1, "", home, ""))

    monkeypatch.setattr(pwd, "getpwuid", entry)
    assert places_anew() == (EVERYBODY,)
