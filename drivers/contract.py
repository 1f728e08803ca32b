"""What the checks of `drivers.contract_checks` stand on: a radio on a bench, and verdicts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from drivers.radio import IqBlock, Radio
from drivers.radio_errors import RadioError, TransmitForbiddenError
from drivers.tuning import Tuning


class ContractBrokenError(Exception):
    """A radio that does not do what the contract says."""


class NotApplicableError(Exception):
    """A check that this radio's capabilities leave without an object; the message says why."""


@dataclass(frozen=True)
class Bench:
    """A radio to be checked.

    Attributes
    ----------
    radio
        Open, and left as it was found apart from its tuning.
    tuning
        One that it must accept.
    num_samples
        Of the blocks that are asked for.
    """

    radio: Radio
    tuning: Tuning
    num_samples: int = 4096

    def receive(self, at_tick: int | None = None) -> IqBlock:
        """One block."""
        self.radio.arm_receive(self.num_samples, at_tick)
        return self.radio.fetch()

    def need(self, capability: str) -> None:
        """Leave a check whose object this radio does not have."""
        if not getattr(self.radio.info.capabilities, capability):
            msg = f"the radio's capability {capability} says no"
            raise NotApplicableError(msg)

    def send(self, samples: np.ndarray, at_tick: int | None = None, repeat_s: float = 0.0) -> None:
        """Transmit; what the host's interlock forbids cannot be checked on this host."""
        try:
            self.radio.transmit(samples, at_tick, repeat_s)
        except TransmitForbiddenError as refusal:
            raise NotApplicableError(str(refusal)) from refusal


Check = Callable[[Bench], None]


def demand(holds: bool, problem: str) -> None:
    """Break the contract unless something holds.

    Raises
    ------
    ContractBrokenError
    """
    if not holds:
        raise ContractBrokenError(problem)


def demand_refusal(action: Callable[[], object], *errors: type[RadioError]) -> None:
    """Break the contract unless an action raises one of the errors, with a remedy.

    Raises
    ------
    ContractBrokenError
    """
    names = " or ".join(error.__name__ for error in errors)
    try:
        action()
    except errors as error:
        demand(bool(error.remedy), f"{type(error).__name__} says no remedy")
        return
    except Exception as error:
        msg = f"{names} expected, got {type(error).__name__}: {error}"
        raise ContractBrokenError(msg) from error
    msg = f"{names} expected, but it was accepted"
    raise ContractBrokenError(msg)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one check.

    Attributes
    ----------
    check
        Its name.
    demand
        What it asks, in a sentence.
    outcome
        ``passed``, ``broken`` or ``not applicable``.
    reason
        Why not passed.
    """

    check: str
    demand: str
    outcome: Literal["passed", "broken", "not applicable"]
    reason: str = ""


def verdict_of(check: Check, bench: Bench) -> Verdict:
    """Run one check; any error that it does not expect breaks the contract as well."""
    name, asked = check.__name__.replace("_", " "), " ".join((check.__doc__ or "").split())
    try:
        check(bench)
    except NotApplicableError as reason:
        return Verdict(name, asked, "not applicable", str(reason))
    except (ContractBrokenError, RadioError) as broken:
        return Verdict(name, asked, "broken", str(broken))
    return Verdict(name, asked, "passed")
