"""The Pluto driver on a board, and what its tests do with it."""

import time

import numpy as np

from drivers.pluto import open_pluto_radio
from drivers.radio import RadioSpec
from drivers.radio_errors import RadioError
from drivers.tuning import Tuning

TUNING = Tuning(2.45e9, 4e6, 60.0, -5.0)
PATIENCE_S = 20.0
REPEAT_S = 30.0  # as good as for ever


def opened(uri: str, num_elements: int = 1, **options):
    return open_pluto_radio(RadioSpec("a", num_elements, uri, options))


def received(radio, num_samples: int = 8192):
    radio.arm_receive(num_samples)
    return radio.fetch()


def chirp(num_samples: int = 1000, amplitude: float = 0.9) -> np.ndarray:
    n = np.arange(num_samples)
    return (amplitude * np.exp(1j * np.pi * n * (n - num_samples) / 4 / num_samples)).astype(
        np.complex64
    )


def sends(radio) -> bool:
    """Whether it may send, as nobody else does on its device."""
    try:
        radio.transmit(chirp(), None, REPEAT_S)
    except RadioError as error:
        if "somebody else uses the device" not in str(error):
            raise
        return False
    return True


def until(holds) -> bool:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        if holds():
            return True
    return False
