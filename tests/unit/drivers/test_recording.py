"""Recordings: what went in comes out, for this project and for any reader of SigMF."""

import json
import math
import resource
import shutil
import sys
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import sigmf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivers.array import ElementPattern, UniformLinearArray
from drivers.burst import SoundingBurst
from drivers.capture import Capture, CaptureQuality, DemodulationReport, missing_capture
from drivers.geometry import Pose
from drivers.node import Node, SurveyUncertainty
from drivers.radio import IqBlock, TransmitReport
from drivers.recording import Recording, RecordingError, RecordingWriter
from drivers.recording_files import SCHEMA
from drivers.recording_json_schema import namespace_schema
from drivers.recording_schema import IqFields, PilotsFields
from drivers.sounding import Sounding
from drivers.tuning import Tuning
from drivers.waveform import OfdmGrid

GRID = OfdmGrid(carrier_hz=3.5e9, subcarrier_spacing_hz=30e3, num_subcarriers=24)
BURST = SoundingBurst(GRID, sample_rate_hz=1.92e6, num_symbols=2, prefix_length=7)
TUNING = Tuning(carrier_hz=3.5e9, sample_rate_hz=1.92e6, rx_gain_db=31.5, tx_gain_db=10.0)


def node(node_id: str, **changes) -> Node:
    plain = Node(
        node_id, f"place of {node_id}", Pose((1.5, -2.25), 0.7), UniformLinearArray(3, 0.04)
    )
    return replace(plain, **changes)


TX, RX = node("a"), node("b")


def samples(seed: int = 0, shape=(64, 3)) -> np.ndarray:
    parts = np.random.default_rng(seed).standard_normal((*shape, 2), dtype=np.float32)
    return parts.view(np.complex64)[..., 0]


def block(seed: int = 0, shape=(64, 3), **changes) -> IqBlock:
    plain = IqBlock(
        samples=samples(seed, shape),
        first_sample_tick=1000 * seed,
        tick_rate_hz=1.92e6,
        tuning=TUNING,
        full_scale_dbm=-31.5,
        config_epoch=1,
    )
    return replace(plain, **changes)


def capture(seed: int = 0, **changes) -> Capture:
    plain = Capture("a", "b", samples(seed, (24, 3)), 2, GRID.waveform_hash)
    return replace(plain, **changes)


def same(found, expected) -> bool:
    """Whether two dataclasses have equal fields, and arrays of the same type, shape and bits."""
    for field in fields(expected):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(b, np.ndarray):
            if (a.dtype, a.shape, a.tobytes()) != (b.dtype, b.shape, b.tobytes()):
                return False
        elif a != b or (b is None) != (a is None):
            return False
    return type(found) is type(expected)


def made(root: Path, num_blocks: int = 1) -> Path:
    with RecordingWriter(root, {}) as writer:
        for n in range(num_blocks):
            writer.add_block("sensing", n, TX, RX, BURST, block(n))
    return root


def files_of(root: Path, suffix: str) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.name.endswith(suffix))


def only_file(root: Path, suffix: str) -> Path:
    (path,) = files_of(root, suffix)
    return path


@pytest.fixture
def root(tmp_path) -> Path:
    """A recording of one block."""
    return made(tmp_path / "r")


# Any bits, also those of numbers that are none.
def arrays(shapes):
    def filled(shape):
        size = 8 * shape[0] * shape[1]
        bits = st.binary(min_size=size, max_size=size)
        return bits.map(lambda b: np.frombuffer(b, "<c8").reshape(shape))

    return shapes.flatmap(filled)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=1.0, max_value=1e12)
