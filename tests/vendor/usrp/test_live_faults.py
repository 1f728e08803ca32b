"""Faults of USRPs in a running testbed: real libuhd in agents as processes, software devices."""

import random
import re
import time
from contextlib import closing
from functools import partial

import pytest

from drivers.radio import RadioSpec
from drivers.radio_errors import RadioError
from drivers.usrp import open_usrp_radio
from testbed.site import load_site
from tests.integration.cluster import wait_for
from tests.vendor.faulty_hall import faulty_hall
from tests.vendor.live_faults import (
    LiveFaults,
    a_retune_costs_one_capture,
    comes,
    latest,
    says_what_cannot_be_tuned,
)
from tests.vendor.live_lab import live_lab, takes_part, write_site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def addresses():
    block = random.SystemRandom().randrange(10, 250)  # beside other runs on this machine
    return [f"addr=127.{block}.0.{host}" for host in (2, 4, 6)]


@pytest.fixture(scope="module")
def site_path(tmp_path_factory, addresses):
    return write_site(tmp_path_factory.mktemp("usrps"), "usrp_array.yaml", addresses)


@pytest.fixture(scope="module")
def hall(site_path):
    with faulty_hall(site_path) as hall:
        yield hall


@pytest.fixture(scope="module")
def another_program(addresses, hall):
    """It has one of the devices open when the testbed starts."""
    with closing(open_usrp_radio(RadioSpec("c", 2, addresses[2]))) as radio:
        yield radio


@pytest.fixture(scope="module")
def lab(site_path, hall, another_program):
    with live_lab(site_path, hall, "--agents", "3", "--workers", "1") as lab:
        yield lab


@pytest.fixture(scope="module")
def sensing(lab):
    job = lab.job("localize", "sensing", background="none")
    yield job
    job.cancel(lab.watch)


def test_a_retune_while_a_background_is_learned_costs_one_capture(site_path, hall):
    a_retune_costs_one_capture(load_site(site_path))


def test_a_carrier_out_of_range_is_said_of_every_node(tmp_path, addresses, hall):
    site_path = write_site(tmp_path, "usrp_array.yaml", addresses, carrier_mhz=9000.0)
    says_what_cannot_be_tuned(site_path, hall)


def test_a_device_in_use_is_named_and_had_as_soon_as_it_is_free(lab, another_program):
    job = lab.job("calibrate", "too-early")
    job.join(20.0)
    assert re.search(r"never open.*: c \(the USRP at .* is in use by another program", str(job.end))
    another_program.close()
    wait_for(lambda: lab.node("c").fault is None, "c is had")


class TestUsrps(LiveFaults):
    lost = "no longer answers|stopped answering|no USRP answers"
    overflow = "busy overflow"
    underflow = "underflow"

    def test_another_program_is_refused_and_disturbs_nobody(self, lab, sensing, addresses):
        before = lab.node("c").fault
        with pytest.raises(RadioError, match="in use by another program"):
            open_usrp_radio(RadioSpec("c", 2, addresses[2]))
        comes(sensing, lambda r: takes_part(r, "c") and not r.sensed.problems)
        assert lab.node("c").fault == before

    def test_a_lost_pulse_is_said_of_its_node_until_it_is_back(self, lab, sensing):
        def strike() -> float:  # when the first pulse does not come
            at_s = lab.hall.strike("lose_pulses", "c")
            return at_s + 1.0 - time.time() % 1.0

        lab.is_recorded(strike, "c", "pulse per second is not there", sensing)
        comes(sensing, lambda r: not takes_part(r, "c") and not r.sensed.problems)
        lab.hall.strike("restore_pulses", "c")
        comes(sensing, lambda r: takes_part(r, "c") and not r.sensed.problems)

    def test_a_command_that_comes_too_late_costs_one_capture(self, lab, sensing):
        node_id = latest(sensing).rx_ids[0]
        strike = partial(lab.hall.strike, "be_late", node_id)
        lab.is_recorded(strike, node_id, "reached the device too late", sensing)
        comes(sensing, lambda r: takes_part(r, node_id) and not r.sensed.problems)
