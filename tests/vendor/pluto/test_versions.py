"""The vendor's libraries are those that the driver was written against."""

import subprocess

import adi
import iio


def test_libiio_is_one_that_speaks_the_text_protocol():
    """libiio 1 speaks another one by itself, and its binding has other names."""
    major, minor, _ = iio.version
    assert (major, minor) >= (0, 23)
    assert major == 0


def test_libiio_reaches_devices_over_the_network():
    assert "ip" in iio.backends


def test_pyadi_iio_has_the_devices():
    assert {"Pluto", "ad9361", "ad9364", "FMComms5"} <= set(dir(adi))


def test_the_vendor_s_programs_are_of_the_same_library():
    # It fails afterwards where the host has no devices of its own.
    told = subprocess.run(["iio_info", "-V"], capture_output=True, text=True, check=False).stdout
    assert f"Library version: {iio.version[0]}.{iio.version[1]} " in told
