"""The rules of the transmit interlock: what this host may send.

Nothing that a site file or a command says reaches this module: the limits are the host's own.
"""

from dataclasses import dataclass

import numpy as np

from drivers.geometry import ComplexArray
from drivers.radio_errors import TransmitForbiddenError
from drivers.tuning import Capabilities, Tuning, transmit_power_dbm

# Share of a burst's power that its occupied band holds (ITU-R SM.328: 99 %).
_OCCUPIED_SHARE = 0.99
# Power is judged by the strongest stretch of this length, so that silence does not dilute it.
_POWER_WINDOW_S = 10e-6


@dataclass(frozen=True, slots=True)
class TransmitBand:
    """A band in which the host may send.

    Attributes
    ----------
    low_hz, high_hz
        Edges; the occupied band must lie between them.
    max_power_dbm
        At the antenna port, after the declared attenuation.
    """

    low_hz: float
    high_hz: float
    max_power_dbm: float


@dataclass(frozen=True, slots=True)
class TransmitLimits:
    """What a host may send.

    Attributes
    ----------
    bands
        Where, and how strong. Without any, nothing is sent over the air.
    max_transmission_s
        Longest single transmission, repetitions included.
    duty_cycle, duty_window_s
        Largest share of the time on air, over a window.
    hours
        Local times of day ``(from, to)`` in hours, which may pass midnight; ``None`` for always.
    attenuation_db
        Declared attenuation between radio port and antenna, or in the cable.
    cabled
        Transmitters and receivers are joined by cables: nothing is radiated, so bands and hours
        do not apply, but `receive_damage_dbm` does.
    receive_damage_dbm
        Power that may destroy the receiver at the cable's other end.
    damage_margin_db
        Kept below it.
    lease_s
        A transmission ends when its caller was silent for this long. Infinite: no watchdog, for
        radios that radiate nothing and whose time is not that of this host's clock.
    source
        Where the limits are set, or can be: the remedy that refusals name.
    """

    bands: tuple[TransmitBand, ...] = ()
    max_transmission_s: float = 0.1
    duty_cycle: float = 0.1
    duty_window_s: float = 10.0
    hours: tuple[float, float] | None = None
    attenuation_db: float = 0.0
    cabled: bool = False
    receive_damage_dbm: float = -15.0
    damage_margin_db: float = 6.0
    lease_s: float = 2.0
    source: str = TransmitForbiddenError.default_remedy


@dataclass(frozen=True, slots=True)
class Transmission:
    """What the rules judge.

    Attributes
    ----------
    low_hz, high_hz
        Occupied band.
    port_power_dbm, port_peak_dbm
        Nominal power at the radio's port of the strongest stretch, and of the largest sample.
    duration_s
        On air, repetitions included.
    """

    low_hz: float
    high_hz: float
    port_power_dbm: float
    port_peak_dbm: float
    duration_s: float


def describe_transmission(
    samples: ComplexArray, tuning: Tuning, capabilities: Capabilities, repeat_s: float
) -> Transmission:
    """Occupied band, power and length of samples that a radio would send with a tuning."""
    samples = samples.astype(np.complex128)  # single precision loses the band in long bursts' sums
    power = np.abs(samples) ** 2
    window = max(1, min(len(power), round(_POWER_WINDOW_S * tuning.sample_rate_hz)))
    # Repeated, the end runs into the beginning, and the spectrum has lines; sent once, it is
    # that of a burst between silences.
    after = power[: window - 1] if repeat_s > 0.0 else power[:0]
    running = np.cumsum(np.concatenate(([0.0], power, after)))
    strongest = float(np.max(running[window:] - running[:-window])) / window
    size = len(samples) if repeat_s > 0.0 else 4 * len(samples)
    spectrum = np.abs(np.fft.fftshift(np.fft.fft(samples, size))) ** 2
    total = float(np.sum(spectrum))
    # Silence occupies nothing but the carrier, where every transmitter leaks.
    share = np.cumsum(spectrum) / total if total else np.arange(size) >= size // 2
    tail = (1.0 - _OCCUPIED_SHARE) / 2.0
    edges = np.searchsorted(share, (tail, 1.0 - tail))
    offset_hz = np.fft.fftshift(np.fft.fftfreq(size, 1.0 / tuning.sample_rate_hz))
    low, high = offset_hz[np.minimum(edges, size - 1)]
    gain = tuning.tx_gain_db
    return Transmission(
        low_hz=float(tuning.carrier_hz + low),
        high_hz=float(tuning.carrier_hz + high),
        port_power_dbm=transmit_power_dbm(capabilities, gain, strongest),
        port_peak_dbm=transmit_power_dbm(capabilities, gain, float(power.max())),
        # NumPy's maximum, because NaN must stay NaN to be refused.
        duration_s=float(np.maximum(len(samples) / tuning.sample_rate_hz, repeat_s)),
    )


