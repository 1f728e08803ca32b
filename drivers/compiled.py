"""Functions compiled to machine code, kept on disk between runs."""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numba

from drivers.interrupts import interrupts_deferred

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """The same function on numbers and arrays, compiled by Numba when first called.

    What was compiled lies beside the source, or in the user's cache folder where that cannot be
    written, so that the next process starts fast; where neither can, or what was kept is damaged,
    it is compiled once a process.
    Callers of deadlines call it once before. It runs on one thread without the interpreter lock.

    A division by zero gives infinity or NaN, as NumPy's. Numba notices a changed file, but not that
    a constant or function of another file has changed: what is compiled uses its own file only, as
    a test of the architecture checks.
    """
    return _interruptible(_kept(function))


def compiled_sums(function: Callable[P, R]) -> Callable[P, R]:
    """As `compiled`; sums are taken in any order, several terms at a time.

    As NumPy and BLAS do: the result differs by rounding, between machines too.
    """
    return _interruptible(_kept(function, any_order=True))


def _interruptible(function: Any) -> Any:
    """The same, and an interrupt stays one.

    Numba turns arrays into Python's with a little Python, and the handler of a Ctrl-C that came
    meanwhile runs there; where its result goes on all the same, callers see a `SystemError`.
    """

    @wraps(function, updated=())
    def called(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except SystemError as error:
            cause: BaseException | None = error
            while isinstance(cause, SystemError):
                cause = cause.__cause__
            if isinstance(cause, KeyboardInterrupt):
                raise cause from None
            raise

    vars(called)["_numba_type_"] = function._numba_type_  # what other compiled functions call
    return called


def _kept(function: Callable[P, R], *, any_order: bool = False) -> Any:
    try:
        result = _jit(function, any_order=any_order, cache=True)
    except RuntimeError:  # no folder to keep it in
        return _jit(function, any_order=any_order, cache=False)
    _forgive(result)
    return result


def _jit(function: Callable[P, R], *, any_order: bool, cache: bool) -> Any:
    loose = {"reassoc", "contract", "nsz"} if any_order else False
    result: Any = numba.njit(cache=cache, nogil=True, error_model="numpy", fastmath=loose)(function)
    compiling = result.compile

    def compile_whole(*arguments: Any) -> Any:
        with interrupts_deferred():  # the compiler would lose them
            return compiling(*arguments)

    result.compile = compile_whole
    return result


def _forgive(result: Any) -> None:
    """Make what cannot be kept or read back no error: it is compiled once more."""
    kept = result._cache
    load, save = kept.load_overload, kept.save_overload

    def load_overload(*arguments: Any) -> Any:
        try:
            return load(*arguments)
        except Exception:  # noqa: BLE001  a damaged file may fail in any way
            return None

    def save_overload(*arguments: Any) -> None:
        with suppress(OSError):  # a full disk, for one
            try:
                save(*arguments)
            except OSError:
                raise
            except Exception:  # noqa: BLE001  the index is damaged: begin a new one
                kept.flush()
                save(*arguments)

    kept.load_overload, kept.save_overload = load_overload, save_overload
