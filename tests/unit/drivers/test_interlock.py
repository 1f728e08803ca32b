"""The rules of the transmit interlock, each just inside and just outside."""

from dataclasses import replace

import numpy as np
import pytest

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
    found = describe_transmission(tone.astype(np.complex64), TUNING, ANY, 0.0)
    assert found.low_hz == pytest.approx(5.805e9, abs=2e3)
    assert found.high_hz == pytest.approx(5.805e9, abs=2e3)


def test_silence_is_judged_at_its_carrier():
    found = describe_transmission(np.zeros(1000, dtype=np.complex64), TUNING, ANY, 0.0)
    assert found.port_power_dbm == -np.inf
    assert found.low_hz == pytest.approx(5.8e9, abs=1e5)
    check_transmission(found, LIMITS, 0.0, 12.0)
    assert refusal(found, TransmitLimits()) == "permit"
