"""The AD936x's programmable filters: what is loaded, and how long it delays.

pyadi-iio loads a filter with every rate, another one in each range of rates, so the delay in
samples changes with the rate. The delay is the centre of the taps, in samples of the filter's own
clock: that of the converter side, the decimation faster. Half-band filters are not counted.
"""

import re
from dataclasses import dataclass

# By number of taps and decimation: centres of the filters of pyadi-iio 0.0.21. Those that decimate
# by two are symmetric but for a zero at their end.
_CENTRES = {(128, 4): 63.5, (128, 2): 63.0, (96, 2): 47.0, (64, 2): 31.0}
# What the kernel's driver answers to a read of filter_fir_config.
_LOADED = re.compile(r"FIR Rx: (\d+),(\d+) Tx: (\d+),(\d+)")


@dataclass(frozen=True, slots=True)
class FilterDelays:
    """What the filters of one transceiver add to the time of flight.

    Attributes
    ----------
    rx_samples, tx_samples
        In samples of the rate in use.
    """

    rx_samples: float
    tx_samples: float


def filter_delays(config: str) -> FilterDelays | None:
    """Delays of the filters that a device's ``filter_fir_config`` tells of.

    ``None`` if it tells of none, or of such as pyadi-iio does not load.
    """
    found = _LOADED.search(config)
    if found is None:
        return None
    num_rx, decimation, num_tx, interpolation = map(int, found.groups())
    rx, tx = _CENTRES.get((num_rx, decimation)), _CENTRES.get((num_tx, interpolation))
    if rx is None or tx is None:
        return None
    return FilterDelays(rx / decimation, tx / interpolation)
