"""A capture is brought onto a background: gain and delay recovered to their bounds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.waveform import OfdmGrid
from processing.alignment import align, noise_var_of, shifted

GRID = OfdmGrid(5.8e9, 30e3, 612)


def background(num_elements: int = 4, seed: int = 0) -> np.ndarray:
    """A direct path and twenty echoes over half a microsecond."""
    rng = np.random.default_rng(seed)
    delay_s = np.concatenate(([60e-9], rng.uniform(70e-9, 500e-9, 20)))
    gain = np.concatenate(([1.0], 0.1 * rng.standard_normal(20)))
    phase = rng.uniform(0.0, 2.0 * np.pi, (21, num_elements))
    turn = np.exp(-2j * np.pi * GRID.offset_hz[:, None] * delay_s)
    return (turn @ (gain[:, None] * np.exp(1j * phase))).astype(np.complex64)


def noise(shape, var, seed=1):
    rng = np.random.default_rng(seed)
    parts = rng.standard_normal((*shape, 2)) * np.sqrt(var / 2.0)
    return parts.view(np.complex128)[..., 0].astype(np.complex64)


def left_db(channel: np.ndarray, reference: np.ndarray) -> float:
    """Power of a difference over the reference's."""
    left = np.mean(np.abs(channel - reference) ** 2) / np.mean(np.abs(reference) ** 2)
    return float(10.0 * np.log10(max(left, 1e-30)))


@given(
    delay_cells=st.floats(-80.0, 80.0),
    gain_db=st.floats(-60.0, 60.0),
    phase_rad=st.floats(-np.pi, np.pi),
)
def test_any_gain_and_delay_is_taken_back(delay_cells, gain_db, phase_rad):
    reference = background()
    delay_s = delay_cells / GRID.bandwidth_hz
    gain = 10.0 ** (gain_db / 20.0) * np.exp(1j * phase_rad)
    capture = shifted(reference, GRID, delay_s) * np.complex64(gain)
    aligned, found = align(capture, reference, GRID)
    assert found.delay_s == pytest.approx(np.full(4, delay_s), abs=1e-13)
    assert found.gain == pytest.approx(np.full(4, gain), rel=1e-4)
    # -90 dB and less: what single precision leaves
    assert left_db(aligned, reference) < -90.0
    np.testing.assert_allclose(aligned, reference, atol=1e-4)


def test_errors_reach_the_bound_of_a_known_waveform():
    """var(delay) = var / (2 sum (2 pi f)^2 |B|^2) about the weighted mean of f; 2 K M samples."""
    reference, var = background(), 0.05
    weight = np.sum(np.abs(reference) ** 2, axis=1)
    mean_hz = np.sum(weight * GRID.offset_hz) / weight.sum()
    information = 2.0 * np.sum((2 * np.pi * (GRID.offset_hz - mean_hz)) ** 2 * weight) / var
    errors = np.array([
        align(reference + noise(reference.shape, var, seed), reference, GRID)[1].delay_s[0]
        for seed in range(300)
    ])  # fmt: skip
    # 300 draws: the ratio of variances has a standard deviation of 8 %
    assert np.mean(errors**2) * information == pytest.approx(1.0, abs=0.25)


def test_groups_are_aligned_by_themselves():
    reference = background()
    delays = np.array([3e-9, 3e-9, -40e-9, -40e-9])
    gains = np.array([1.0, 1.0, 2j, 2j], dtype=np.complex64)
    capture = shifted(reference, GRID, delays) * gains
    aligned, found = align(capture, reference, GRID, [(0, 1), (2, 3)])
    assert found.delay_s == pytest.approx(delays, abs=1e-12)
    np.testing.assert_allclose(aligned, reference, atol=1e-4)
    together, _ = align(capture, reference, GRID)
    assert left_db(together, reference) > -10.0


def test_without_alignment_the_same_capture_cannot_be_subtracted():
    """The control: one nanosecond and ten degrees, so that the test of suppression can fail."""
    reference = background()
    capture = shifted(reference, GRID, 1e-9) * np.complex64(np.exp(0.17j))
    assert left_db(capture, reference) > -20.0
    assert left_db(align(capture, reference, GRID)[0], reference) < -90.0


def test_nothing_to_align_to_is_said():
    reference = background()
    reference[:, 2:] = 0.0
    with pytest.raises(ValueError, match=r"zero on elements \[2, 3\]"):
        align(background(), reference, GRID, [(0, 1), (2, 3)])


def test_noise_of_a_reference_does_not_make_gains_too_small():
    """Least squares against a reference of 10 dB finds a gain 9 % too small (1 / 1.1)."""
    clean = background()
    var = 0.1 * float(np.mean(np.abs(clean) ** 2))
    reference = clean + noise(clean.shape, var)
    plain, told = (
        align(3.0 * clean, reference, GRID, reference_noise_var=known)[1].gain[0]
        for known in (0.0, var)
    )
    # 2448 entries of 10 dB: the gain itself is known to 0.6 %
    assert abs(plain) == pytest.approx(3.0 / 1.1, rel=0.02)
    assert abs(told) == pytest.approx(3.0, rel=0.02)


@pytest.mark.parametrize("num_elements", [1, 2, 16])
@pytest.mark.parametrize("snr_db", [-10.0, 10.0, 50.0])
def test_noise_of_a_channel_is_told_from_its_paths(num_elements, snr_db):
    clean = background(num_elements)
    var = 10.0 ** (-snr_db / 10.0) * float(np.mean(np.abs(clean) ** 2))
    found = noise_var_of(clean + noise(clean.shape, var))
    # The median of 306 exponentials or more: 8 % at the least elements
    assert found == pytest.approx(var, rel=0.25)


def test_a_reference_of_noise_alone_still_gives_a_gain():
    reference = noise((612, 2), 1.0)
    _, found = align(reference, reference, GRID, reference_noise_var=1.0)
    assert np.isfinite(found.gain).all()
