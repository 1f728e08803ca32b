"""Analog Devices' AD936x boards (Pluto, FMComms2 to 5) through libiio and pyadi-iio.

Protocol-tested against libiio 0.24 and pyadi-iio 0.0.21 on software devices; it has not met
hardware. The vendor's modules are imported when a radio is opened, and nowhere else.
"""

from drivers.pluto.options import read_options, read_uri
from drivers.radio import Radio, RadioSpec


def open_pluto_radio(spec: RadioSpec) -> Radio:
    """Open an AD936x board; the address is its libiio URI, ``ip:HOST[:PORT]`` or ``usb:…``.

    The options are those of `drivers.pluto.options.PlutoOptions`.

    Raises
    ------
    RadioNotFoundError
        If there is no address, nothing answers there, it is no AD936x, or libiio is missing.
    RadioError
        If the options are wrong, or the device fails.
    """
    uri, options = read_uri(spec), read_options(spec)
    from drivers.pluto.radio import PlutoRadio

    return PlutoRadio(uri, options, spec.num_elements)
