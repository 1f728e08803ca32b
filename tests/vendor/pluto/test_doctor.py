"""The doctor's question is one that the vendor's own daemon answers."""

import iio
import pytest

from testbed.doctor.addresses import addresses_of
from testbed.site import RadioSection
from tests.vendor.pluto.software import vendors_daemon

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
    with vendors_daemon(f"xml:{context}") as address:
        yield address


def test_the_vendor_s_daemon_answers_with_its_version(iiod_address):
    (found,) = addresses_of("a", RadioSection(kind="pluto", address=iiod_address))
    major, minor, _ = iio.version
    assert (found.state, found.found) == ("ok", f"{iiod_address}: IIOD {major}.{minor} answers")
