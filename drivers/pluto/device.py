"""One AD936x board through pyadi-iio and libiio; every call belongs on its vendor thread."""

from contextlib import suppress
from dataclasses import dataclass

from drivers.geometry import ComplexArray
from drivers.pluto.board import Board
from drivers.pluto.connection import Connection
from drivers.pluto.facts import capabilities_of, chosen_channels, info_of
from drivers.pluto.filters import FilterDelays, filter_delays
from drivers.pluto.options import PlutoOptions
from drivers.pluto.reception import Reception
from drivers.pluto.tdd import Start, TddEngine
from drivers.pluto.transmission import Transmission
from drivers.pluto.vendor_errors import REFUSALS
from drivers.radio import RadioHealth
from drivers.radio_errors import TuningError
from drivers.tuning import Tuning


@dataclass(frozen=True, slots=True)
class Received:
    """One block.

    Attributes
    ----------
    samples
        Shape ``(num_samples, M)``, magnitude 1 is full scale.
    overflow, temperature_c
        Whether samples were lost, and how warm the transceiver is.
    start
        When it began, where the TDD engine started it.
    """

    samples: ComplexArray
    overflow: bool
    temperature_c: float | None
    start: Start | None


class Ad936xDevice:
    """What the driver does with a board (see `drivers.pluto.radio.PlutoRadio`).

    Parameters
    ----------
    uri, options, num_elements
        As of the radio.

    Attributes
    ----------
    info, awaits_trigger
        Who it is, and whether blocks wait for the TDD engine, so that a transmission can begin
        with them.
    gain_is_manual, delays
        What the last tuning came to: no gain that the device sets itself, and the filters'
        delays, where they are known.

    Raises
    ------
    RadioNotFoundError, RadioError
        If there is none, or not such a one.
    OSError
        From libiio, as from every method.
    """

    def __init__(self, uri: str, options: PlutoOptions, num_elements: int) -> None:
        self._uri = uri
        self._board = board = Board(uri)
        connection = Connection(board.context, options.timeout_s)
        channels = chosen_channels(options, num_elements, board.num_rx, board.num_tx)
        found = board.tdd_device if options.tdd == "auto" else None
        self._engine = engine = None if found is None else TddEngine(found)
        self.awaits_trigger = engine is not None
        able = capabilities_of(
            uri=uri, attributes=board.context.attrs, channels=channels, options=options,
            carrier_range_hz=board.carrier_range_hz, max_bandwidth_hz=board.max_bandwidth_hz,
            has_tdd=self.awaits_trigger, has_status=board.shows_status,
        )  # fmt: skip
        self.info = info_of(uri, board.context.attrs, board.iio, board.adi, able)
        self._rate_hz: int | None = None
        self._tx_channel = options.tx_channel
        self.gain_is_manual = True
        self.delays: FilterDelays | None = None
        board.quieten()
        self.reception = Reception(board, connection, channels, options.kernel_buffers, engine)
        self.transmission = Transmission(board, connection, options.tx_channel, engine)

    def tune(self, tuning: Tuning, before: Tuning | None) -> Tuning:
        """Apply a tuning and return what the device says of it; if it refuses, restore the old."""
        self.transmission.end()
        self.reception.drop()
        try:
            return self._apply(tuning)
        except OSError as error:
            if error.errno not in REFUSALS:
                raise
            self._rate_hz = None  # unknown
            if before is not None:
                self._apply(before)
            msg = f"{self._uri}: the device refused a part of {tuning} ({error.strerror})"
            raise TuningError(msg) from None

    def _apply(self, tuning: Tuning) -> Tuning:
        """The tuning as it was applied.

        The rate comes first, as pyadi-iio reprograms the filters with it and passes through
        other rates; the gains last, as their table depends on the carrier.
        """
        rate_hz = round(tuning.sample_rate_hz)
        if rate_hz != self._rate_hz:
            self._rate_hz = None  # unknown, should it fail half way
            self._board.adi_board.sample_rate = rate_hz
            self._rate_hz = rate_hz
        self._board.set_bandwidth(tuning.sample_rate_hz)
        self._board.set_carrier(round(tuning.carrier_hz))
        self._board.set_gains(tuning.rx_gain_db, tuning.tx_gain_db, self._tx_channel)
        self.gain_is_manual = self._board.gain_is_manual()
        self.delays = None
        with suppress(OSError):  # not all firmware answers this one
            self.delays = filter_delays(self._board.filter_config())
        return self._board.tuning(self._tx_channel)

    def receive(self, num_samples: int) -> Received:
        """The block for which a buffer is open."""
        samples, overflow = self.reception.block(num_samples)
        return Received(samples, overflow, self._board.temperature_c(), self._start)

    def transmit(self, samples: ComplexArray, rate_hz: float, *, cyclic: bool) -> Start | None:
        """Send a burst once, or over and over; when it began, where the TDD engine started it."""
        self.transmission.send(samples, rate_hz, cyclic=cyclic)
        return self._start

    @property
    def _start(self) -> Start | None:
        return None if self._engine is None else self._engine.start

    def health(self) -> RadioHealth:
        """Temperature, and what was lost so far; the device knows of no reference."""
        self.transmission.ran_dry()
        return RadioHealth(
            temperature_c=self._board.temperature_c(),
            num_overflows=self.reception.num_overflows,
            num_underflows=self.transmission.num_underflows,
        )

    def release(self) -> None:
        """Close all and let go of the device, whether it answers or not.

        The buffers first, and both: libiio crashes when one outlives its context.
        """
        for close in (
            self.reception.drop,
            self.transmission.drop,
            *([] if self._engine is None else [self._engine.release]),
        ):
            with suppress(OSError):
                close()
        del self.reception, self.transmission, self._engine  # before the context that they use
        self._board.release()
