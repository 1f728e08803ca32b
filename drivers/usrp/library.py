"""UHD's Python module, where it can be used, and its errors as the family's."""

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from drivers.radio_errors import RadioError, RadioLostError, RadioNotFoundError
from drivers.vendor_software import INSTALLATION

# What a module looks for that was compiled with NumPy 2's headers. One that was not loads with
# NumPy 2 as well, opens devices, and crashes the process at the first sample. That is a matter of
# the build, not of UHD's version: distributions before Python 3.13 build with NumPy 1.
_NUMPY_2_MARK = b"numpy._core._multiarray_umath"
_REMEDY = "make usrp-env, and run this agent with .venv-usrp/bin/testbed"

# How libuhd words that a device no longer answers: control packets, calls, sockets.
_LOST = re.compile(
    r"OpTimeout|rpc::timeout|rpc::system_error|EnvironmentError: IOError|"
    r"Connection (refused|reset)|connection is not open"
)


def load_uhd() -> Any:
    """The ``uhd`` module.

    Raises
    ------
    RadioNotFoundError
        If it is not installed, or would crash with the NumPy that is.
    """
    check_numpy(np.__version__)
    try:
        import uhd
    except ImportError as error:
        msg = f"the module uhd cannot be loaded: {error}"
        raise RadioNotFoundError(msg, INSTALLATION["usrp"]) from error
    return uhd


def check_numpy(numpy_version: str) -> None:
    """Refuse a NumPy that the installed ``uhd`` would crash with, without loading it.

    Raises
    ------
    RadioNotFoundError
    """
    spec = find_spec("uhd")
    if spec is None or spec.origin is None or numpy_version.startswith(("0.", "1.")):
        return
    for module in Path(spec.origin).parent.glob("libpyuhd*.so"):
        if _NUMPY_2_MARK not in module.read_bytes():
            msg = f"{module} is built for NumPy 1 and would crash with NumPy {numpy_version}"
            raise RadioNotFoundError(msg, _REMEDY)


def uhd_version(uhd: Any) -> str:
    """Version of the libuhd that a module is bound to, as that says it."""
    library = ctypes.CDLL(uhd.libpyuhd.__file__)
    text = ctypes.create_string_buffer(64)
    library.uhd_get_version_string(text, len(text))
    return text.value.decode().partition("+")[0]


@contextmanager
def vendor_errors() -> Iterator[None]:
    """Turn UHD's exceptions into radio errors, with UHD's own words."""
    try:
        yield
    except RuntimeError as error:
        words = str(error).removeprefix("RuntimeError: ")
        if _LOST.search(words):
            msg = f"the USRP no longer answers; UHD says: {words}"
            raise RadioLostError(msg) from error
        msg = f"UHD says: {words}"
        raise RadioError(msg) from error
