"""Functions compiled to machine code, kept on disk between runs."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The same function on numbers and arrays, compiled by Numba when first called.

    What was compiled lies beside the source, or in the user's cache folder where that cannot be
    written, so that the next process starts fast; without either it is compiled once a process.
    Callers of deadlines call it once before. It runs on one thread without the interpreter lock.

    A division by zero gives infinity or NaN, as NumPy's. Numba notices a changed file, but not that
    a function called from another file has changed: what is compiled calls its own file only.
    """
    try:
        return _jit(function, cache=True)
    except RuntimeError:  # no folder to keep it in
        return _jit(function, cache=False)


def _jit(function: Callable[P, R], *, cache: bool) -> Callable[P, R]:
    jit = numba.njit(cache=cache, nogil=True, error_model="numpy")
    result: Callable[P, R] = jit(function)
    return result
