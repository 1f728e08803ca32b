"""What an antenna hears of bursts on air, one path and one instant after the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

FS_PER_S = 10**15


@dataclass(frozen=True)
class Sent:
    """Samples that left an antenna, and the paths that they take.

    Attributes
    ----------
    samples
        Shape ``(K,)``.
    start_fs, step_s
        True time of the first sample, and true distance of the samples.
    carrier_hz
        The carrier that they are on.
    gain, delay_s
        Of each path, shape ``(S,)``, and to each element, shape ``(S, M)``.
    """

    samples: np.ndarray
    start_fs: int
    step_s: float
    carrier_hz: float
    gain: np.ndarray
    delay_s: np.ndarray


def reconstruction(lag_s: np.ndarray, step_s: float, low_hz: float, high_hz: float) -> np.ndarray:
    """Contribution of one sample at an instant ``lag_s`` after it.

    The ideal reconstruction of samples ``step_s`` apart passes all frequencies up to half their
    rate alike; a filter leaves those between two limits of them:
    ``step integral_low^high exp(j 2 pi f lag) df``. Without a filter this is ``sinc(lag / step)``.
    """
    width_hz, middle_hz = high_hz - low_hz, (high_hz + low_hz) / 2.0
    return step_s * width_hz * np.sinc(width_hz * lag_s) * np.exp(2j * np.pi * middle_hz * lag_s)


def heard(
    sent: Sequence[Sent], start_fs: int, step_s: float, num_samples: int, carrier_hz: float
) -> np.ndarray:
    """Baseband of a receiver's antennas at its instants, shape ``(N, M)``, complex128.

    ``y(t) = sum_s g_s x(t - tau_s) exp(-j 2 pi f_c tau_s) exp(j 2 pi (f_c - f_r) t)``, with ``x``
    reconstructed from its samples, and the receiver's band of its own sample rate around ``f_r``.
    """
    total = np.zeros((num_samples, sent[0].delay_s.shape[1]), dtype=complex)
    for burst in sent:
        above_hz = burst.carrier_hz - carrier_hz
        low_hz = max(-0.5 / burst.step_s, -above_hz - 0.5 / step_s)
        high_hz = min(0.5 / burst.step_s, -above_hz + 0.5 / step_s)
        if low_hz >= high_hz:
            continue
        after_s = (start_fs - burst.start_fs) / FS_PER_S + np.arange(num_samples) * step_s
        leaves_s = np.arange(len(burst.samples)) * burst.step_s
        turns_before = Fraction(above_hz) * Fraction(start_fs, FS_PER_S)  # many, and exact
        beat = float(turns_before % 1) + above_hz * step_s * np.arange(num_samples)
        for gain, delays_s in zip(burst.gain, burst.delay_s, strict=True):
            for m, delay_s in enumerate(delays_s):
                lag_s = after_s[:, None] - delay_s - leaves_s[None]
                arrived = reconstruction(lag_s, burst.step_s, low_hz, high_hz) @ burst.samples
                turns = beat - burst.carrier_hz * delay_s
                total[:, m] += gain * arrived * np.exp(2j * np.pi * turns)
    return total


def heard_between_free_clocks(
    samples: np.ndarray,
    gain: np.ndarray,
    delay_s: np.ndarray,
    carrier_hz: float,
    instants_s: np.ndarray,
    tx_device_s: Callable[[np.ndarray], np.ndarray],
    rx_device_s: Callable[[np.ndarray], np.ndarray],
    first_device_s: float,
    step_s: float,
) -> np.ndarray:
    """Baseband of a receiver whose clock and transmitter's run as they like, shape ``(N, M)``.

    A clock drives its node's converter and its oscillator, so the wave that leaves at true time t
    is ``x(D_t(t)) exp(j 2 pi f D_t(t))`` with the transmitter's device time ``D_t``, and mixing
    takes ``exp(j 2 pi f D_r(t))`` away again.

    Parameters
    ----------
    instants_s
        True times of the receiver's samples, shape ``(N,)``.
    tx_device_s, rx_device_s
        Device time as a function of true time.
    first_device_s, step_s
        The transmitter's device time of its first sample, and nominal distance of its samples.
    """
    total = np.zeros((len(instants_s), delay_s.shape[1]), dtype=complex)
    leaves_s = first_device_s + np.arange(len(samples)) * step_s
    here_s = rx_device_s(instants_s)
    for amplitude, delays_s in zip(gain, delay_s, strict=True):
        for m, delay in enumerate(delays_s):
            there_s = tx_device_s(instants_s - delay)
            arrived = np.sinc((there_s[:, None] - leaves_s[None]) / step_s) @ samples
            # There less here: small, so that its cycles are exact.
            total[:, m] += (
                amplitude * arrived * np.exp(2j * np.pi * carrier_hz * (there_s - here_s))
            )
    return total