MAYBE = st.none() | st.booleans()
TICKS = st.none() | st.integers(-(2**62), 2**62)
TUNINGS = st.builds(
    Tuning,
    carrier_hz=POSITIVE,
    sample_rate_hz=POSITIVE,
    rx_gain_db=NUMBERS,
    tx_gain_db=NUMBERS,
    clock_source=st.sampled_from(["internal", "external"]),
    time_source=st.sampled_from(["none", "pps"]),
)
BLOCKS = st.builds(
    IqBlock,
    samples=arrays(st.tuples(st.integers(1, 9), st.integers(1, 5))),
    first_sample_tick=TICKS,
    tick_rate_hz=POSITIVE,
    tuning=TUNINGS,
    full_scale_dbm=NUMBERS,
    config_epoch=st.integers(0, 1000),
    overflow=st.booleans(),
    late=st.booleans(),
    discontinuity=st.booleans(),
    gain_is_manual=st.booleans(),
    clock_locked=MAYBE,
    pps_locked=MAYBE,
    temperature_c=st.none() | NUMBERS,
)
QUALITIES = st.builds(
    CaptureQuality,
    overflow=st.booleans(),
    late=st.booleans(),
    discontinuity=st.booleans(),
    underflow=st.booleans(),
    gain_is_manual=st.booleans(),
    clock_locked=MAYBE,
    pps_locked=MAYBE,
    fault=st.none() | st.text(),
)
DEMODULATIONS = st.builds(
    DemodulationReport,
    carrier_offset_hz=st.none() | NUMBERS,
    clock_offset_ppm=st.none() | NUMBERS,
    start_sample=NUMBERS,
    snr=st.none() | st.floats(0.0, 1e12),
    symbol_coherence=st.none() | st.floats(0.0, 1.0),
)
CAPTURES = st.builds(
    Capture,
    tx_id=st.just("a"),
    rx_id=st.just("b"),
    rx_pilots=arrays(
        st.tuples(st.just(24), st.integers(1, 4)) | st.sampled_from([(0, 0), (0, 3), (24, 0)])
    ),
    num_averaged=st.integers(0, 100),
    waveform_hash=st.just(GRID.waveform_hash),
    config_epoch=st.integers(0, 1000),
    delay_is_absolute=st.booleans(),
    quality=QUALITIES,
    first_sample_tick=TICKS,
    demodulation=st.none() | DEMODULATIONS,
)
PATTERNS = st.builds(
    ElementPattern,
    kind=st.sampled_from(["sector", "3gpp_38901", "omnidirectional"]),
    field_of_view_rad=NUMBERS,
    front_to_back_db=NUMBERS | st.just(math.inf),
    gain_dbi=NUMBERS,
)
NODES = st.builds(
    Node,
    node_id=st.text(),
    location_id=st.text(),
    pose=st.builds(Pose, position_m=st.tuples(NUMBERS, NUMBERS), boresight_rad=NUMBERS),
    array=st.builds(UniformLinearArray, num_elements=st.integers(1, 9), spacing_m=NUMBERS),
    receive_pattern=PATTERNS,
    transmit_pattern=PATTERNS,
    tx_power_dbm=NUMBERS,
    noise_figure_db=NUMBERS,
    survey=st.builds(SurveyUncertainty, position_std_m=NUMBERS, boresight_std_rad=NUMBERS),
)
REPEATED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)


@given(given_block=BLOCKS, phase=st.sampled_from(["sensing", "background"]))
@REPEATED
def test_any_block_comes_out_bit_for_bit(tmp_path, given_block, phase):
    shutil.rmtree(tmp_path / "r", ignore_errors=True)
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer.add_block(phase, 7, TX, RX, BURST, given_block)
    recording = Recording(tmp_path / "r")
    record = recording.find("iq", phase, 7, "a", "b")
    assert recording.records == (record,)
    assert same(recording.load_block(record), given_block)


@given(given_capture=CAPTURES)
@REPEATED
def test_any_capture_comes_out_bit_for_bit(tmp_path, given_capture):
    shutil.rmtree(tmp_path / "r", ignore_errors=True)
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer.add_capture("sensing", 7, TX, RX, GRID, given_capture)
    recording = Recording(tmp_path / "r")
    (record,) = recording.records
    assert same(recording.load_capture(record), given_capture)
    sigmf.sigmffile.fromfile(record.path).validate()


@given(tx=NODES, rx=NODES)
@REPEATED
def test_any_node_comes_out(tmp_path, tx, rx):
    if tx.node_id == rx.node_id:
        rx = tx
    shutil.rmtree(tmp_path / "r", ignore_errors=True)
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer.add_block("sensing", 0, tx, rx, BURST, block())
    recording = Recording(tmp_path / "r")
    assert recording.node(tx.node_id) == tx
    assert recording.node(rx.node_id) == rx
    assert recording.node_ids == tuple(dict.fromkeys((tx.node_id, rx.node_id)))


