"""UHD's Python module, where it can be used, and its errors as the family's."""

import ctypes
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from drivers.radio_errors import RadioError, RadioLostError, RadioNotFoundError

# Bindings before this one are built for NumPy 1 by the distributions that ship them; with NumPy 2
# they load, and crash when the first sample is received.
_FIRST_WITH_NUMPY_2 = (4, 7)

# How libuhd words that a device no longer answers: control packets, calls, refused sockets.
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
    try:
        import uhd
    except ImportError as error:
        msg = f"the module uhd cannot be loaded: {error}"
        raise RadioNotFoundError(
            msg, "apt install python3-uhd, make usrp-env, and run this agent with .venv-usrp"
        ) from error
    version = uhd_version(uhd)
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < _FIRST_WITH_NUMPY_2 and int(np.__version__.split(".")[0]) >= 2:
        msg = f"UHD {version} crashes with NumPy {np.__version__}: it needs numpy<2"
        raise RadioNotFoundError(msg, "make usrp-env, and run this agent with .venv-usrp")
    return uhd


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
