"""What libiio's errors mean, as radio errors that name the device."""

import errno

from drivers.radio_errors import (
    RadioError,
    RadioLostError,
    RadioNotFoundError,
    RadioTimeoutError,
)
from drivers.vendor_software import INSTALLATION

# libiio 0.24 says EPIPE of a killed server at once, and of a frozen one after its timeout.
_LOST = (
    errno.EPIPE, errno.ECONNRESET, errno.ENODEV, errno.EIO, errno.ENOTCONN, errno.EBADF,
    errno.ECONNREFUSED, errno.ENXIO,
)  # fmt: skip
# The device is well, but will not have a value.
REFUSALS = (errno.EINVAL, errno.ERANGE)


def error_in_use(uri: str, error: OSError) -> RadioError:
    """The radio error for one of libiio's, of a device that was open."""
    says = f"{uri}: {error.strerror or error}"
    if error.errno == errno.EBUSY:
        msg = f"{uri}: somebody else uses the device (device or resource busy)"
        return RadioError(msg, "end the other program that streams with it")
    if error.errno == errno.ETIMEDOUT:
        return RadioTimeoutError(f"{uri}: the device did not answer in time")
    if error.errno in _LOST:
        return RadioLostError(f"{says}: the device is gone, or stopped answering")
    return RadioError(f"{says} (errno {error.errno})")


def error_in_opening(uri: str, error: OSError) -> RadioError:
    """The radio error for one of libiio's, of a device that did not open."""
    if error.errno == errno.EBUSY:
        return error_in_use(uri, error)
    return RadioNotFoundError(f"no radio answers at {uri!r}: {error.strerror or error}")


def missing_library(error: Exception) -> RadioError:
    """The radio error where the vendor's modules cannot be imported."""
    msg = f"the vendor's libraries for AD936x boards cannot be loaded: {error}"
    return RadioNotFoundError(msg, INSTALLATION["pluto"])
