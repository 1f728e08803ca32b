"""A testbed of many processes finds what one process finds, to the last digit."""

import json
import subprocess
import time
from functools import cache
from pathlib import Path

import pytest

from tests.integration.running import TESTBED, running

EXAMPLES = Path(__file__).parents[2] / "examples"


@cache
def alone(site: Path, *options: str):
    """What one process finds."""
    done = subprocess.run(
        [*TESTBED, "localize", str(site), "--json", *options],
        capture_output=True, text=True, check=True, timeout=200,
    )  # fmt: skip
    return json.loads(done.stdout)


def without_time(result):
    return {key: value for key, value in result.items() if key != "elapsed_s"}


def status_once_heard_of(testbed, site, num_workers):
    """Workers serve a moment before the coordinator has heard of them."""
    until_s = time.monotonic() + 10.0
    while True:
        status = testbed.json("status", str(site))
        if len(status["workers"]) == num_workers or time.monotonic() > until_s:
            return status
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_paper_s_hall_with_forty_nodes_at_pilot_fidelity(tmp_path):
    site = EXAMPLES / "factory.yaml"
    with running(str(site), tmp_path, "--seed", "1", "--workers", "2") as testbed:
        status = status_once_heard_of(testbed, site, num_workers=2)
        assert sum(len(agent["node_ids"]) for agent in status["agents"]) == 40
        assert all(agent["present"] for agent in status["agents"])
        assert len(status["workers"]) == 2
        live = testbed.json("localize", str(site), "--live")
    assert live["status"] == "converged"
    assert without_time(live) == without_time(alone(site, "--seed", "1"))


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("where", [("--workers", "1"), ("--workers", "0", "--local-workers")])
def test_a_smaller_site_through_radios_that_share_nothing(tmp_path, where):
    """At IQ, with the clocks, phases and noise of the preset `lab`."""
    options = ("--seed", "3", "--fidelity", "iq", "--impairments", "lab")
    site = EXAMPLES / "lab.yaml"
    with running(str(site), tmp_path, *options, "--agents", "2", *where) as testbed:
        live = testbed.json("localize", str(site), "--live")
    assert without_time(live) == without_time(alone(site, *options))
