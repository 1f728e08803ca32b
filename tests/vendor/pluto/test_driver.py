"""The Pluto driver through real pyadi-iio and libiio, against software boards."""

import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("adi", reason="pyadi-iio or libiio is not installed")

from drivers.burst import SoundingBurst  # noqa: E402, F401
