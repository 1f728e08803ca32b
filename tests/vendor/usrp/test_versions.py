"""The vendor's library loads beside the NumPy that it was built for."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import uhd

import testbed
from testbed.doctor.software import software_of


def test_the_module_is_the_system_s_and_the_numpy_is_not():
    """Only the folder of uhd is linked in: all else comes from the lock."""
    environment = Path(sys.prefix)
    assert not Path(uhd.__file__).resolve().is_relative_to(environment)
    assert Path(np.__file__).resolve().is_relative_to(environment)


def test_this_checkout_is_what_is_tested():
    assert Path(testbed.__file__).resolve().is_relative_to(Path(__file__).resolve().parents[3])


def test_uhd_loads_without_a_complaint_of_numpy_s():
    found = software_of("usrp")
    assert found.state == "ok"
    assert found.found.startswith("UHD 4")


def test_the_vendor_s_programs_are_of_the_same_library():
    told = subprocess.run(
        ["uhd_config_info", "--version"], capture_output=True, text=True, check=True
    ).stdout
    assert told.split()[1][:3] in software_of("usrp").found