SOUNDINGS = st.builds(
    Sounding,
    tx_id=st.just("a"),
    burst=st.just(BURST),
    start_tick=TICKS,
    tx_full_scale_dbm=NUMBERS,
    report=st.builds(
        TransmitReport,
        first_sample_tick=TICKS,
        underflow=st.booleans(),
        late=st.booleans(),
        config_epoch=st.integers(0, 1000),
        clock_locked=MAYBE,
        pps_locked=MAYBE,
    ),
)


@given(sounding=SOUNDINGS)
@REPEATED
def test_any_transmission_comes_out(tmp_path, sounding):
    shutil.rmtree(tmp_path / "r", ignore_errors=True)
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer.add_block("sensing", 0, TX, RX, sounding, block())
    recording = Recording(tmp_path / "r")
    assert recording.load_sounding(recording.records[0]) == sounding
    assert same(recording.load_block(recording.records[0]), block())
    assert recording.bursts == (BURST,)


def test_a_transmission_is_known_where_it_was_recorded(tmp_path, monkeypatch):
    sounding = Sounding("a", BURST, 5, 10.0, TransmitReport())
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer.add_block("sensing", 0, TX, RX, BURST, block())
        writer.add_block("sensing", 1, TX, RX, sounding, block())
        writer.add_capture("sensing", 1, TX, RX, GRID, capture())
        with pytest.raises(ValueError, match="sent by 'a', the transmitter given is 'b'"):
            writer.add_block("sensing", 2, RX, TX, sounding, block())
    recording = Recording(tmp_path / "r")
    first, second, pilots = recording.records
    assert recording.load_sounding(second) == sounding
    with pytest.raises(RecordingError, match=r"000000-a-b\.iq.*without its transmission"):
        recording.load_sounding(first)
    with pytest.raises(TypeError, match="a capture, not a block"):
        recording.load_sounding(pilots)
    monkeypatch.setattr("drivers.waveform.pilot_symbols", lambda grid: np.ones(24, np.complex64))
    with pytest.raises(RecordingError, match=r"000001-a-b\.iq.*process it with the version"):
        recording.load_sounding(second)


def test_nothing_that_a_block_or_capture_holds_is_left_out():
    """A field added to them must be added to the namespace, with a new version of it."""
    names = {field.name for field in fields(IqBlock)} - {"samples"}
    assert names <= set(IqFields.__struct_fields__)
    names = {field.name for kind in (Capture, CaptureQuality) for field in fields(kind)}
    names -= {"rx_pilots", "quality", "waveform_hash"}
    assert names <= set(PilotsFields.__struct_fields__)


def test_numbers_of_numpy_are_numbers(tmp_path):
    given_block = block(
        first_sample_tick=np.int64(5),
        full_scale_dbm=np.float32(-3.3),
        overflow=np.True_,
        tick_rate_hz=np.float64(1e6),
    )
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer.add_block("sensing", np.int32(3), TX, RX, BURST, given_block)
    recording = Recording(tmp_path / "r")
    assert same(recording.load_block(recording.records[0]), given_block)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("num_channels", [1, 2, 4])
def test_other_readers_see_the_same_numbers(tmp_path, num_channels, order):
    expected = np.asarray(samples(3, (50, num_channels)), order=order)
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer.add_block("sensing", 0, TX, RX, BURST, block(samples=expected))
    path = only_file(tmp_path / "r", ".sigmf-data")
    mapped = np.memmap(path, dtype="<c8", mode="r").reshape(-1, num_channels)
    np.testing.assert_array_equal(mapped, expected)
    opened = sigmf.sigmffile.fromfile(only_file(tmp_path / "r", ".sigmf-meta"))
    opened.validate()
    np.testing.assert_array_equal(opened.read_samples().reshape(50, num_channels), expected)
    assert opened.num_channels == num_channels
    assert opened.sample_rate == TUNING.sample_rate_hz
    assert opened.get_captures() == [{"core:sample_start": 0, "core:frequency": 3.5e9}]


def test_pilots_say_that_they_are_no_samples_in_time(tmp_path):
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer.add_capture("background", 0, TX, RX, GRID, capture())
    opened = sigmf.sigmffile.fromfile(only_file(tmp_path / "r", ".sigmf-meta"))
    opened.validate()
    np.testing.assert_array_equal(opened.read_samples(), capture().rx_pilots)
    assert "core:sample_rate" not in opened.get_global_info()
    (extension,) = opened.extensions
    assert extension == {"name": "isac", "version": "1.0.0", "optional": False}


