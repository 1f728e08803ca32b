"""Faults of Plutos in a running testbed: real libiio in agents as processes, software devices."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import iio
import pytest

from testbed.site import load_site
from tests.integration.cluster import wait_for
from tests.integration.running import free_port
from tests.vendor.faulty_hall import faulty_hall
from tests.vendor.live_faults import (
    LiveFaults,
    a_retune_costs_one_capture,
    comes,
    latest,
    says_what_cannot_be_tuned,
)
from tests.vendor.live_lab import live_lab, write_site

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

# Where nothing is looked for, a quarter of the samples will do.
SLOW = {"sample_rate_mhz": 15.36, "num_subcarriers": 332}


@pytest.fixture(scope="module")
def addresses():
    first = free_port()
    return [f"ip:127.0.0.1:{first + n}" for n in range(3)]


@pytest.fixture(scope="module")
def site_path(tmp_path_factory, addresses):
    return write_site(tmp_path_factory.mktemp("plutos"), "three_plutos.yaml", addresses, **SLOW)


@pytest.fixture(scope="module")
def hall(site_path):
    with faulty_hall(site_path) as hall:
        yield hall


@pytest.fixture(scope="module")
def lab(site_path, hall):
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
    site_path = write_site(tmp_path, "three_plutos.yaml", addresses, **SLOW, carrier_mhz=9000.0)
    says_what_cannot_be_tuned(site_path, hall)


@contextmanager
def sending(uri: str) -> Iterator[float]:
    """Another program sends with the device, nothing, over and over; since when."""
    context = iio.Context(uri)
    core = context.find_device("cf-ad9361-dds-core-lpc")
    for name in ("voltage0", "voltage1"):
        core.find_channel(name, True).enabled = True
    buffer = wait_for(lambda: cyclic_buffer(core), "a pause between two bursts of ours")
    try:
        yield time.monotonic()
    finally:
        del buffer  # before its context, or libiio crashes


def cyclic_buffer(core: iio.Device) -> iio.Buffer | None:
    """A buffer that repeats, unless the device is busy."""
    try:
        buffer = iio.Buffer(core, 4096, True)
    except OSError:
        return None
    buffer.write(bytearray(4 * 4096))
    buffer.push()
    return buffer


class TestPlutos(LiveFaults):
    lost = "the device is gone, or stopped answering|no radio answers"
    overflow = "inject overflow 2"  # the first of a buffer is not used
    underflow = "inject underflow 1"

    def test_a_device_that_another_program_sends_with_is_named(self, lab, sensing, addresses):
        tx_id = latest(sensing).tx_id
        with sending(addresses["abc".index(tx_id)]) as at_s:
            lab.is_recorded(lambda: at_s, tx_id, "somebody else uses", sensing)
        comes(sensing, lambda r: not r.sensed.problems)
