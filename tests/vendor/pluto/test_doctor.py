"""The doctor's question is one that the vendor's own daemon answers."""

import shutil
import socket
import subprocess
import time

import iio
import pytest

from testbed.doctor.addresses import addresses_of
from testbed.site import RadioSection
from tests.vendor.conftest import PLACES

CONTEXT = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE context [
<!ELEMENT context (device)*>
<!ELEMENT device EMPTY>
<!ATTLIST context name CDATA #REQUIRED description CDATA #IMPLIED>
<!ATTLIST device id CDATA #REQUIRED name CDATA #IMPLIED>
]>
<context name="xml" description="a device without channels"><device id="iio:device0" /></context>
"""


@pytest.fixture
def iiod_address(tmp_path):
    """Address of the vendor's daemon, which serves a context that is a file."""
    context = tmp_path / "context.xml"
    context.write_text(CONTEXT)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    iiod = shutil.which("iiod", path=PLACES)
    daemon = subprocess.Popen(
        [iiod, "-u", f"xml:{context}", "-p", str(port)], stderr=subprocess.DEVNULL
    )
    try:
        while daemon.poll() is None:
            with socket.socket() as knocking:
                if knocking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.01)
        yield f"ip:127.0.0.1:{port}"
    finally:
        daemon.kill()  # iiod 0.24 takes a minute to end by itself
        daemon.wait()


def test_the_vendor_s_daemon_answers_with_its_version(iiod_address):
    (found,) = addresses_of("a", RadioSection(kind="pluto", address=iiod_address))
    major, minor, _ = iio.version
    assert (found.state, found.found) == ("ok", f"{iiod_address}: IIOD {major}.{minor} answers")