def check_transmission(
    transmission: Transmission, limits: TransmitLimits, on_air_s: float, hour: float
) -> None:
    """Refuse a transmission that a rule forbids; the first broken one is named.

    Parameters
    ----------
    on_air_s
        Seconds on air within the duty window so far.
    hour
        Local time of day, 0 to 24.

    Raises
    ------
    TransmitForbiddenError
    """
    if limits.cabled:
        _check_cable(transmission, limits)
    else:
        _check_air(transmission, limits, hour)
    # Every comparison in these rules asks for what is allowed, so that NaN is refused.
    if not transmission.duration_s <= limits.max_transmission_s:
        msg = (
            f"it lasts {transmission.duration_s:.3g} s, at most {limits.max_transmission_s:.3g} s "
            "may be sent in one go"
        )
        raise TransmitForbiddenError("duration", msg, limits.source)
    allowed_s = limits.duty_cycle * limits.duty_window_s
    if not on_air_s + transmission.duration_s <= allowed_s:
        msg = (
            f"with it {on_air_s + transmission.duration_s:.3g} s of the last "
            f"{limits.duty_window_s:.3g} s would be on air, at most {allowed_s:.3g} s may be"
        )
        raise TransmitForbiddenError("duty cycle", msg, limits.source)


def _check_cable(transmission: Transmission, limits: TransmitLimits) -> None:
    at_receiver_dbm = transmission.port_peak_dbm - limits.attenuation_db
    safe_dbm = limits.receive_damage_dbm - limits.damage_margin_db
    if not at_receiver_dbm <= safe_dbm:
        msg = (
            f"{transmission.port_peak_dbm:.1f} dBm peak through {limits.attenuation_db:.1f} dB of "
            f"attenuation put {at_receiver_dbm:.1f} dBm into the receiver at the cable's end, "
            f"which is safe up to {safe_dbm:.1f} dBm"
        )
        remedy = "put an attenuator into the cable and declare it in the host's configuration"
        raise TransmitForbiddenError("receive damage", msg, remedy)


def _check_air(transmission: Transmission, limits: TransmitLimits, hour: float) -> None:
    if not limits.bands:
        msg = "this host's configuration allows no band at all"
        raise TransmitForbiddenError("permit", msg, limits.source)
    holding = [
        band
        for band in limits.bands
        if band.low_hz <= transmission.low_hz and transmission.high_hz <= band.high_hz
    ]
    if not holding:
        allowed = ", ".join(
            f"{band.low_hz / 1e6:.6g} to {band.high_hz / 1e6:.6g} MHz" for band in limits.bands
        )
        msg = (
            f"it occupies {transmission.low_hz / 1e6:.6g} to {transmission.high_hz / 1e6:.6g} "
            f"MHz, allowed is {allowed}"
        )
        raise TransmitForbiddenError("band", msg, limits.source)
    power_dbm = transmission.port_power_dbm - limits.attenuation_db
    allowed_dbm = max(band.max_power_dbm for band in holding)
    if not power_dbm <= allowed_dbm:
        msg = f"{power_dbm:.1f} dBm at the antenna, allowed are {allowed_dbm:.1f} dBm"
        raise TransmitForbiddenError("power", msg, limits.source)
    if limits.hours is not None and not _within(hour, limits.hours):
        start, end = (_clock_time(value) for value in limits.hours)
        msg = f"it is {_clock_time(hour)}, allowed are {start} to {end}"
        raise TransmitForbiddenError("hours", msg, limits.source)


def _within(hour: float, hours: tuple[float, float]) -> bool:
    start, end = hours
    return start <= hour < end if start <= end else hour >= start or hour < end


def _clock_time(hour: float) -> str:
    minutes = int(hour * 60.0 + 1e-6)  # 8:01 is 8.01666..., which must not read 08:00
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
