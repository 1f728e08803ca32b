"""The programmable filters (FIR) of an AD936x, as clients load them."""

import errno
import re
from dataclasses import dataclass

import numpy as np

from sim_backend.iiod.attributes import RefusedError

_MAX_TAPS = 128
_TAPS_STEP = 16
_RATIOS = (1, 2, 4)
_RECEIVE = re.compile(r"RX\s+(\d)\s+GAIN\s+(-?\d{1,3})\s+DEC\s+(\d)")
_TRANSMIT = re.compile(r"TX\s+(\d)\s+GAIN\s+(-?\d{1,3})\s+INT\s+(\d)")
_TAP = re.compile(r"(-?\d{1,6})\s*,\s*(-?\d{1,6})")


@dataclass(frozen=True, slots=True)
class Fir:
    """One filter.

    Attributes
    ----------
    taps
        Its coefficients, at the rate on its fast side.
    ratio
        How much faster that side is than the samples: the decimation, or interpolation.
    """

    taps: tuple[int, ...] = ()
    ratio: int = 1

    def delay_s(self, sample_rate_hz: float) -> float:
        """Group delay at the carrier, in seconds: the centre of the coefficients' weight."""
        total = sum(self.taps)
        if not self.taps:
            return 0.0
        centre = (len(self.taps) - 1) / 2.0
        if total:
            centre = float(np.dot(np.arange(len(self.taps)), self.taps)) / total
        return centre / (sample_rate_hz * self.ratio)


def parsed_filters(text: str) -> tuple[Fir, Fir]:
    """Receive and transmit filter of a configuration.

    Lines ``RX <channels> GAIN <dB> DEC <n>`` and ``TX <channels> GAIN <dB> INT <n>``, then one
    line ``<tx>,<rx>`` for each pair of coefficients. Other lines set bandwidths and rates that
    belong to the filter; they are passed over.

    Raises
    ------
    RefusedError
        If a line is missing, or a number that the chip cannot have.
    """
    receive, transmit = _RECEIVE.search(text), _TRANSMIT.search(text)
    pairs = [found for line in text.splitlines() if (found := _TAP.fullmatch(line.strip()))]
    if receive is None or transmit is None:
        raise RefusedError(errno.EINVAL)
    ratios = int(receive[3]), int(transmit[3])
    fits = 0 < len(pairs) <= _MAX_TAPS and len(pairs) % _TAPS_STEP == 0
    if not fits or not set(ratios) <= set(_RATIOS):
        raise RefusedError(errno.EINVAL)
    return (
        Fir(tuple(int(pair[2]) for pair in pairs), ratios[0]),
        Fir(tuple(int(pair[1]) for pair in pairs), ratios[1]),
    )
