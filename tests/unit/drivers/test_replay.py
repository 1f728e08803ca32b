"""A replayed radio gives what was recorded, and refuses what was not."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.array import UniformLinearArray
from drivers.burst import SoundingBurst
from drivers.capture import missing_capture
from drivers.contract import Bench, NotApplicableError
from drivers.contract_checks import CHECKS
from drivers.geometry import Pose
from drivers.node import Node
from drivers.radio import IqBlock, Radio, RadioHealth, RadioSpec, TransmitReport
from drivers.radio_errors import (
    BurstRefusedError,
    EndOfRecordingError,
    RadioClosedError,
    RadioError,
    RadioNotFoundError,
    TuningError,
)
from drivers.recording import Recording, RecordingWriter
from drivers.registry import open_radio
from drivers.replay import ReplayRadio, open_replay_radio
from drivers.tuning import Tuning, transmit_power_dbm
from drivers.waveform import OfdmGrid

GRID = OfdmGrid(carrier_hz=3.5e9, subcarrier_spacing_hz=30e3, num_subcarriers=24)
BURST = SoundingBurst(GRID, sample_rate_hz=1.92e6, num_symbols=2, prefix_length=7)
TUNING = Tuning(carrier_hz=3.5e9, sample_rate_hz=1.92e6, rx_gain_db=30.0, tx_gain_db=10.0)
LOUD = replace(TUNING, rx_gain_db=60.0, clock_source="external", time_source="pps")


def node(node_id: str) -> Node:
    return Node(node_id, node_id, Pose((1.0, 2.0), 0.7), UniformLinearArray(3, 0.04))


def block(seed: int, num_samples: int = 80, num_channels: int = 3, **changes) -> IqBlock:
    shape = (num_samples, num_channels, 2)
    parts = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    plain = IqBlock(
        samples=parts.view(np.complex64)[..., 0],
        first_sample_tick=1000 * (seed + 1),
        tick_rate_hz=1.92e6,
        tuning=TUNING,
        full_scale_dbm=-30.0,
        config_epoch=1,
    )
    return replace(plain, **changes)


def recording_of(root: Path, blocks: list[IqBlock], tx_id: str = "a", rx_id: str = "b"):
    with RecordingWriter(root, {}) as writer:
        for n, given_block in enumerate(blocks):
            writer.add_block("sensing", n, node(tx_id), node(rx_id), BURST, given_block)
    return Recording(root)


def replayed(root: Path, blocks: list[IqBlock], tuning: Tuning = TUNING) -> ReplayRadio:
    radio = ReplayRadio(recording_of(root, blocks), "b")
    radio.configure(tuning)
    return radio


def received(radio: Radio, num_samples: int = 80, at_tick: int | None = None) -> IqBlock:
    radio.arm_receive(num_samples, at_tick)
    return radio.fetch()


def assert_same(found: IqBlock, expected: IqBlock) -> None:
    assert replace(found, samples=None) == replace(expected, samples=None)
    assert found.samples.dtype == np.complex64
    np.testing.assert_array_equal(found.samples, expected.samples)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_contract_is_kept(tmp_path, check):
    blocks = [block(n, first_sample_tick=n * 100) for n in range(4)]
    quiet = [replace(b, samples=b.samples / np.float32(8.0)) for b in blocks]
    radio = ReplayRadio(recording_of(tmp_path / "r", quiet), "b")
    with suppress(NotApplicableError):
        check(Bench(radio, TUNING, num_samples=80))


def test_blocks_come_in_the_order_of_recording(tmp_path):
    blocks = [block(n, overflow=n == 1, late=n == 2, clock_locked=n < 2) for n in range(3)]
    radio = replayed(tmp_path / "r", blocks)
    assert radio.health() == RadioHealth()
    for expected in blocks:
        assert_same(received(radio), expected)
    assert radio.health() == RadioHealth(clock_locked=False, num_overflows=1, num_lates=1)
    with pytest.raises(EndOfRecordingError, match="node 'b' has no more of its 3 blocks"):
        received(radio)
    with pytest.raises(EndOfRecordingError, match="record more"):
        received(radio)


def test_fewer_samples_are_the_first_of_a_block(tmp_path):
    blocks = [block(0), block(1, num_samples=60)]
    radio = replayed(tmp_path / "r", blocks)
    for expected in blocks:
        assert_same(received(radio, 50), replace(expected, samples=expected.samples[:50]))


def test_each_node_has_its_own_blocks(tmp_path):
    with RecordingWriter(tmp_path / "r", {}) as writer:
        for n in range(4):
            rx = node("bc"[n % 2])
            writer.add_block("background", n, node("a"), rx, BURST, block(n))
            lost = missing_capture("a", rx.node_id, GRID, "nothing")
            writer.add_capture("background", n, node("a"), rx, GRID, lost)
    recording = Recording(tmp_path / "r")
    for name, seeds in (("b", (0, 2)), ("c", (1, 3))):
        radio = ReplayRadio(recording, name)
        radio.configure(TUNING)
        for seed in seeds:
            assert_same(received(radio), block(seed))


def test_the_block_at_a_tick(tmp_path):
    radio = replayed(tmp_path / "r", [block(n) for n in range(9)])
    assert_same(received(radio, at_tick=5000), block(4))
    assert_same(received(radio), block(5))  # and on from there
    assert_same(received(radio, at_tick=2000), block(1))
    assert_same(received(radio), block(2))
    message = (
        "no block of node 'b' begins at tick 2999; of its 9 ticks the nearest are "
        "1000, 2000, 3000, 4000, 5000"
    )
    with pytest.raises(EndOfRecordingError) as caught:
        received(radio, at_tick=2999)
    assert str(caught.value) == message
    assert_same(received(radio), block(3))  # nothing was lost


def test_a_tick_that_comes_twice_is_rather_one_to_come(tmp_path):
    """As after a restart of the device."""
    blocks = [block(0), block(1), block(2, first_sample_tick=1000)]
    radio = replayed(tmp_path / "r", blocks)
    for expected in (blocks[0], blocks[2], blocks[0]):
        assert_same(received(radio, at_tick=1000), expected)


def test_blocks_without_ticks(tmp_path):
    blocks = [block(n, first_sample_tick=None) for n in range(2)]
    radio = replayed(tmp_path / "r", blocks)
    assert radio.time_ticks() == 0
    for n, expected in enumerate(blocks):
        assert_same(received(radio), expected)
        assert radio.time_ticks() == 80 * (n + 1)
    with pytest.raises(EndOfRecordingError, match="its blocks carry no ticks"):
        received(radio, at_tick=0)


@given(
    ticks=st.lists(st.none() | st.integers(0, 10_000), min_size=1, max_size=8),
    asked=st.lists(st.none() | st.integers(0, 7), max_size=12),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_time_never_goes_backward(tmp_path_factory, ticks, asked):
    blocks = [block(n, 10, first_sample_tick=tick) for n, tick in enumerate(ticks)]
    radio = replayed(tmp_path_factory.mktemp("time") / "r", blocks)
    now = radio.time_ticks()
    for place in asked:
        at_tick = None if place is None else ticks[place % len(ticks)]
        try:
            found = received(radio, 10, at_tick)
        except EndOfRecordingError:
            assert radio.time_ticks() == now
            continue
        assert radio.time_ticks() >= now
        now = radio.time_ticks()
        if found.first_sample_tick is not None:
            assert now >= found.first_sample_tick + 10


def test_capabilities_are_what_was_used(tmp_path):
    blocks = [block(0), block(1, num_samples=64, tuning=LOUD, overflow=True, full_scale_dbm=-60.0)]
    able = replayed(tmp_path / "r", blocks).info.capabilities
    assert able.carrier_range_hz == (3.5e9, 3.5e9)
    assert able.sample_rate_range_hz == (1.92e6, 1.92e6)
    assert able.rx_gain_range_db == (30.0, 60.0)
    low_db, high_db = able.tx_gain_range_db
    assert low_db < 10.0 < high_db
    # At the recorded gain the burst has the node's nominal power.
    assert transmit_power_dbm(able, 10.0, BURST.mean_square) == pytest.approx(23.0)
    assert able.max_bandwidth_hz == 1.92e6
    assert able.max_receive_samples == 64
    assert able.max_transmit_samples == BURST.num_samples
    assert (able.num_rx_channels, able.num_tx_channels) == (3, 1)
    assert able.coherent_groups == ((0, 1, 2),)
    assert able.rx_full_scale_dbm == 0.0
    assert (able.pps, able.external_clock, able.overflow_detection) == (True, True, True)
    assert not any((able.timed_bursts, able.repeats, able.radiates, able.hardware_trigger))
    able.check(TUNING)
    able.check(LOUD)


def test_only_recorded_tunings_are_accepted(tmp_path):
    radio = ReplayRadio(recording_of(tmp_path / "r", [block(0)]), "b")
    for changes in (
        {"carrier_hz": 3.6e9},
        {"sample_rate_hz": 3.84e6},
        {"rx_gain_db": 31.0},
        {"tx_gain_db": 11.0},
        {"clock_source": "external"},
        {"time_source": "pps"},
    ):
        with pytest.raises(TuningError, match="was not recorded with") as caught:
            radio.configure(replace(TUNING, **changes))
        assert str(caught.value).endswith(f"tune it as recorded: {TUNING}")
    # As a device that goes to the nearest step of its synthesizer and amplifiers
    assert radio.configure(replace(TUNING, carrier_hz=3.5e9 + 0.2, tx_gain_db=10.001)) == TUNING
    with pytest.raises(TuningError):
        radio.configure(LOUD)
    assert_same(received(radio), block(0))  # the old tuning stays


def test_blocks_are_those_of_the_tuning(tmp_path):
    quiet_again = replace(TUNING, carrier_hz=3.5e9 + 0.2)
    tunings = [TUNING, LOUD, TUNING, LOUD, quiet_again]
    blocks = [block(n, tuning=tuning) for n, tuning in enumerate(tunings)]
    radio = replayed(tmp_path / "r", blocks)
    assert_same(received(radio), blocks[0])
    assert_same(received(radio), blocks[2])
    radio.configure(LOUD)
    assert_same(received(radio), blocks[3])
    with pytest.raises(EndOfRecordingError, match="nearest are 2000, 4000"):
        received(radio, at_tick=1000)
    with pytest.raises(EndOfRecordingError, match="no more of its 2 blocks"):
        received(radio)
    radio.configure(TUNING)
    assert_same(received(radio), blocks[4])


def test_another_tuning_disarms(tmp_path):
    radio = replayed(tmp_path / "r", [block(0), block(1, tuning=LOUD)])
    radio.arm_receive(10)
    radio.configure(TUNING)
    assert len(radio.fetch().samples) == 10
    radio.arm_receive(10)
    radio.configure(LOUD)
    with pytest.raises(RadioError, match=r"call arm_receive\(\) first"):
        radio.fetch()


def test_a_transmission_is_checked_and_counted(tmp_path):
    radio = replayed(tmp_path / "r", [block(0)])
    radio.transmit(BURST.samples())
    radio.transmit(np.ones(1, np.complex64))
    assert radio.num_transmissions == 2
    for samples, reason in (
        (np.zeros((4, 2), np.complex64), r"shape \(4, 2\)"),
        (np.zeros(0, np.complex64), r"shape \(0,\)"),
        (np.zeros(BURST.num_samples + 1, np.complex64), f"1 to {BURST.num_samples} samples"),
        (np.full(4, 1.1 + 0j), r"largest is 1\.1"),
        (np.full(4, np.nan + 0j), "largest is nan"),
    ):
        with pytest.raises(BurstRefusedError, match=reason):
            radio.transmit(samples)
    assert radio.num_transmissions == 2
    radio.transmit(BURST.samples(), at_tick=5, repeat_s=0.5)  # it is not sent then, nor at all
    assert radio.num_transmissions == 3
    assert radio.transmit_report() == TransmitReport()
    radio.stop_transmit()
    assert_same(received(radio), block(0))


@pytest.mark.parametrize("num_samples", [0, -1, 81])
def test_more_samples_than_recorded_are_refused(tmp_path, num_samples):
    radio = replayed(tmp_path / "r", [block(0, 90), block(1, 80)])
    with pytest.raises(BurstRefusedError, match=f"has 80 samples, got {num_samples}"):
        radio.arm_receive(num_samples)
    with pytest.raises(RadioError, match="without a block that"):
        radio.fetch()


def test_a_block_is_fetched_once(tmp_path):
    radio = replayed(tmp_path / "r", [block(0), block(1)])
    received(radio)
    with pytest.raises(RadioError, match=r"call arm_receive\(\) first"):
        radio.fetch()


USES = {
    "time_ticks": lambda radio: radio.time_ticks(),
    "transmit": lambda radio: radio.transmit(BURST.samples()),
    "arm_receive": lambda radio: radio.arm_receive(8),
    "fetch": lambda radio: radio.fetch(),
    "health": lambda radio: radio.health(),
}


@pytest.mark.parametrize("use", USES)
def test_use_without_tuning(tmp_path, use):
    radio = ReplayRadio(recording_of(tmp_path / "r", [block(0)]), "b")
    with pytest.raises(RadioError, match=r"no tuning yet; call configure\(\) first"):
        USES[use](radio)


@pytest.mark.parametrize("use", [*USES, "configure", "transmit_report"])
def test_use_after_close(tmp_path, use):
    radio = replayed(tmp_path / "r", [block(0)])
    radio.arm_receive(8)
    radio.close()
    radio.close()
    radio.stop_transmit()
    more = {
        "configure": lambda radio: radio.configure(TUNING),
        "transmit_report": lambda radio: radio.transmit_report(),
    }
    with pytest.raises(RadioClosedError, match="open it again"):
        (USES | more)[use](radio)
    assert radio.info.serial == "replay-r-b"


def test_a_node_that_only_transmitted_takes_part(tmp_path):
    """Its own gains were never recorded, so any will do."""
    radio = ReplayRadio(recording_of(tmp_path / "r", [block(0)]), "a")
    asked = replace(TUNING, tx_gain_db=77.0, rx_gain_db=3.0)
    radio.info.capabilities.check(asked)
    assert radio.configure(asked) == asked
    with pytest.raises(TuningError, match="was not recorded with"):
        radio.configure(replace(asked, carrier_hz=3.6e9))
    radio.transmit(BURST.samples())
    assert radio.num_transmissions == 1
    assert radio.time_ticks() == 0
    assert radio.info.capabilities.num_rx_channels == 3
    with pytest.raises(EndOfRecordingError, match="node 'a' has no more of its 0 blocks"):
        received(radio)


def test_nodes_that_cannot_be_replayed(tmp_path):
    recording = recording_of(tmp_path / "r", [block(0)])
    with pytest.raises(RadioNotFoundError, match="no IQ blocks of node 'x'; its nodes: a, b"):
        ReplayRadio(recording, "x")
    RecordingWriter(tmp_path / "empty", {}).close()
    with pytest.raises(RadioNotFoundError, match="its nodes: none"):
        ReplayRadio(Recording(tmp_path / "empty"), "b")
    mixed = recording_of(tmp_path / "mixed", [block(0), block(1, num_channels=2)])
    with pytest.raises(RadioNotFoundError, match=r"blocks of node 'b' have \[2, 3\] channels"):
        ReplayRadio(mixed, "b")


def test_a_damaged_block_is_an_error_of_the_radio(tmp_path):
    radio = replayed(tmp_path / "r", [block(0), block(1)])
    path = tmp_path / "r" / "000000-a-b.iq.sigmf-data"
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(RadioError, match=r"000000-a-b\.iq\.sigmf-data: damaged"):
        received(radio)


def test_a_recording_is_opened_by_its_directory(tmp_path):
    recording_of(tmp_path / "r", [block(0)])
    spec = RadioSpec("b", 3, address=str(tmp_path / "r"))
    radio = open_radio("replay", spec, {"replay": open_replay_radio})
    assert radio.info.kind == "replay"
    radio.configure(TUNING)
    assert_same(received(radio), block(0))


def test_what_cannot_be_opened(tmp_path):
    recording_of(tmp_path / "r", [block(0)])
    spec = RadioSpec("b", 3, address=str(tmp_path / "r"))
    for changes, error, reason in (
        ({"address": None}, RadioNotFoundError, "node 'b': a replayed radio needs a recording"),
        ({"address": str(tmp_path / "no")}, RadioNotFoundError, r"node 'b': .*no: no recording"),
        ({"node_id": "c"}, RadioNotFoundError, "no IQ blocks of node 'c'"),
        ({"options": {"speed": 2}}, RadioError, r"has no options, got \['speed'\]"),
    ):
        with pytest.raises(error, match=reason):
            open_replay_radio(replace(spec, **changes))
    (tmp_path / "r" / "000000-a-b.iq.sigmf-meta").write_text("{")
    with pytest.raises(RadioNotFoundError, match="damaged metadata"):
        open_replay_radio(spec)
