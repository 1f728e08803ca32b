"""What the radio asks of the process that calls libuhd, and what it answers."""

import msgspec

from drivers.radio_errors import RadioError, error_named
from drivers.tuning import Capabilities, Tuning
from drivers.usrp.options import UsrpOptions

# Longest burst and block; the memory that both processes share holds one of each.
MAX_SAMPLES = 1 << 22
# Each message follows the number of its request, little-endian.
NUMBER_BYTES = 8
MESSAGE_BYTES = 1 << 16


class _Message(msgspec.Struct, frozen=True, tag=True):
    pass


class Open(_Message, frozen=True):
    """Find, claim and prepare all boards; answered by `Opened`."""

    address: str
    options: UsrpOptions


class Configure(_Message, frozen=True):
    """Apply a tuning; answered by `Configured`."""

    tuning: Tuning


class TellTime(_Message, frozen=True):
    """Device time; answered by `Time`."""


class Arm(_Message, frozen=True):
    """Command a block; answered by `Scheduled`."""

    num_samples: int
    at_tick: int | None


class Fetch(_Message, frozen=True):
    """Wait for the block, which goes into the shared memory; answered by `Received`."""


class Transmit(_Message, frozen=True):
    """Start to send what is in the shared memory; answered by `Scheduled`."""

    num_samples: int
    at_tick: int | None


class AwaitTransmission(_Message, frozen=True):
    """Wait until the last burst is over; answered by `Transmitted`."""


class LookAround(_Message, frozen=True):
    """Read the sensors; answered by `Sensed`."""


class Release(_Message, frozen=True):
    """Let go of the device and end; answered by `Done`."""


Request = (
    Open | Configure | TellTime | Arm | Fetch | Transmit | AwaitTransmission | LookAround | Release
)


class Sensed(_Message, frozen=True):
    """Locks, temperature, and counts since the device was opened.

    Attributes
    ----------
    time_std_s
        Of the pulse's arrival, and how far device time was off at the last pulse.
    """

    clock_locked: bool | None
    pps_locked: bool | None
    temperature_c: float | None
    time_std_s: float
    num_overflows: int
    num_underflows: int
    num_lates: int


class Opened(_Message, frozen=True):
    """Who the boards are and what they can do."""

    serial: str
    software: str
    capabilities: Capabilities


class Configured(_Message, frozen=True):
    """What the device applied, and whether its time was set anew."""

    tuning: Tuning
    time_was_set: bool


class Time(_Message, frozen=True):
    """Device time."""

    tick: int


class Scheduled(_Message, frozen=True):
    """A block or burst is to come, and over in so many seconds."""

    over_in_s: float


class Received(_Message, frozen=True):
    """A block is in the shared memory; lost samples are zero."""

    first_sample_tick: int
    overflow: bool
    discontinuity: bool
    sensed: Sensed


class Transmitted(_Message, frozen=True):
    """What became of a burst."""

    first_sample_tick: int | None
    underflow: bool
    late: bool
    sensed: Sensed


class Done(_Message, frozen=True):
    """It is done."""


class Failed(_Message, frozen=True):
    """It failed with an error of the family."""

    error: str
    problem: str
    remedy: str


Answer = Opened | Configured | Time | Scheduled | Received | Transmitted | Sensed | Done | Failed


def failure_of(error: RadioError) -> Failed:
    """An error as a message."""
    return Failed(type(error).__name__, error.problem, error.remedy)


def error_of(failure: Failed) -> RadioError:
    """The error that a message tells of."""
    return error_named(failure.error, failure.problem, failure.remedy)
