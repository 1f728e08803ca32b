"""The median is NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.complex_median import complex_median


def literal(captures: np.ndarray) -> np.ndarray:
    found = np.empty(captures.shape[1:], dtype=np.complex64)
    found.real = np.median(captures.real, axis=0)
    found.imag = np.median(captures.imag, axis=0)
    return found


def drawn(count: int, shape: tuple[int, ...], seed: int, distinct: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    parts = rng.standard_normal((count, *shape, 2)).astype(np.float32)
    if distinct:
        parts = rng.integers(distinct, size=parts.shape).astype(np.float32)
    return parts.view(np.complex64)[..., 0]


@pytest.mark.parametrize("count", [*range(1, 20), 32, 33, 70, 71, 128, 200])
def test_the_median_is_numpys(count):
    captures = drawn(count, (37, 3), count)
    np.testing.assert_array_equal(complex_median(captures), literal(captures))


@given(count=st.integers(1, 90), columns=st.integers(1, 70), distinct=st.integers(0, 3),
       seed=st.integers(0, 999))  # fmt: skip
def test_with_equal_values_too(count, columns, distinct, seed):
    captures = drawn(count, (columns,), seed, distinct)
    np.testing.assert_array_equal(complex_median(captures), literal(captures))


def test_captures_stay_as_they_were():
    captures = drawn(9, (5, 2), 1)
    before = captures.copy()
    complex_median(captures)
    np.testing.assert_array_equal(captures, before)
