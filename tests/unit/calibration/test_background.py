"""The complex median (8): equal to NumPy's, robust, and of exactly as many captures as asked."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.background import BackgroundLearner
from calibration.learning import captures_of_link, learn_background, median_of_rounds
from drivers.array import UniformLinearArray
from drivers.capture import Capture, CaptureQuality, CaptureRefusedError
from drivers.geometry import Pose
from drivers.node import Node
from drivers.waveform import OfdmGrid, pilot_symbols

GRID = OfdmGrid(10e9, 15e3, 24)


def draws(num_captures: int, shape=(6, 3), seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, num_captures])
    parts = rng.standard_normal((num_captures, *shape, 2), dtype=np.float32)
    return parts[..., 0] + 1j * parts[..., 1]


def learned(channels: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    learner = BackgroundLearner(len(channels))
    for channel in channels:
        learner.add(channel)
    assert learner.complete
    return learner.entry()


@given(
    num_captures=st.integers(1, 12),
    num_tones=st.sampled_from([1, 6, 512, 513, 1030]),  # blocks of 512 tones
    num_elements=st.integers(1, 5),
)
def test_entry_is_numpy_s_median_of_both_parts(num_captures, num_tones, num_elements):
    channels = draws(num_captures, (num_tones, num_elements))
    entry = learned(channels)
    assert entry.dtype == np.complex64
    assert entry.shape == (num_tones, num_elements)
    np.testing.assert_array_equal(entry.real, np.median(channels.real, axis=0))
    np.testing.assert_array_equal(entry.imag, np.median(channels.imag, axis=0))


def test_median_golden():
    # Odd: the middle of each part, from different captures. Even: the mean of the middle two.
    values = [1 + 9j, 5 + 2j, 2 + 4j]
    assert learned([np.array([[v]]) for v in values])[0, 0] == 2 + 4j
    values = [1 + 9j, 5 + 2j, 2 + 4j, 100 - 50j]
    assert learned([np.array([[v]]) for v in values])[0, 0] == 3.5 + 3j


def test_one_capture_is_its_own_median():
    channel = draws(1)[0]
    np.testing.assert_array_equal(learned([channel]), channel)


@pytest.mark.parametrize("num_captures", [3, 4, 9, 70])
def test_fewer_than_half_may_be_anything(num_captures):
    rng = np.random.default_rng(1)
    truth = draws(1)[0]
    channels = np.repeat(truth[None], num_captures, axis=0)
    spoilt = rng.permutation(num_captures)[: (num_captures - 1) // 2]
    channels[spoilt] += 1e6 * draws(len(spoilt), seed=5)
    np.testing.assert_array_equal(learned(channels), truth)


def test_captures_that_were_given_are_left_as_they_were():
    channels = draws(4)
    before = channels.copy()
    learned(channels)
    np.testing.assert_array_equal(channels, before)


def test_asking_twice_gives_the_same_entry():
    learner = BackgroundLearner(5)
    for channel in draws(5, (600, 2)):
        learner.add(channel)
    np.testing.assert_array_equal(learner.entry(), learner.entry())


@pytest.mark.parametrize("num_captures", [0, -1])
def test_an_entry_of_no_captures_is_refused(num_captures):
    with pytest.raises(ValueError, match=f"num_captures={num_captures}"):
        BackgroundLearner(num_captures)


def test_too_few_captures_are_refused():
    learner = BackgroundLearner(3)
    with pytest.raises(ValueError, match="needs 3 captures, has 0"):
        learner.entry()
    for channel in draws(2):
        learner.add(channel)
    assert not learner.complete
    with pytest.raises(ValueError, match="needs 3 captures, has 2"):
        learner.entry()


def test_too_many_captures_are_refused():
    learner = BackgroundLearner(2)
    first, second, third = draws(3)
    learner.add(first)
    learner.add(second)
    with pytest.raises(ValueError, match="all 2 captures"):
        learner.add(third)
    np.testing.assert_allclose(learner.entry(), (first + second) / 2, rtol=1e-6)


@pytest.mark.parametrize("shape", [(6, 1), (1, 3), (6, 4), (3,)])
def test_captures_of_another_shape_are_refused(shape):
    """Also those that NumPy would stretch: one element's capture is no array's."""
    learner = BackgroundLearner(2)
    learner.add(draws(1)[0])
    with pytest.raises(ValueError, match=r"in an entry of \(6, 3\)"):
        learner.add(np.ones(shape, dtype=np.complex64))


@pytest.mark.parametrize("value", [math.nan, math.inf, complex(0.0, math.nan)])
def test_captures_that_are_not_finite_are_refused(value):
    learner = BackgroundLearner(3)
    channels = draws(2)
    learner.add(channels[0])
    channels[1, 2, 1] = value
    with pytest.raises(ValueError, match="capture 1 of this entry is not finite"):
        learner.add(channels[1])


@dataclass
class RecordedSource:
    """A capture source over given channels: pilots times channel, as a radio would send."""

    channels: np.ndarray
    quality: dict[int, CaptureQuality] = field(default_factory=dict)
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    grid: OfdmGrid = GRID

    @property
    def nodes(self) -> tuple[Node, ...]:
        array = UniformLinearArray(self.channels.shape[2], GRID.wavelength_m / 2)
        return tuple(Node(name, f"at-{name}", Pose((0.0, 0.0), 0.0), array) for name in "ab")

    @property
    def origin(self) -> str:
        return "recorded"

    def sense(self, tx_id, rx_ids, sensing_index) -> tuple[Capture, ...]:
        raise AssertionError("calibration must not sense")

    def sense_background(self, tx_id, rx_ids, capture_index) -> tuple[Capture, ...]:
        (rx_id,) = rx_ids
        self.asked.append((tx_id, rx_id, capture_index))
        pilots = pilot_symbols(self.grid)[:, None]
        capture = Capture(
            tx_id, rx_id, self.channels[capture_index] * pilots, 1, self.grid.waveform_hash,
            quality=self.quality.get(capture_index, CaptureQuality()),
        )  # fmt: skip
        return (capture,)


def test_learning_takes_the_pilots_away_and_each_capture_once():
    channels = draws(5, (24, 2))
    source = RecordedSource(channels)
    entry = learn_background(source, "a", "b", 5).channel
    np.testing.assert_allclose(entry.real, np.median(channels.real, axis=0), atol=1e-6)
    np.testing.assert_allclose(entry.imag, np.median(channels.imag, axis=0), atol=1e-6)
    assert source.asked == [("a", "b", n) for n in range(5)]


def test_captures_come_one_at_a_time():
    source = RecordedSource(draws(5, (24, 2)))
    captures = captures_of_link(source, "a", "b", 5)
    next(captures)
    next(captures)
    assert [index for *_, index in source.asked] == [0, 1]


@pytest.mark.parametrize(
    ("quality", "flaw"),
    [
        (CaptureQuality(overflow=True), "overflow"),
        (CaptureQuality(late=True), "late"),
        (CaptureQuality(clock_locked=False), "clock is not locked"),
    ],
)
def test_unusable_captures_are_refused_with_the_link_and_the_reason(quality, flaw):
    source = RecordedSource(draws(5, (24, 2)), dict.fromkeys(range(5), quality))
    with pytest.raises(CaptureRefusedError, match=f"a -> b is not usable.*{flaw}"):
        learn_background(source, "a", "b", 5)


def test_a_capture_that_was_lost_is_taken_again():
    class Losing(RecordedSource):
        def sense_background(self, tx_id, rx_ids, capture_index):
            (capture,) = super().sense_background(tx_id, rx_ids, capture_index)
            lost = len(self.asked) in {2, 3, 6}
            return (replace(capture, quality=CaptureQuality(overflow=lost)),)

    channels = draws(5, (24, 2))
    source = Losing(channels)
    found = learn_background(source, "a", "b", 5).channel
    assert [index for *_, index in source.asked] == [0, 1, 1, 1, 2, 3, 3, 4]
    whole = learn_background(RecordedSource(channels), "a", "b", 5).channel
    np.testing.assert_array_equal(found, whole)


def test_a_clock_that_cannot_be_asked_is_trusted():
    usable = CaptureQuality(clock_locked=None)
    source = RecordedSource(draws(2, (24, 2)), {0: usable, 1: replace(usable, clock_locked=True)})
    assert learn_background(source, "a", "b", 2).channel.shape == (24, 2)


def test_captures_of_another_waveform_are_refused():
    other = OfdmGrid(10e9, 30e3, 24)

    class Mixed(RecordedSource):
        def sense_background(self, tx_id, rx_ids, capture_index) -> tuple[Capture, ...]:
            (capture,) = super().sense_background(tx_id, rx_ids, capture_index)
            return (replace(capture, waveform_hash=other.waveform_hash),)

    with pytest.raises(ValueError, match=f"waveform {other.waveform_hash}"):
        learn_background(Mixed(draws(3, (24, 2))), "a", "b", 3)


def test_the_config_epoch_is_kept_and_may_not_change():
    class Retuned(RecordedSource):
        epochs = (5, 5, 5, 6)

        def sense_background(self, tx_id, rx_ids, capture_index) -> tuple[Capture, ...]:
            (capture,) = super().sense_background(tx_id, rx_ids, capture_index)
            return (replace(capture, config_epoch=self.epochs[capture_index]),)

    source = Retuned(draws(4, (24, 2)))
    assert learn_background(source, "a", "b", 3).config_epoch == 5
    with pytest.raises(ValueError, match="epoch 6, the entry began in 5"):
        learn_background(source, "a", "b", 4)


def stated_noise_var(channels: np.ndarray) -> float | None:
    learner = BackgroundLearner(len(channels))
    for channel in channels:
        learner.add(channel)
    return learner.noise_var(learner.entry())


@pytest.mark.parametrize("num_captures", [2, 3, 4, 5, 6, 9, 20, 70])
def test_the_noise_of_one_capture_is_stated(num_captures):
    """Unit variance a part. What is stated of small numbers of captures is exact to 2 %."""
    truth, shape = 2.0, (4000, 4)
    stated = stated_noise_var(3.0 + draws(num_captures, shape))
    assert stated is not None
    # No better than a mean over all tones, elements and both parts of one capture.
    std = truth / np.sqrt(shape[0] * shape[1])
    assert abs(stated - truth) < 0.02 * truth + 4.0 * std


def test_disturbed_captures_do_not_raise_the_stated_noise():
    channels = draws(21, (4000, 4))
    calm = stated_noise_var(channels)
    channels[[3, 8, 9, 15]] *= 30.0
    disturbed = stated_noise_var(channels)
    assert calm is not None
    # The four are to one side of a median's place by chance: it gets as noisy as one of 17.
    assert disturbed == pytest.approx(calm, rel=0.02)


def test_noise_of_a_single_capture_is_not_known():
    assert stated_noise_var(draws(1)) is None


def test_noise_of_captures_that_were_aligned_is_that_of_the_radio():
    grid = OfdmGrid(5.8e9, 120e3, 256)
    rng = np.random.default_rng(3)
    static = np.exp(-2j * np.pi * grid.offset_hz[:, None] * np.array([20e-9, 50e-9]))
    gain = np.exp(2j * np.pi * rng.random(12))
    channels = gain[:, None, None] * (static + 0.1 * draws(12, static.shape))
    learner = BackgroundLearner(12, grid)
    for channel in channels:
        learner.add(channel.astype(np.complex64))
    stated = learner.noise_var(learner.entry())
    # Alignment takes a gain and a delay of each capture's 512 entries.
    assert stated == pytest.approx(0.02, rel=0.02 + 4.0 / np.sqrt(static.size))


def test_a_learned_background_states_its_noise():
    channels = draws(5, (24, 2))
    learned_background = learn_background(RecordedSource(channels), "a", "b", 5)
    assert learned_background.noise_var == pytest.approx(stated_noise_var(channels), rel=1e-5)


def test_noise_is_that_of_one_symbol():
    """So that captures that average more or fewer can be compared with it."""

    class Averaging(RecordedSource):
        def sense_background(self, tx_id, rx_ids, capture_index):
            (capture,) = super().sense_background(tx_id, rx_ids, capture_index)
            return (replace(capture, num_averaged=4),)

    channels = draws(5, (24, 2))
    averaged = learn_background(Averaging(channels), "a", "b", 5)
    assert averaged.noise_var == pytest.approx(4.0 * stated_noise_var(channels), rel=1e-5)


@pytest.mark.parametrize(("num_captures", "sizes"), [(1, [1]), (5, [1] * 5), (9, [2, 2, *[1] * 5])])
def test_parts_are_means_of_captures_that_followed_each_other(num_captures, sizes):
    channels, learner = draws(num_captures), BackgroundLearner(num_captures)
    for channel in channels:
        learner.add(channel)
    parts = learner.parts()
    assert [size for _, size in parts] == sizes
    first = 0
    for mean, size in parts:
        np.testing.assert_allclose(mean, channels[first : first + size].mean(axis=0), rtol=1e-5)
        first += size


def test_a_part_that_is_left_out_is_in_nothing_any_more():
    channels, learner = draws(9), BackgroundLearner(9)
    for channel in channels:
        learner.add(channel)
    learner.leave_out(1)
    learner.leave_out(5)  # the last of those that are left
    left = np.concatenate((channels[:2], channels[4:8]))
    np.testing.assert_array_equal(learner.entry(), learned(left))
    assert [size for _, size in learner.parts()] == [2, 1, 1, 1, 1]
    expected = BackgroundLearner(6)
    for channel in left:
        expected.add(channel)
    assert learner.noise_var(learner.entry()) == expected.noise_var(expected.entry())


def test_seven_medians_of_ten_are_worth_54_captures():
    """Their noise is 1.31 times that of the median of all 70; what is stated is of one capture."""
    num_tones, rng, grid = 4000, np.random.default_rng(5), OfdmGrid(10e9, 15e3, 4000)
    noise = rng.standard_normal((70, num_tones, 4, 2)).view(complex)[..., 0] / np.sqrt(2.0)
    pilots = pilot_symbols(grid)[:, None]
    rounds, noise_vars = [], []
    for share in np.split(noise.astype(np.complex64), 7):
        learner = BackgroundLearner(10)
        for channel in share:
            learner.add(channel)
        entry = learner.entry()
        noise_vars.append(learner.noise_var(entry))
        rounds.append(Capture("t", "r", entry * pilots, 10, grid.waveform_hash))
    found = median_of_rounds(rounds, noise_vars, grid)
    ratio = np.mean(np.abs(found.channel) ** 2) / np.mean(np.abs(learned(noise)) ** 2)
    assert ratio == pytest.approx(1.31, abs=0.03)
    assert found.noise_var == pytest.approx(1.0, abs=0.02)
    assert (found.num_parts, found.parts_moved, len(found.parts)) == (7, 0, 7)