def test_a_capture_without_pilots_is_a_record_of_metadata_alone(tmp_path):
    lost = missing_capture("a", "b", GRID, "no answer: \udcff")  # a path that is not UTF-8
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer.add_capture("sensing", 0, TX, RX, GRID, lost)
    assert files_of(tmp_path / "r", ".sigmf-data") == []
    opened = sigmf.sigmffile.fromfile(only_file(tmp_path / "r", ".sigmf-meta"))
    opened.validate()
    assert opened.metadata_only is True
    recording = Recording(tmp_path / "r")
    assert same(recording.load_capture(recording.records[0]), lost)
    assert recording.num_incomplete == 0


def test_the_collection_lists_all_records(tmp_path):
    made(tmp_path / "r", 3)
    collection = sigmf.sigmffile.fromfile(tmp_path / "r" / "recording.sigmf-collection")
    assert collection.get_stream_names() == [f"00000{n}-a-b.iq" for n in range(3)]
    for n in range(3):  # its hashes are checked when it is opened
        np.testing.assert_array_equal(
            collection.get_SigMFFile(stream_index=n).read_samples(), samples(n)
        )


def test_records_stand_in_order_and_are_found_by_key(tmp_path):
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer.add_block("sensing", 4, TX, RX, BURST, block(1))
        writer.add_capture("sensing", 4, TX, RX, GRID, capture(2))
        writer.add_block("background", 4, RX, TX, BURST, block(3))
        writer.add_block("sensing", 4, TX, RX, BURST, block(4))  # once more
        assert writer.num_records == 4
    recording = Recording(tmp_path / "r")
    assert [record.fields.sequence_number for record in recording.records] == [0, 1, 2, 3]
    assert [record.kind for record in recording.records] == ["iq", "pilots", "iq", "iq"]
    again = recording.find("iq", "sensing", 4, "a", "b")
    assert again is recording.records[3]
    assert same(recording.load_block(again), block(4))
    assert same(recording.load_block(recording.records[0]), block(1))
    assert recording.find("iq", "background", 4, "b", "a") is recording.records[2]
    assert recording.find("iq", "background", 4, "a", "b") is None
    assert recording.find("pilots", "background", 4, "b", "a") is None
    assert recording.find("iq", "sensing", 5, "a", "b") is None
    with pytest.raises(TypeError, match=r"000001-a-b\.pilots.*use load_capture"):
        recording.load_block(recording.records[1])
    with pytest.raises(TypeError, match=r"000000-a-b\.iq.*use load_block"):
        recording.load_capture(recording.records[0])


def test_more_records_than_the_file_names_foresee_stay_in_order(tmp_path):
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer._next_number = 999_998
        for n in range(4):
            writer.add_block("sensing", n, TX, RX, BURST, block(n))
    recording = Recording(tmp_path / "r")
    assert [record.fields.index for record in recording.records] == [0, 1, 2, 3]


def test_waveforms_are_rebuilt(tmp_path):
    other = replace(BURST, num_symbols=5)
    with RecordingWriter(tmp_path / "r", {}) as writer:
        for burst in (BURST, other, BURST):
            writer.add_block("sensing", 0, TX, RX, burst, block())
        assert Recording(tmp_path / "r").grid == GRID  # open while it grows
        wider = replace(GRID, num_subcarriers=30)
        writer.add_capture("sensing", 0, TX, RX, wider, missing_capture("a", "b", wider, "gone"))
    recording = Recording(tmp_path / "r")
    assert recording.bursts == (BURST, other)
    with pytest.raises(RecordingError, match="records of 2 grids"):
        _ = recording.grid


def test_an_empty_recording_is_one(tmp_path):
    RecordingWriter(tmp_path / "r", {"site": "lab"}).close()
    recording = Recording(tmp_path / "r")
    assert (recording.records, recording.bursts, recording.node_ids) == ((), (), ())
    with pytest.raises(RecordingError, match="records of 0 grids"):
        _ = recording.grid
    with pytest.raises(KeyError, match="no node 'a'"):
        recording.node("a")


