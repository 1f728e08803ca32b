"""Delays of an array's boards to each other, where each has a time of its own.

A pulse per second sets boards some nanoseconds apart. Scatterers beside a direct path pull at the
delay of each board another way, so that delays are of direct paths among clutter.
"""

from collections.abc import Sequence

import numpy as np

from calibration.direct_path import DirectPathWindow, find_direct_path
from drivers.geometry import FloatArray
from processing.alignment import Groups


def board_delays_s(windows: Sequence[DirectPathWindow], groups: Groups) -> FloatArray:
    """How much later than the first group of elements each has the direct paths, shape ``(C,)``.

    Parameters
    ----------
    windows
        All of one receiver, at least one; groups within some tenths of a cell of each other.
    groups
        Elements that share a time.
    """
    found = [
        [find_direct_path(window.of_elements(group)) for group in groups] for window in windows
    ]
    delay_s = np.array([[path.delay_s for path in paths] for paths in found])
    var_s2 = np.array([[path.delay_var_s2 for path in paths] for paths in found])
    weight = 1.0 / (var_s2 + var_s2[:, :1])
    later_s = delay_s - delay_s[:, :1]
    return np.asarray(np.sum(weight * later_s, axis=0) / weight.sum(axis=0))
