"""A radio in a package of its own is found, keeps the contract, and captures."""

import json
import os

import numpy as np
import pytest

from tests.contract.packages import ROOT, installed, run_testbed

PACKAGE = ROOT / "examples" / "cable_radio"
SITE = PACKAGE / "site.yaml"


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """One in which the example package is installed."""
    return installed(
        PACKAGE, tmp_path_factory.mktemp("site-packages"), tmp_path_factory.mktemp("source")
    )


def test_it_is_found(environment):
    listed = run_testbed(environment, "radio", "list")
    assert "cable: cable_radio:open_radio, from cable-radio" in listed.stdout.splitlines()


def test_it_keeps_the_contract(environment):
    checked = run_testbed(environment, "radio", "check", SITE, "--json")
    assert checked.returncode == 0, checked.stderr
    radios = json.loads(checked.stdout)["radios"]
    assert [radio["node_id"] for radio in radios] == ["a", "b"]
    for radio in radios:
        assert radio["error"] is None
        outcomes = {verdict["check"]: verdict["outcome"] for verdict in radio["verdicts"]}
        assert set(outcomes.values()) == {"passed", "not applicable"}
        assert [name for name, outcome in outcomes.items() if outcome == "not applicable"] == [
            "refuses times it cannot keep"
        ]


def test_it_captures(environment, tmp_path):
    """The cable's channel: 60 dB of loss and 7 samples of delay, known by construction."""
    done = run_testbed(environment, "calibrate", SITE, "--out", tmp_path / "entries")
    assert done.returncode == 0, done.stderr
    (entry, *_) = sorted((tmp_path / "entries").glob("*.npy"))
    channel = np.load(entry)
    assert channel.shape == (612, 2)
    assert 20.0 * np.log10(np.abs(channel).mean()) == pytest.approx(-60.0, abs=0.1)
    turn = np.angle(np.mean(channel[1:] * channel[:-1].conj()))
    delay_s = -turn / (2.0 * np.pi * 30e3)
    assert delay_s == pytest.approx(7.0 / 30.72e6, abs=2e-10)
    (header, *_) = sorted((tmp_path / "entries").glob("*.entry.json"))
    learned_with = json.loads(header.read_bytes())["learned_with"]
    assert learned_with["tx_radio"]["kind"] == learned_with["rx_radio"]["kind"] == "cable"
    assert learned_with["tx_radio"]["serial"] != learned_with["rx_radio"]["serial"]


def test_without_the_package_the_kind_is_unknown():
    checked = run_testbed(dict(os.environ), "radio", "check", SITE, "--node", "a")
    assert checked.returncode == 1
    assert "no installed package provides a radio of kind 'cable'" in checked.stdout