def test_pilots_of_another_version_are_refused(root, monkeypatch):
    recording = Recording(root)
    monkeypatch.setattr("drivers.waveform.pilot_symbols", lambda grid: np.ones(24, np.complex64))
    for name in ("grid", "bursts"):
        with pytest.raises(RecordingError, match="process it with the version that recorded it"):
            getattr(recording, name)


DESCRIPTION = {
    "site": {"name": "lab", "nodes": [1, 2.5, None, True], "ratios_db": [math.inf, -math.inf]},
    "seed": 7,
    "ä\udcff": '漢 "Infinity" \\" -Infinity, NaN \\',
}


def test_the_description_comes_out(tmp_path):
    RecordingWriter(tmp_path / "r", DESCRIPTION).close()
    assert Recording(tmp_path / "r").description == DESCRIPTION
    text = (tmp_path / "r" / "recording.json").read_text()

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("value", [math.nan, {1, 2}, Path("x")])
def test_a_description_that_is_no_json_is_refused(tmp_path, value):
    with pytest.raises(ValueError, match="description of a recording must be JSON"):
        RecordingWriter(tmp_path / "r", {"value": value})
    assert not (tmp_path / "r").exists()


ODD_NAMES = [
    "a/b", "../x", "/etc/passwd", "..", ".", "", "a", "A", "a b", "a-b", "ä", "a\u0308", "漢字",
    "\u202eright", "con", "a\nb", "a\0b", "'; rm -rf", "$HOME", "*", "%2F", "x" * 300, "漢" * 300,
    ".hidden", "a.iq.sigmf-data", "a.tmp", "a.pilots", "\\", "a:b", "🛰", "\udcff",
]  # fmt: skip


def test_odd_names_neither_escape_nor_collide(tmp_path):
    root = tmp_path / "outer" / "r"
    links = [(a, b) for a in ODD_NAMES for b in ODD_NAMES][::7]
    with RecordingWriter(root, {}) as writer:
        for n, (tx_id, rx_id) in enumerate(links):
            writer.add_block("sensing", 0, node(tx_id), node(rx_id), BURST, block(n))
    recording = Recording(root)
    assert recording.num_incomplete == 0
    for n, (tx_id, rx_id) in enumerate(links):
        record = recording.find("iq", "sensing", 0, tx_id, rx_id)
        assert record is recording.records[n]
        assert same(recording.load_block(record), block(n))
    # All there, flat, in the directory itself
    assert [path.name for path in tmp_path.iterdir()] == ["outer"]
    assert [path.name for path in (tmp_path / "outer").iterdir()] == ["r"]
    paths = list(root.iterdir())
    assert len(paths) == 2 * len(links) + 2
    assert all(path.is_file() for path in paths)
    assert all(path.name.isascii() and len(path.name) < 200 for path in paths)
    for path in files_of(root, ".sigmf-meta"):
        sigmf.sigmffile.fromfile(path).validate()


def test_a_directory_that_holds_something_is_refused_and_left_alone(root, tmp_path):
    before = {path.name: path.read_bytes() for path in root.iterdir()}
    with pytest.raises(RecordingError, match="already holds a recording; name another") as caught:
        RecordingWriter(root, {})
    assert str(root) in str(caught.value)
    assert {path.name: path.read_bytes() for path in root.iterdir()} == before
    (root / "recording.json").unlink()
    with pytest.raises(RecordingError, match="not empty; name another"):
        RecordingWriter(root, {})
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        RecordingWriter(tmp_path / "file", {})


def test_empty_directories_and_missing_parents_are_made(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "recording.json.tmp").touch()  # of a writer that was killed at once
    for root in (tmp_path / "empty", tmp_path / "far" / "down" / "r"):
        made(root)
        assert len(Recording(root).records) == 1
    assert files_of(tmp_path / "empty", ".tmp") == []


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (samples().astype(np.complex128), "samples of a block must be complex64, got complex128"),
        (samples().real, "must be complex64, got float32"),
        (samples().astype(">c8"), "must be complex64, got >c8"),
        (samples()[:, 0], r"must have two dimensions, got shape \(64,\)"),
        (samples()[:0], r"must not be empty, got shape \(0, 3\)"),
    ],
)
def test_samples_that_would_change_are_refused(tmp_path, array, reason):
    with RecordingWriter(tmp_path / "r", {}) as writer:
        with pytest.raises(ValueError, match=reason):
            writer.add_block("sensing", 0, TX, RX, BURST, block(samples=array))
        assert [path.name for path in (tmp_path / "r").iterdir()] == ["recording.json"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tx_id": "c"}, "link c -> b, not a -> b"),
        ({"waveform_hash": "0123"}, f"waveform_hash 0123, not {GRID.waveform_hash}"),
        ({"rx_pilots": samples(0, (23, 3))}, "number of subcarriers 23, not 24"),
        ({"rx_id": "c", "waveform_hash": "0123"}, "link a -> c.*waveform_hash 0123"),
        ({"rx_pilots": np.zeros((24, 3))}, "pilots of a capture must be complex64"),
    ],
)
def test_a_capture_of_something_else_is_refused(tmp_path, changes, reason):
    with RecordingWriter(tmp_path / "r", {}) as writer:
        with pytest.raises(ValueError, match=reason):
            writer.add_capture("sensing", 0, TX, RX, GRID, capture(**changes))
        assert writer.num_records == 0


