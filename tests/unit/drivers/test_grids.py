"""Grids that radios can send, and the nearest to those that they cannot."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.grids import (
    PRESET_NAMES,
    check_burst,
    fitting_sample_rate_hz,
    nearest_burst,
    prefix_length,
    preset_burst,
)
from drivers.radio_errors import BurstRefusedError
from drivers.tuning import Capabilities
from drivers.waveform import OfdmGrid

ANY = Capabilities(
    num_rx_channels=1, num_tx_channels=1, carrier_range_hz=(1e6, 1e11),
    sample_rate_range_hz=(1e5, 1e9), max_bandwidth_hz=1e9, rx_gain_range_db=(0.0, 60.0),
    tx_gain_range_db=(0.0, 60.0), max_transmit_samples=1 << 22, max_receive_samples=1 << 22,
    tx_full_scale_dbm=10.0, rx_full_scale_dbm=0.0, receive_damage_dbm=0.0, timed_bursts=True,
    repeats=True, pps=True, external_clock=True, hardware_trigger=False, overflow_detection=True,
    phase_stable_retune=False, coherent_groups=((0,),),
)  # fmt: skip
# AD9361: 70 MHz to 6 GHz, up to 61.44 MS/s and 56 MHz.
AD9361 = replace(
    ANY, carrier_range_hz=(70e6, 6e9), sample_rate_range_hz=(0.52e6, 61.44e6),
    max_bandwidth_hz=56e6, max_transmit_samples=1 << 18,
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "num_subcarriers", "spacing_hz", "rate_hz", "width_hz"),
    [
        ("paper", 6666, 15e3, 122.88e6, 99.99e6),
        ("nr_100mhz", 273 * 12, 30e3, 122.88e6, 98.28e6),
        ("e320_50mhz", 133 * 12, 30e3, 61.44e6, 47.88e6),
        ("pluto_20mhz", 51 * 12, 30e3, 30.72e6, 18.36e6),
    ],
)
def test_presets_are_what_their_standards_say(name, num_subcarriers, spacing_hz, rate_hz, width_hz):
    burst = preset_burst(name, 5.8e9)
    assert burst.grid.num_subcarriers == num_subcarriers
    assert burst.grid.subcarrier_spacing_hz == spacing_hz
    assert burst.sample_rate_hz == rate_hz
    assert burst.grid.bandwidth_hz == pytest.approx(width_hz)


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(ValueError, match="no grid preset 'nr'; there are paper, nr_100mhz"):
        preset_burst("nr", 1e9)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_what_fits_is_not_refused(name):
    check_burst(preset_burst(name, 5.8e9), ANY)


@pytest.mark.parametrize("name", ["e320_50mhz", "pluto_20mhz"])
def test_an_ad9361_sends_its_presets(name):
    check_burst(preset_burst(name, 5.8e9, num_symbols=14), AD9361)


def test_a_refusal_names_every_reason_and_what_would_fit():
    burst = preset_burst("paper", 10e9, num_symbols=40)
    with pytest.raises(BurstRefusedError) as refused:
        check_burst(burst, AD9361)
    for words in (
        "samples at 0.52 to 61.44 MS/s, the burst at 122.88",
        "is 56 MHz wide, the grid 99.99",
        "tunes from 70 to 6000 MHz, the burst needs 10000",
        "holds bursts of 262144 samples, this one has 336856",
        "the nearest that fits is 3481 tones of 15 kHz (52.22 MHz)",
    ):
        assert words in str(refused.value), words


@given(
    name=st.sampled_from(PRESET_NAMES),
    carrier_hz=st.floats(1e8, 5e10),
    num_symbols=st.integers(1, 100),
    lowest_hz=st.floats(1e7, 1e10),
    reach=st.floats(1.0, 10.0),
    rate=st.tuples(st.floats(1e5, 1e8), st.floats(1.0, 100.0)),
    width_hz=st.floats(1e5, 1e9),
    room=st.integers(100, 1 << 20),
)
def test_the_nearest_always_fits_or_there_is_none(
    name, carrier_hz, num_symbols, lowest_hz, reach, rate, width_hz, room
):
    burst = preset_burst(name, carrier_hz, num_symbols=num_symbols)
    able = replace(
        ANY, carrier_range_hz=(lowest_hz, lowest_hz * reach + 1e6),
        sample_rate_range_hz=(rate[0], rate[0] * rate[1]), max_bandwidth_hz=width_hz,
        max_transmit_samples=room,
    )  # fmt: skip
    nearest = nearest_burst(burst, able)
    if nearest is not None:
        check_burst(nearest, able)
        assert nearest.grid.num_subcarriers <= burst.grid.num_subcarriers
        assert nearest.num_symbols <= num_symbols
        assert nearest.grid.subcarrier_spacing_hz == burst.grid.subcarrier_spacing_hz


@given(st.integers(16, 20_000), st.sampled_from([15e3, 30e3, 60e3, 120e3]))
def test_a_fitting_rate_leaves_a_guard_band_and_factors_well(num_subcarriers, spacing_hz):
    rate_hz = fitting_sample_rate_hz(OfdmGrid(5e9, spacing_hz, num_subcarriers))
    length = round(rate_hz / spacing_hz)
    assert rate_hz == length * spacing_hz
    assert num_subcarriers / 0.85 < length < 1.3 * num_subcarriers / 0.85 + 8
    for factor in (2, 3, 5, 7, 11):
        while length % factor == 0:
            length //= factor
    assert length == 1


def test_the_prefix_is_twice_the_longest_delay():
    assert prefix_length(100e6, 1e-6) == 200
    assert prefix_length(100e6, 1.001e-6) == 201
    assert prefix_length(100e6, 0.0) == 16
