"""Grids that radios can send, and the nearest to those that they cannot."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.burst import SoundingBurst
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


@pytest.mark.parametrize(
    ("name", "channel_hz", "guard_hz"),
    [  # 3GPP TS 38.101-1, table 5.3.3-1, minimum guard band at 30 kHz
        ("nr_100mhz", 100e6, 845e3),
        ("e320_50mhz", 50e6, 1045e3),
        ("pluto_20mhz", 20e6, 805e3),
    ],
)
def test_nr_presets_keep_the_standards_guard_band(name, channel_hz, guard_hz):
    """The standard's guard lies between the channel's edge and half a tone beyond the last one."""
    grid = preset_burst(name, 5.8e9).grid
    outermost_hz = float(grid.offset_hz[-1])
    # (channel - width) / 2 - spacing / 2, with the last tone half a spacing inside the width
    assert channel_hz / 2.0 - (outermost_hz + 15e3) - 15e3 == pytest.approx(guard_hz)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_presets_leave_the_converters_pass_band_unfilled(name):
    burst = preset_burst(name, 5.8e9)
    assert burst.grid.bandwidth_hz / burst.sample_rate_hz <= 0.85
    assert burst.symbol_length & (burst.symbol_length - 1) == 0


@pytest.mark.parametrize("name", ["e320_50mhz", "pluto_20mhz"])
def test_an_ad9361_sends_the_presets_made_for_it(name):
    check_burst(preset_burst(name, 3.5e9, num_symbols=10), AD9361)
    with pytest.raises(BurstRefusedError, match=r"61\.44 MS/s, the burst at 122\.88"):
        check_burst(preset_burst("nr_100mhz", 3.5e9), AD9361)


# One symbol after its preamble, both with prefixes of 123: 123 + 4096 + 123 + 1024 samples.
FITTED = preset_burst("pluto_20mhz", 5.8e9)
SNUG = replace(
    ANY, carrier_range_hz=(5.800015e9, 5.800015e9), sample_rate_range_hz=(30.72e6, 30.72e6),
    max_bandwidth_hz=18.36e6, max_transmit_samples=5366, max_receive_samples=5366,
)  # fmt: skip


def test_a_radio_may_be_just_enough():
    check_burst(FITTED, SNUG)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"carrier_range_hz": (5.800016e9, 6e9)}, "tunes from"),
        ({"carrier_range_hz": (1e9, 5.800014e9)}, "tunes from"),
        ({"sample_rate_range_hz": (30.73e6, 40e6)}, "samples at"),
        ({"sample_rate_range_hz": (1e6, 30.71e6)}, "samples at"),
        ({"max_bandwidth_hz": 18.35e6}, "MHz wide"),
        ({"max_transmit_samples": 5365}, "bursts of 5365 samples, this one has 5366"),
        ({"max_receive_samples": 5365}, "bursts of 5365 samples, this one has 5366"),
    ],
)
def test_each_limit_refuses_just_outside_and_alone(changes, words):
    with pytest.raises(BurstRefusedError) as refused:
        check_burst(FITTED, replace(SNUG, **changes))
    problem = str(refused.value).removesuffix(refused.value.remedy)
    assert words in problem
    assert ", and " not in problem


@given(
    name=st.sampled_from(PRESET_NAMES), num_symbols=st.integers(1, 20),
    carrier_hz=st.floats(1e9, 5e10), spare=st.lists(st.floats(0.0, 3.0), min_size=6, max_size=6),
)  # fmt: skip
def test_whatever_a_radio_has_room_for_is_not_refused(name, num_symbols, carrier_hz, spare):
    burst = preset_burst(name, carrier_hz, num_symbols=num_symbols)
    low, high, slow, fast, wide, long = (1.0 + share for share in spare)
    able = replace(
        ANY,
        carrier_range_hz=(burst.local_oscillator_hz / low, burst.local_oscillator_hz * high),
        sample_rate_range_hz=(burst.sample_rate_hz / slow, burst.sample_rate_hz * fast),
        max_bandwidth_hz=burst.grid.bandwidth_hz * wide,
        max_transmit_samples=int(burst.num_samples * long),
    )
    check_burst(burst, able)


@given(name=st.sampled_from(PRESET_NAMES), num_symbols=st.integers(1, 20))
def test_the_nearest_to_what_fits_is_itself(name, num_symbols):
    burst = preset_burst(name, 5.8e9, num_symbols=num_symbols)
    assert nearest_burst(burst, ANY) == burst


def test_the_nearest_keeps_what_it_can():
    """By hand: 61.44 MS/s are 2048 samples a symbol, of which 85 % are 1740 tones."""
    wanted = preset_burst("nr_100mhz", 3.5e9, num_symbols=200)
    nearest = nearest_burst(wanted, AD9361)
    # A prefix of 492 samples lasts 246 at half the rate; 262144 samples hold
    # 246 + 4096 + 246 + n * 2048 with n = 125 (and 1556 to spare).
    assert nearest == SoundingBurst(OfdmGrid(3.5e9, 30e3, 1740), 61.44e6, 125, 246)
    low = nearest_burst(preset_burst("pluto_20mhz", 40e6), AD9361)
    high = nearest_burst(preset_burst("pluto_20mhz", 10e9), AD9361)
    assert low is not None
    assert high is not None
    assert 70e6 <= low.local_oscillator_hz <= 70e6 + 30e3  # moved no further than it must
    assert 6e9 - 30e3 <= high.local_oscillator_hz <= 6e9


@pytest.mark.parametrize(
    "changes",
    [
        {"sample_rate_range_hz": (1e5, 5e5)},  # 16 samples at most: no tones and a guard band
        {"max_bandwidth_hz": 400e3},  # 13 tones of 30 kHz
        {"sample_rate_range_hz": (56.001e6, 56.009e6)},  # no multiple of 30 kHz
        {"max_receive_samples": 4096},  # the preamble alone
    ],
)
def test_where_nothing_fits_the_refusal_says_so(changes):
    able = replace(ANY, **changes)
    assert nearest_burst(FITTED, able) is None
    with pytest.raises(BurstRefusedError, match="no grid of this subcarrier spacing and carrier"):
        check_burst(FITTED, able)


@pytest.mark.parametrize("carrier_hz", [5.8e9, 5.9e9])
def test_the_nearest_fits_a_radio_of_one_carrier(carrier_hz):
    able = replace(ANY, carrier_range_hz=(5.8e9, 5.8e9))
    nearest = nearest_burst(preset_burst("pluto_20mhz", carrier_hz), able)
    if nearest is not None:
        check_burst(nearest, able)


def test_a_shorter_symbol_is_offered_where_a_buffer_is_short():
    able = replace(ANY, max_transmit_samples=16384)
    # Half the rate and half the tones: 246 + 4096 + 246 + 4096 samples.
    check_burst(SoundingBurst(OfdmGrid(5.8e9, 15e3, 3276), 61.44e6, 1, 246), able)
    assert nearest_burst(preset_burst("paper", 5.8e9), able) is not None


@pytest.mark.parametrize("num_subcarriers", [512, 612, 1024, 1596, 6666])
def test_at_a_fitting_rate_the_preamble_repeats_itself(num_subcarriers):
    grid = OfdmGrid(5.8e9, 30e3, num_subcarriers)
    assert SoundingBurst(grid, fitting_sample_rate_hz(grid)).preamble_stride >= 8
