"""The radio of a software Pluto: one clock, one or two chips, their receivers and transmitter."""

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from sim_backend.ether import Ether
from sim_backend.iiod.chip import Chip
from sim_backend.iiod.receive import Receiver
from sim_backend.iiod.tones import Tones
from sim_backend.iiod.transmit import Transmitter
from sim_backend.impairments import Impairments
from sim_backend.oscillator import FS_PER_S


class Board:
    """One node's radio.

    All chips sample at the instants of one clock, at the rate of the first chip.

    Attributes
    ----------
    chips
        The transceiver chips.
    tones
        Of the first transmitter.
    receiver, transmitter
        What buffers are opened on.
    """

    def __init__(
        self, ether: Ether, node_index: int, impairments: Impairments, channels: tuple[int, ...]
    ) -> None:
        self._ether = ether
        self.chips = tuple(
            Chip(ether, node_index, impairments, sum(channels[:number]), size, number)
            for number, size in enumerate(channels)
        )
        self._clock = self.chips[0].receiver.clock
        self.tones = Tones()
        self.receiver = Receiver(self.chips, self.now_tick)
        self.transmitter = Transmitter(self.chips[0], self.now_tick, self.tones.period)
        self._num_starts = 0
        self._tune_receivers(self.chips)
        for chip in self.chips:
            self._tune_transmitter(chip)

    @property
    def rate_hz(self) -> float:
        """Samples a second."""
        return self.chips[0].rate_hz

    def now_tick(self) -> int:
        """Device time now."""
        return self._clock.tick(self._ether.now_fs, self.rate_hz)

    def seconds_until(self, tick: int) -> float:
        """True time until a tick; negative if it has passed."""
        return (self._clock.true_fs(tick, self.rate_hz) - self._ether.now_fs) / FS_PER_S

    def start_delay_ticks(self) -> int:
        """How long it takes from a call to the start of its transfer."""
        self._num_starts += 1
        return self.chips[0].transmitter.start_latency_ticks(self._num_starts)

    def receiver_change(self, chip: Chip, *, retunes: bool) -> AbstractContextManager[None]:
        """While open, settings of a chip's receivers change."""
        return self.receiver.change(partial(self._tune_receivers, (chip,)) if retunes else None)

    def transmitter_change(self, chip: Chip, *, retunes: bool) -> AbstractContextManager[None]:
        """While open, settings of a chip's transmitters change."""
        return self.transmitter.change(partial(self._tune_transmitter, chip) if retunes else None)

    @contextmanager
    def rate_change(self) -> Iterator[None]:
        """While open, rates or filters of the chips change."""
        with (
            self.receiver.change(partial(self._tune_receivers, self.chips)),
            self.transmitter.change(partial(self._tune_transmitter, self.chips[0])),
        ):
            yield

    def _tune_receivers(self, chips: Iterable[Chip]) -> None:
        for chip in chips:
            chip.tune_receiver(self._clock, self.rate_hz)

    def _tune_transmitter(self, chip: Chip) -> None:
        chip.tune_transmitter(self._clock, self.rate_hz)
