"""What can go wrong with a radio, as a family that says what to do."""


class RadioError(Exception):
    """Any failure of a radio; the message ends with the remedy.

    Attributes
    ----------
    problem
        What is wrong.
    remedy
        What the caller can do, in one clause.
    """

    default_remedy = "close the radio and open it again"

    def __init__(self, problem: str, remedy: str | None = None) -> None:
        self.problem = problem
        self.remedy = remedy or self.default_remedy
        super().__init__(f"{problem}; {self.remedy}")


class UnknownRadioError(RadioError):
    """No installed package provides a radio of this kind."""

    default_remedy = "install the package that provides it"


class RadioNotFoundError(RadioError):
    """The radio does not answer at its address."""

    default_remedy = "check power, cable and the address in the site file"


class RadioClosedError(RadioError):
    """The radio was closed and used afterwards."""

    default_remedy = "open it again"


class RadioLostError(RadioError):
    """The device went away while it was in use."""

    default_remedy = "check power and cable, then open it again"


class RadioTimeoutError(RadioError):
    """The device did not answer in time."""

    default_remedy = "try again; if it persists, restart the device"


class TuningError(RadioError):
    """The radio cannot be tuned as asked."""

    default_remedy = "ask for what the radio's capabilities allow"


class BurstRefusedError(RadioError):
    """A waveform or a number of samples that this radio cannot send or receive."""

    default_remedy = "use a grid that the radio's capabilities allow"


class LateCommandError(RadioError):
    """A timed command reached the device after its time; nothing was sent or received."""

    default_remedy = "schedule the burst further ahead"


class TransmitForbiddenError(RadioError):
    """The host's transmit interlock refused; nothing was sent.

    Attributes
    ----------
    rule
        Name of the rule in the host's own configuration.
    """

    default_remedy = "the limits of this host are set in its own transmit configuration"

    def __init__(self, rule: str, problem: str, remedy: str | None = None) -> None:
        self.rule = rule
        super().__init__(f"transmission refused by the rule '{rule}': {problem}", remedy)


class EndOfRecordingError(RadioError):
    """A recording holds no more blocks, or none for what was asked."""

    default_remedy = "record more, or replay with the settings of the recording"


# Those that another process can raise: what an interlock refuses never gets there.
_THAT_TRAVEL: dict[str, type[RadioError]] = {
    error.__name__: error
    for error in (
        BurstRefusedError, EndOfRecordingError, LateCommandError, RadioClosedError,
        RadioLostError, RadioNotFoundError, RadioTimeoutError, TuningError, UnknownRadioError,
    )
}  # fmt: skip


def error_named(name: str, problem: str, remedy: str) -> RadioError:
    """An error as another process raised it, by its class's name; a plain one for any other."""
    return _THAT_TRAVEL.get(name, RadioError)(problem, remedy)
