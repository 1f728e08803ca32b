"""The rules of the transmit interlock, each just inside and just outside."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.grids import preset_burst
from drivers.interlock import (
    Transmission,
    TransmitBand,
    TransmitLimits,
    check_transmission,
    describe_transmission,
)
from drivers.radio_errors import TransmitForbiddenError
from drivers.tuning import Tuning
from tests.unit.drivers.test_grids import ANY

TUNING = Tuning(5.8e9, 30.72e6, 0.0, 50.0)  # 10 dB under the highest gain: 0 dBm at full scale
LIMITS = TransmitLimits(
    bands=(TransmitBand(5.7e9, 5.9e9, 10.0), TransmitBand(2.4e9, 2.5e9, 20.0)),
    max_transmission_s=0.05,
    duty_cycle=0.1,
    duty_window_s=10.0,
    hours=(8.0, 18.0),
    attenuation_db=3.0,
)
PLAIN = Transmission(5.79e9, 5.81e9, 13.0, 15.0, 0.05)


def refusal(transmission, limits=LIMITS, on_air_s=0.0, hour=12.0) -> str:
    with pytest.raises(TransmitForbiddenError) as refused:
        check_transmission(transmission, limits, on_air_s, hour)
    assert f"the rule '{refused.value.rule}'" in str(refused.value)
    assert str(refused.value).endswith(refused.value.remedy)
    return refused.value.rule


def test_what_keeps_to_every_limit_is_allowed_up_to_them():
    check_transmission(PLAIN, LIMITS, 0.95, 8.0)
    check_transmission(replace(PLAIN, low_hz=5.7e9, high_hz=5.9e9), LIMITS, 0.0, 17.999)
    check_transmission(replace(PLAIN, low_hz=2.4e9, high_hz=2.5e9), LIMITS, 0.0, 12.0)


@pytest.mark.parametrize(
    ("rule", "changes", "on_air_s", "hour"),
    [
        ("band", {"low_hz": 5.6999e9}, 0.0, 12.0),
        ("band", {"high_hz": 5.9001e9}, 0.0, 12.0),
        ("band", {"low_hz": 2.4e9, "high_hz": 5.8e9}, 0.0, 12.0),  # from one band into another
        ("power", {"port_power_dbm": 13.01}, 0.0, 12.0),
        ("duration", {"duration_s": 0.0501}, 0.0, 12.0),
        ("duty cycle", {}, 0.951, 12.0),
        ("hours", {}, 0.0, 7.99),
        ("hours", {}, 0.0, 18.0),
    ],
)
def test_each_rule_refuses_just_outside(rule, changes, on_air_s, hour):
    assert refusal(replace(PLAIN, **changes), LIMITS, on_air_s, hour) == rule


def test_without_bands_nothing_goes_on_air():
    whisper = Transmission(5.8e9, 5.8e9, -150.0, -150.0, 1e-9)
    assert refusal(whisper, TransmitLimits()) == "permit"


def test_the_louder_band_counts_where_two_hold_a_burst():
    limits = replace(LIMITS, bands=(*LIMITS.bands, TransmitBand(5.75e9, 5.85e9, 14.0)))
    check_transmission(replace(PLAIN, port_power_dbm=17.0), limits, 0.0, 12.0)


@pytest.mark.parametrize(
    ("hours", "allowed", "forbidden"),
    [
        ((22.0, 6.0), (22.0, 23.99, 0.0, 5.99), (6.0, 12.0, 21.99)),
        ((0.0, 24.0), (0.0, 12.0, 23.999), ()),
        (None, (0.0, 12.0, 23.9), ()),
    ],
)
def test_hours_may_pass_midnight(hours, allowed, forbidden):
    limits = replace(LIMITS, hours=hours)
    for hour in allowed:
        check_transmission(PLAIN, limits, 0.0, hour)
    for hour in forbidden:
        assert refusal(PLAIN, limits, 0.0, hour) == "hours"


def test_a_cable_knows_no_bands_and_hours_but_what_it_ends_in():
    cable = TransmitLimits(
        cabled=True, attenuation_db=30.0, receive_damage_dbm=-10.0, damage_margin_db=6.0
    )
    strange = Transmission(1e9, 9e9, 10.0, 14.0, 0.01)
    check_transmission(strange, cable, 0.0, 3.0)  # 14 - 30 = -16 dBm, just safe
    assert refusal(replace(strange, port_peak_dbm=14.1), cable) == "receive damage"
    assert refusal(replace(strange, duration_s=0.2), cable) == "duration"
    assert refusal(strange, cable, on_air_s=1.0) == "duty cycle"


def test_a_burst_is_described_as_what_it_is():
    burst = preset_burst("pluto_20mhz", 5.8e9, num_symbols=2)
    samples = burst.samples()
    found = describe_transmission(samples, TUNING, ANY, 0.0)
    # 99 % of 612 tones of 30 kHz; the preamble, a comb within them, is a little narrower
    assert found.high_hz - found.low_hz == pytest.approx(0.99 * 18.36e6, rel=0.02)
    assert (found.low_hz + found.high_hz) / 2.0 == pytest.approx(5.8e9, abs=0.2e6)
    assert found.duration_s == pytest.approx(burst.duration_s)
    assert found.port_peak_dbm == pytest.approx(20.0 * np.log10(np.abs(samples).max()), abs=1e-3)
    mean_dbm = 10.0 * np.log10(burst.mean_square)
    assert mean_dbm - 0.1 < found.port_power_dbm < mean_dbm + 1.5  # the strongest 10 us
    assert describe_transmission(samples, TUNING, ANY, 0.5).duration_s == 0.5


def test_silence_around_a_burst_does_not_make_it_weaker():
    loud = np.full(1000, 0.9, dtype=np.complex64)
    alone = describe_transmission(loud, TUNING, ANY, 0.0)
    silence = np.zeros(50_000, dtype=np.complex64)
    padded = describe_transmission(np.concatenate((silence, loud, silence)), TUNING, ANY, 0.0)
    assert padded.port_power_dbm == pytest.approx(alone.port_power_dbm, abs=1e-6)
    assert alone.port_power_dbm == pytest.approx(20.0 * np.log10(0.9), abs=1e-6)


def test_a_tone_occupies_its_own_place():
    tone = 0.5 * np.exp(2j * np.pi * 5e6 / 30.72e6 * np.arange(30720))
    found = describe_transmission(tone.astype(np.complex64), TUNING, ANY, 0.01)
    assert found.low_hz == pytest.approx(5.805e9, abs=2e3)
    assert found.high_hz == pytest.approx(5.805e9, abs=2e3)


def test_silence_is_judged_at_its_carrier():
    found = describe_transmission(np.zeros(1000, dtype=np.complex64), TUNING, ANY, 0.0)
    assert found.port_power_dbm == -np.inf
    assert found.low_hz == pytest.approx(5.8e9, abs=1e5)
    check_transmission(found, LIMITS, 0.0, 12.0)
    assert refusal(found, TransmitLimits()) == "permit"


@pytest.mark.parametrize("field", ["low_hz", "high_hz", "port_power_dbm", "duration_s"])
def test_what_is_no_number_is_never_allowed(field):
    nothing = replace(PLAIN, **{field: float("nan")})
    expected = {"port_power_dbm": "power", "duration_s": "duration"}.get(field, "band")
    assert refusal(nothing) == expected


def test_limits_that_are_no_numbers_allow_nothing():
    unsure = float("nan")
    assert refusal(PLAIN, replace(LIMITS, bands=(TransmitBand(5e9, 6e9, unsure),))) == "power"
    assert refusal(PLAIN, replace(LIMITS, attenuation_db=unsure)) == "power"
    assert refusal(PLAIN, replace(LIMITS, max_transmission_s=unsure)) == "duration"
    assert refusal(PLAIN, replace(LIMITS, duty_cycle=unsure)) == "duty cycle"
    assert refusal(PLAIN, LIMITS, on_air_s=unsure) == "duty cycle"
    cable = TransmitLimits(cabled=True, attenuation_db=100.0)
    assert refusal(PLAIN, replace(cable, attenuation_db=unsure)) == "receive damage"
    assert refusal(PLAIN, replace(cable, receive_damage_dbm=unsure)) == "receive damage"
    assert refusal(replace(PLAIN, port_peak_dbm=unsure), cable) == "receive damage"


@pytest.mark.parametrize("repeat_s", [float("nan"), float("inf")])
def test_a_repetition_without_an_end_is_refused_as_too_long(repeat_s):
    found = describe_transmission(np.ones(100, dtype=np.complex64), TUNING, ANY, repeat_s)
    assert refusal(found, replace(LIMITS, attenuation_db=60.0)) == "duration"


def test_refusals_say_what_was_asked_and_allowed_and_where_it_is_set():
    limits = replace(LIMITS, source="see /somewhere/transmit.yaml", hours=(8.0, 22.0 + 21.0 / 60.0))
    cases = [
        (replace(PLAIN, high_hz=5.91e9), 12.0, "occupies 5790 to 5910 MHz, allowed is 5700 to"),
        (replace(PLAIN, port_power_dbm=20.0), 12.0, "17.0 dBm at the antenna, allowed are 10.0"),
        (replace(PLAIN, duration_s=0.07), 12.0, "lasts 0.07 s, at most 0.05 s"),
        (PLAIN, 23.0 + 59.9 / 60.0, "it is 23:59, allowed are 08:00 to 22:21"),
    ]
    for transmission, hour, words in cases:
        with pytest.raises(TransmitForbiddenError) as refused:
            check_transmission(transmission, limits, 0.0, hour)
        assert words in str(refused.value)
        assert str(refused.value).endswith("; see /somewhere/transmit.yaml")


def test_times_read_as_they_were_written():
    for hours in range(24):
        for minutes in range(60):
            hour = hours + minutes / 60.0
            with pytest.raises(TransmitForbiddenError) as refused:
                check_transmission(PLAIN, replace(LIMITS, hours=(hour + 0.01, hour)), 0.0, hour)
            text = f"{hours:02d}:{minutes:02d}"
            assert f"it is {text}, allowed are {text} to {text}" in str(refused.value)


@pytest.mark.parametrize(
    ("num_loud", "power_dbm"),
    [  # the window is 307 samples of 1 / 30.72 us: 10 us
        (1, -24.871),  # 10 log10(1 / 307)
        (154, -2.996),  # 10 log10(154 / 307)
        (307, 0.0),
        (5000, 0.0),
    ],
)
def test_power_is_that_of_the_strongest_ten_microseconds(num_loud, power_dbm):
    samples = np.zeros(20_000, dtype=np.complex64)
    samples[9_000 : 9_000 + num_loud] = 1.0
    found = describe_transmission(samples, TUNING, ANY, 0.0)
    assert found.port_power_dbm == pytest.approx(power_dbm, abs=1e-3)
    assert found.port_peak_dbm == pytest.approx(0.0, abs=1e-6)
    quieter = describe_transmission(samples, replace(TUNING, tx_gain_db=37.5), ANY, 0.0)
    assert quieter.port_power_dbm == pytest.approx(power_dbm - 12.5, abs=1e-3)


def test_a_burst_shorter_than_the_window_is_judged_by_itself():
    found = describe_transmission(np.full(50, 0.5, dtype=np.complex64), TUNING, ANY, 0.0)
    assert found.port_power_dbm == pytest.approx(-6.0206, abs=1e-4)


@pytest.mark.parametrize(
    ("share", "high_mhz"),
    [(0.004, 0.0), (0.006, 10.0)],  # half a percent may lie above the occupied band
)
def test_the_occupied_band_holds_all_but_half_a_percent_on_either_side(share, high_mhz):
    turn = 2j * np.pi * np.arange(30720) / 30.72e6
    samples = 0.9 * (np.sqrt(1.0 - share) + np.sqrt(share) * np.exp(turn * 10e6))
    found = describe_transmission(samples.astype(np.complex64) / 1.2, TUNING, ANY, 0.01)
    assert found.low_hz == pytest.approx(5.8e9, abs=1e3)
    assert found.high_hz == pytest.approx(5.8e9 + high_mhz * 1e6, abs=1e3)


@given(bins=st.integers(-300, 300), amplitude=st.floats(1e-3, 1.0), turn=st.floats(0.0, 6.3))
def test_moving_or_scaling_a_burst_moves_and_scales_what_it_is_taken_for(bins, amplitude, turn):
    n = np.arange(1000)
    plain = 0.9 * np.exp(1j * np.pi * (n - 500) ** 2 / 5000.0) * np.hanning(1000)
    moved = amplitude * plain * np.exp(2j * np.pi * bins * n / 1000 + 1j * turn)
    before = describe_transmission(plain, TUNING, ANY, 0.0)
    after = describe_transmission(moved, TUNING, ANY, 0.0)
    assert after.low_hz - before.low_hz == pytest.approx(bins * 30.72e3, abs=1.0)
    assert after.high_hz - before.high_hz == pytest.approx(bins * 30.72e3, abs=1.0)
    scaled_db = 20.0 * np.log10(amplitude)
    assert after.port_power_dbm - before.port_power_dbm == pytest.approx(scaled_db, abs=1e-6)
    assert after.port_peak_dbm - before.port_peak_dbm == pytest.approx(scaled_db, abs=1e-6)


def test_a_long_bursts_band_is_summed_in_double_precision():
    """Single precision took a third of this band away: a tone, and 3 % of power beside it."""
    size, num_filled, share = 1 << 20, 314_572, 0.03
    draw = np.random.default_rng(1)
    spectrum = np.zeros(size, dtype=complex)
    spectrum[0] = 1.0
    spectrum[1 : num_filled + 1] = np.sqrt(share / (1.0 - share) / num_filled) * np.exp(
        2j * np.pi * draw.random(num_filled)
    )
    samples = (0.48 * size * np.fft.ifft(spectrum)).astype(np.complex64)
    found = describe_transmission(samples, TUNING, ANY, 0.0)
    # 0.5 of the 3 % lie above, so five sixths of the filled band are occupied
    expected_hz = 5.0 / 6.0 * num_filled / size * 30.72e6
    assert found.high_hz - 5.8e9 == pytest.approx(expected_hz, rel=1e-3)


def test_the_strongest_stretch_of_a_repetition_may_lie_across_its_ends():
    samples = np.zeros(3072, dtype=np.complex64)
    samples[:154] = samples[-154:] = 1.0  # on air: 308 samples together, again and again
    found = describe_transmission(samples, TUNING, ANY, 0.01)
    assert found.port_power_dbm == pytest.approx(0.0, abs=0.01)  # -3 dB


@pytest.mark.parametrize("num_samples", [1, 8])
def test_a_short_burst_occupies_more_than_its_carrier(num_samples):
    """One sample fills the sample rate, eight of them half of it (99 % of a sinc squared)."""
    found = describe_transmission(np.ones(num_samples, dtype=np.complex64), TUNING, ANY, 0.0)
    assert found.high_hz - found.low_hz > 10e6