@pytest.mark.parametrize(
    ("phase", "index", "tx", "changes", "reason"),
    [
        ("sensing", 0, TX, {"temperature_c": math.nan}, "finite.*isac:temperature_c = nan"),
        ("sensing", 0, TX, {"full_scale_dbm": -math.inf}, "isac:full_scale_dbm = -inf"),
        ("sensing", 0, TX, {"tick_rate_hz": 0.0}, "cannot be recorded.*isac:tick_rate_hz"),
        ("sensing", 0, TX, {"config_epoch": 1.5}, "cannot be recorded.*isac:config_epoch"),
        ("sensing", 0, TX, {"tuning": replace(TUNING, carrier_hz=-1)}, r"isac:tuning\.carrier_hz"),
        ("sensing", -1, TX, {}, "cannot be recorded.*>= 0.*isac:index"),
        ("calibration", 0, TX, {}, "cannot be recorded.*'calibration'.*isac:phase"),
        ("sensing", 0, node("c", pose=Pose((math.nan, math.inf), 0.0)), {},
         r"position_m\[0\] = nan, isac:tx_node.position_m\[1\] = inf"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused_by_name(tmp_path, phase, index, tx, changes, reason):
    with RecordingWriter(tmp_path / "r", {}) as writer:
        with pytest.raises(ValueError, match=reason):
            writer.add_block(phase, index, tx, RX, BURST, block(**changes))
        assert [path.name for path in (tmp_path / "r").iterdir()] == ["recording.json"]
        writer.add_block("sensing", 0, TX, RX, BURST, block())
    assert Recording(tmp_path / "r").records[0].fields.sequence_number == 0


def test_something_else_than_a_number_is_refused(tmp_path):
    with (
        RecordingWriter(tmp_path / "r", {}) as writer,
        pytest.raises(TypeError, match="complex has no place in a record"),
    ):
        writer.add_block("sensing", 0, TX, RX, BURST, block(full_scale_dbm=1j))


def test_a_node_that_moves_in_between_is_refused(tmp_path):
    moved = node("a", pose=Pose((0.0, 0.0), 0.0))
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer.add_block("sensing", 0, TX, RX, BURST, block())
        with pytest.raises(ValueError, match=r"node 'a' is .* earlier records have it as"):
            writer.add_block("sensing", 1, moved, RX, BURST, block())
        assert writer.num_records == 1
    with RecordingWriter(tmp_path / "other", {}) as writer:
        writer.add_block("sensing", 0, moved, RX, BURST, block())
    for path in files_of(tmp_path / "other", "iq.sigmf-meta"):  # two recordings in one directory
        for suffix in (".sigmf-meta", ".sigmf-data"):
            name = path.with_suffix(suffix).name
            shutil.copy(path.with_name(name), tmp_path / "r" / f"9{name}")
    with pytest.raises(RecordingError, match=r"9000000-a-b\.iq.*node 'a' differs"):
        Recording(tmp_path / "r")


def test_a_tampered_block_is_refused(root):
    path = only_file(root, ".sigmf-data")
    content = bytearray(path.read_bytes())
    recording = Recording(root)
    for offset in (0, len(content) // 2, len(content) - 1):
        spoilt = bytearray(content)
        spoilt[offset] ^= 1
        path.write_bytes(spoilt)
        assert Recording(root).num_incomplete == 0  # only a reading tells
        with pytest.raises(RecordingError, match="does not match the sha512") as caught:
            recording.load_block(recording.records[0])
        assert str(path) in str(caught.value)
    path.write_bytes(content)
    assert same(recording.load_block(recording.records[0]), block())
    for damaged in (content[:-8], content + bytes(3)):
        path.write_bytes(damaged)
        with pytest.raises(RecordingError, match="does not match the sha512"):
            recording.load_block(recording.records[0])
        assert Recording(root).num_incomplete == 1
    path.unlink()
    with pytest.raises(RecordingError, match=r"000000-a-b\.iq\.sigmf-data: cannot be read"):
        recording.load_block(recording.records[0])
    assert (Recording(root).records, Recording(root).num_incomplete) == ((), 1)


def edited(path: Path, section: str, **changes) -> None:
    tree = json.loads(path.read_text())
    tree[section] |= {name.replace("__", ":"): value for name, value in changes.items()}
    path.write_text(json.dumps(tree))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"isac__first_sample_tick": 1}, "do not match their isac:content_hash"),
        ({"isac__content_hash": "0" * 32}, "do not match their isac:content_hash"),
        ({"core__sha512": "0" * 128}, "do not match their isac:content_hash"),
        ({"isac__overflow": 1}, r"\$\.isac:overflow"),
        ({"isac__surprise": 1}, "unknown field `isac:surprise`"),
        ({"isac__record_type": "pilots"}, "isac:"),
        ({"core__num_channels": 2}, r"do not go with a shape of \(64, 3\)"),
        ({"core__datatype": "ci16_le"}, r"do not go with a shape of \(64, 3\)"),
        ({"core__datatype": 3}, "core:datatype"),
        ({"core__extensions": []}, r"namespace isac \[\], this version reads 1\.0\.0"),
        ({"core__extensions": [{"name": "isac", "version": "2.0.0", "optional": True}]},
         r"namespace isac \['2\.0\.0'\], this version reads 1\.0\.0"),
    ],
)  # fmt: skip
def test_tampered_metadata_are_refused(root, changes, reason):
    path = only_file(root, ".sigmf-meta")
    edited(path, "global", **changes)
    with pytest.raises(RecordingError, match=f"damaged metadata: .*{reason}") as caught:
        Recording(root)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe\x00", b'{"global": 3}', b'{"global": {}}', b"[" * 100_000],
)
def test_damaged_metadata_are_refused(root, content):
    path = only_file(root, ".sigmf-meta")
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="damaged metadata") as caught:
        Recording(root)
    assert str(path) in str(caught.value)


