"""What an air process is asked, and what it answers: the radio contract, one message a call."""

from typing import Annotated, Literal

from msgspec import Meta

from drivers.geometry import ComplexArray
from drivers.radio import IqBlock, RadioHealth, RadioInfo, TransmitReport
from drivers.radio_errors import RadioError, error_named
from drivers.tuning import Tuning
from testbed.bus.wire import Message

# The session that backgrounds are learned in, and the one that everything else is of.
Session = Literal[0, 1]
Number = Annotated[int, Meta(ge=0)]

# Four million samples to be sent, the most that a simulated radio takes; and of a block received.
MAX_REQUEST_BYTES = 1 << 25
MAX_ANSWER_BYTES = 1 << 28

_BLOCK_FIELDS = tuple(name for name in IqBlock.__slots__ if name != "samples")


class AirRequest(Message, frozen=True):
    """One request; its answer repeats `request_id`."""

    request_id: Number


class Open(AirRequest, frozen=True):
    """Switch a node's radio on, in one session; another one of the node there is closed."""

    node_id: Annotated[str, Meta(max_length=256)]
    session: Session


class Advance(AirRequest, frozen=True):
    """Let time pass in one session."""

    session: Session
    duration_s: float


class RadioRequest(AirRequest, frozen=True):
    """A call of a radio, by the number that `Opened` gave it."""

    radio_id: Number


class Configure(RadioRequest, frozen=True):
    """`Radio.configure`."""

    tuning: Tuning


class GetTicks(RadioRequest, frozen=True):
    """`Radio.time_ticks`."""


class Transmit(RadioRequest, frozen=True):
    """`Radio.transmit`, the samples as buffer; `look` as of `sim_backend.ether.Ether`."""

    at_tick: int | None
    repeat_s: float
    look: Number | None


class StopTransmit(RadioRequest, frozen=True):
    """`Radio.stop_transmit`."""


class GetReport(RadioRequest, frozen=True):
    """`Radio.transmit_report`."""


class ArmReceive(RadioRequest, frozen=True):
    """`Radio.arm_receive`."""

    num_samples: int
    at_tick: int | None


class Fetch(RadioRequest, frozen=True):
    """`Radio.fetch`."""


class GetHealth(RadioRequest, frozen=True):
    """`Radio.health`."""


class Close(RadioRequest, frozen=True):
    """`Radio.close`."""


class AirAnswer(Message, frozen=True):
    """The answer to one request."""

    request_id: Number


class Done(AirAnswer, frozen=True):
    """It was done, and nothing is to be said."""


class Opened(AirAnswer, frozen=True):
    """A radio is on: its number, and who it is."""

    radio_id: Number
    info: RadioInfo


class Tuned(AirAnswer, frozen=True):
    """A tuning, as applied."""

    tuning: Tuning


class Ticks(AirAnswer, frozen=True):
    """Device time."""

    ticks: int


class Reported(AirAnswer, frozen=True):
    """What became of a transmission."""

    report: TransmitReport


class HealthTold(AirAnswer, frozen=True):
    """State of a radio."""

    health: RadioHealth


class Block(AirAnswer, frozen=True):
    """A block, its samples as buffer; fields as of `drivers.radio.IqBlock`."""

    first_sample_tick: int | None
    tick_rate_hz: float
    tuning: Tuning
    full_scale_dbm: float
    config_epoch: int
    overflow: bool
    late: bool
    discontinuity: bool
    gain_is_manual: bool
    coherent_groups: tuple[tuple[int, ...], ...]
    clock_locked: bool | None
    pps_locked: bool | None
    temperature_c: float | None
    time_std_s: float

    def with_samples(self, samples: ComplexArray) -> IqBlock:
        """The block itself."""
        return IqBlock(samples, **{name: getattr(self, name) for name in _BLOCK_FIELDS})


class Failed(AirAnswer, frozen=True):
    """A radio's error, by the name of its class."""

    error: str
    problem: str
    remedy: str

    def raised(self) -> RadioError:
        """The error as it was raised in the air process."""
        return error_named(self.error, self.problem, self.remedy)


REQUESTS: tuple[type[AirRequest], ...] = (
    Open, Advance, Configure, GetTicks, Transmit, StopTransmit, GetReport, ArmReceive, Fetch,
    GetHealth, Close,
)  # fmt: skip
ANSWERS: tuple[type[AirAnswer], ...] = (
    Done, Opened, Tuned, Ticks, Reported, HealthTold, Block, Failed
)  # fmt: skip


def failed(request_id: int, error: RadioError) -> Failed:
    """Answer that carries an error."""
    return Failed(
        request_id=request_id,
        error=type(error).__name__,
        problem=error.problem,
        remedy=error.remedy,
    )


def block_answer(request_id: int, block: IqBlock) -> Block:
    """Answer that describes a block, all but its samples."""
    return Block(request_id=request_id, **{name: getattr(block, name) for name in _BLOCK_FIELDS})
