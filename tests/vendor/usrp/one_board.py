"""What tests of one board tune it to, and send."""

import numpy as np

from drivers.radio import Radio, RadioSpec
from drivers.tuning import Tuning
from drivers.usrp import open_usrp_radio
from tests.vendor.usrp.emulated import EmulatedUsrps

TUNING = Tuning(2.4e9, 10e6, 40.0, 60.0, "internal", "none")
BURST = np.full(1000, 0.1, np.complex64)
LONG_BURST = np.full(3_000_000, 0.1, np.complex64)


def open_on(usrps: EmulatedUsrps, **options: object) -> Radio:
    return open_usrp_radio(RadioSpec("a", 2, usrps.address, options))
