"""A radio in a package of its own is found, keeps the contract, and captures."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "examples" / "cable_radio"
SITE = PACKAGE / "site.yaml"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> dict[str, str]:
    """An environment in which the example package is installed, and nothing else new."""
    target = tmp_path_factory.mktemp("site-packages")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "cable_radio.py"):
        (source / name).write_bytes((PACKAGE / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--no-build-isolation", "--disable-pip-version-check", "--target", target, source],
        check=True,
    )  # fmt: skip
    return os.environ | {"PYTHONPATH": str(target)}


def run_testbed(
    environment: dict[str, str], *arguments: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "testbed.cli", *map(str, arguments)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_it_is_found(installed):
    listed = run_testbed(installed, "radio", "list")
    assert "cable: cable_radio:open_radio, from cable-radio" in listed.stdout.splitlines()


def test_it_keeps_the_contract(installed):
    checked = run_testbed(installed, "radio", "check", SITE, "--json")
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


def test_it_captures(installed, tmp_path):
    """The cable's channel: 60 dB of loss and 7 samples of delay, known by construction."""
    done = run_testbed(installed, "calibrate", SITE, "--out", tmp_path / "entries")
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
