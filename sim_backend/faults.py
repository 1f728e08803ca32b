"""Faults of a simulated radio, on demand or at random."""

from collections import Counter
from collections.abc import Mapping
from typing import Literal, get_args

from sim_backend.scene import random_stream

FaultKind = Literal[
    "late_transmit",  # the burst reaches the device too late and is not sent
    "underflow",  # the device runs out of samples in the middle of a burst
    "late_receive",  # the command reaches the device too late: no block
    "overflow",  # samples are lost on the device
    "dropped_samples",  # samples are lost on the way to the host
    "stale_buffer",  # a block from before the command
    "automatic_gain",  # the device sets its own gain
    "clock_unlock",  # the external reference is gone: the clock runs free
    "pps_loss",  # the pulse per second is gone: time is no longer common
    "timeout",  # the device does not answer in time
    "lost",  # the device is gone, and stays so
]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)


class Faults:
    """Which fault strikes next.

    Parameters
    ----------
    seed, node_index
        Of the random faults.
    probability
        Of each kind, each time that it could strike.
    """

    def __init__(
        self, seed: int, node_index: int, probability: Mapping[FaultKind, float] | None = None
    ) -> None:
        self._seed = seed
        self._node_index = node_index
        self._probability = dict(probability or {})
        self._ordered: Counter[FaultKind] = Counter()
        self._chances: Counter[FaultKind] = Counter()

    def inject(self, kind: FaultKind, times: int = 1) -> None:
        """Let a fault strike the next `times` times that it can.

        Raises
        ------
        ValueError
            For an unknown kind.
        """
        if kind not in FAULT_KINDS:
            msg = f"no fault {kind!r}; there are {', '.join(FAULT_KINDS)}"
            raise ValueError(msg)
        self._ordered[kind] += times

    def strikes(self, kind: FaultKind) -> bool:
        """Whether a fault strikes now; asking uses up one of the times."""
        if self._ordered[kind] > 0:
            self._ordered[kind] -= 1
            return True
        if not self._probability.get(kind):
            return False
        self._chances[kind] += 1
        key = self._node_index, FAULT_KINDS.index(kind), self._chances[kind]
        draw = random_stream(self._seed, "fault", *key).uniform()
        return bool(draw < self._probability[kind])