def test_notes_in_the_metadata_are_no_damage(root):
    """Others may write into SigMF's own fields, and rewrite the file with another layout."""
    path = only_file(root, ".sigmf-meta")
    edited(path, "global", core__author="me", core__description="a note", other__field=1)
    recording = Recording(root)
    assert same(recording.load_block(recording.records[0]), block())


def test_another_schema_is_refused(root):
    path = root / "recording.json"
    manifest = json.loads(path.read_text())
    assert manifest["schema"] == SCHEMA
    assert manifest["software"].startswith("isac-testbed ")
    assert manifest["created"].endswith("+00:00")
    path.write_text(json.dumps({"schema": 99, "shape": "unknown"}))
    with pytest.raises(RecordingError, match=f"schema 99, this version reads {SCHEMA}"):
        Recording(root)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe\x00", b"{}", b'{"schema": 1}'])
def test_a_damaged_manifest_is_refused(root, content):
    (root / "recording.json").write_bytes(content)
    with pytest.raises(RecordingError, match=r"recording\.json: not a manifest"):
        Recording(root)


def test_a_directory_without_recording_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for root in (tmp_path, tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(RecordingError, match=r"no recording \(recording\.json is missing\)"):
            Recording(root)


def test_leftovers_of_a_killed_writer_are_counted_once_a_record(tmp_path):
    root = made(tmp_path / "r", 6)
    names = [f"00000{n}-a-b.iq.sigmf" for n in range(6)]
    (root / f"{names[1]}-meta").unlink()
    (root / f"{names[2]}-meta").rename(root / f"{names[2]}-meta.tmp")
    (root / f"{names[3]}-data").rename(root / f"{names[3]}-data.tmp")
    (root / f"{names[3]}-meta").unlink()
    (root / f"{names[4]}-data").unlink()
    (root / "recording.sigmf-collection.tmp").touch()
    (root / "notes.txt").write_text("mine")
    recording = Recording(root)
    assert [record.fields.index for record in recording.records] == [0, 5]
    assert recording.num_incomplete == 4


def test_a_closed_recording_does_not_grow(root):
    writer = RecordingWriter(root.with_name("other"), {})
    writer.close()
    writer.close()
    with pytest.raises(RecordingError, match="was closed; make another"):
        writer.add_block("sensing", 0, TX, RX, BURST, block())
    assert Recording(root.with_name("other")).records == ()


@contextmanager
def file_size_limit(num_bytes: int):
    """Every write beyond this length of a file fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("num_samples", "suffix"), [(10_000, "iq.sigmf-data"), (10, "iq.sigmf-meta")]
)
def test_a_full_disk_is_named_and_what_is_whole_stays(tmp_path, num_samples, suffix):
    root = tmp_path / "r"
    with RecordingWriter(root, {}) as writer:
        writer.add_block("sensing", 0, TX, RX, BURST, block(0))
        with file_size_limit(1000):
            with pytest.raises(OSError, match="File too large") as caught:
                writer.add_block("sensing", 1, TX, RX, BURST, block(1, (num_samples, 3)))
            assert caught.value.filename == str(root / f"000001-a-b.{suffix}")
        assert len(list(root.iterdir())) == 3  # nothing of the second
        assert len(Recording(root).records) == 1
        writer.add_block("sensing", 2, TX, RX, BURST, block(2))  # there is room again
    recording = Recording(root)
    assert recording.num_incomplete == 0
    assert [record.fields.index for record in recording.records] == [0, 2]
    for record, seed in zip(recording.records, (0, 2), strict=True):
        assert same(recording.load_block(record), block(seed))


def test_a_disk_that_is_full_from_the_beginning_is_named(tmp_path):
    with file_size_limit(10), pytest.raises(OSError, match=r"recording\.json"):
        RecordingWriter(tmp_path / "r", {})
    assert list((tmp_path / "r").iterdir()) == []


def end(writer: RecordingWriter, error: type[BaseException] | None) -> None:
    with writer:
        writer.add_block("sensing", 0, TX, RX, BURST, block())
        if error:
            raise error


def test_an_error_ends_a_recording_but_not_what_it_holds(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        end(RecordingWriter(tmp_path / "r", {}), KeyboardInterrupt)
    assert len(Recording(tmp_path / "r").records) == 1
    assert len(sigmf.sigmffile.fromfile(tmp_path / "r" / "recording.sigmf-collection")) == 1


def test_the_first_error_is_told_where_the_list_fails_as_well(tmp_path):
    writer = RecordingWriter(tmp_path / "r", {})
    with file_size_limit(10):
        with pytest.raises(OSError, match=r"iq\.sigmf-data"):
            end(writer, None)
        with pytest.raises(OSError, match=r"recording\.sigmf-collection"):
            writer.close()
    writer.close()
    assert (tmp_path / "r" / "recording.sigmf-collection").exists()


def test_without_sigmf_there_is_reading_but_no_recording(root, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sigmf", None)
    with pytest.raises(RecordingError, match=r"pip install 'isac-testbed\[recording\]'"):
        RecordingWriter(tmp_path / "other", {})
    assert not (tmp_path / "other").exists()
    recording = Recording(root)
    assert same(recording.load_block(recording.records[0]), block())


def test_the_schema_describes_every_field_and_holds_for_what_is_recorded(tmp_path):
    schema = namespace_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for name, definition in schema["$defs"].items():
        assert definition["description"].endswith("."), name
        assert all("description" in field for field in definition["properties"].values()), name
        assert definition["additionalProperties"] is False
    with RecordingWriter(tmp_path / "r", {}) as writer:
        writer.add_block("sensing", 0, TX, RX, BURST, block(clock_locked=True))
        writer.add_capture("sensing", 0, TX, RX, GRID, capture())
    validator = jsonschema.Draft202012Validator(schema)
    for path in files_of(tmp_path / "r", ".sigmf-meta"):
        tree = json.loads(path.read_text())["global"]
        found = {name: value for name, value in tree.items() if name.startswith("isac:")}
        validator.validate(found)
        found["isac:index"] = -1
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(found)
