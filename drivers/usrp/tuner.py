"""Sources, rate, carrier and gains of all boards, set and read back."""

from typing import Any

from drivers.radio_errors import TuningError
from drivers.tuning import Tuning
from drivers.usrp.options import UsrpOptions

# Names of the sources in UHD.
_TIME_SOURCES = {"none": "internal", "pps": "external"}
# The coarsest synthesizer of the family steps in a few hertz; more is another carrier.
_SAME_HZ = 10.0
# Of a timed tune, so that the command reaches all boards before.
_TUNE_AHEAD_S = 0.02
# Boards with a synthesizer that a timed command resets.
TIMED_TUNE_BOARDS = ("SBX", "UBX", "OBX")


class Tuner:
    """Settings of the boards.

    Attributes
    ----------
    num_changes
        Of sources and rate: streamers from before one no longer fit.
    """

    def __init__(self, uhd: Any, usrp: Any, options: UsrpOptions) -> None:
        self._uhd = uhd
        self._usrp = usrp
        self._rx_channels = options.rx_channels or ()
        self._tx_channel = options.tx_channel
        self._timed = options.timed_tune
        self.num_changes = 0

    def apply(self, old: Tuning | None, new: Tuning) -> Tuning:
        """Set what differs and return what the device then says.

        What is the same is not touched: a synthesizer that is tuned again has another phase.

        Raises
        ------
        TuningError
            If the device tuned to something else than was asked for.
        """
        sources_stay = old and (old.clock_source, old.time_source) == (
            new.clock_source, new.time_source,
        )  # fmt: skip
        rate_stays = old and abs(old.sample_rate_hz - new.sample_rate_hz) < 1.0
        if not sources_stay:
            self._usrp.set_clock_source(new.clock_source)
            self._usrp.set_time_source(_TIME_SOURCES[new.time_source])
        if not rate_stays:
            self._set_rate(new.sample_rate_hz)
        self.num_changes += not (sources_stay and rate_stays)
        if not (sources_stay and rate_stays and old and abs(old.carrier_hz - new.carrier_hz) < 1.0):
            self._set_carrier(new.carrier_hz)
        self._set_gains(new)
        return self._read_back(new)

    def _set_rate(self, rate_hz: float) -> None:
        """On boards without a decimator, an E320 for one, this sets the master clock."""
        for channel in self._rx_channels:
            self._usrp.set_rx_rate(rate_hz, channel)
        self._usrp.set_tx_rate(rate_hz, self._tx_channel)

    def _set_carrier(self, carrier_hz: float) -> None:
        request = self._uhd.types.TuneRequest(carrier_hz)
        if self._timed:
            now = self._usrp.get_time_now()
            self._usrp.set_command_time(now + self._uhd.types.TimeSpec(_TUNE_AHEAD_S))
        for channel in self._rx_channels:
            self._usrp.set_rx_freq(request, channel)
        self._usrp.set_tx_freq(request, self._tx_channel)
        if self._timed:
            self._usrp.clear_command_time()

    def _set_gains(self, tuning: Tuning) -> None:
        for channel in self._rx_channels:
            self._usrp.set_rx_gain(tuning.rx_gain_db, channel)
        self._usrp.set_tx_gain(tuning.tx_gain_db, self._tx_channel)

    def _read_back(self, wanted: Tuning) -> Tuning:
        first, tx = self._rx_channels[0], self._tx_channel
        carriers_hz = [self._usrp.get_rx_freq(channel) for channel in self._rx_channels]
        rates_hz = [self._usrp.get_rx_rate(channel) for channel in self._rx_channels]
        for name, asked, got in (
            ("carrier_hz", wanted.carrier_hz, [*carriers_hz, self._usrp.get_tx_freq(tx)]),
            ("sample_rate_hz", wanted.sample_rate_hz, [*rates_hz, self._usrp.get_tx_rate(tx)]),
        ):
            worst = max(got, key=lambda value, asked=asked: abs(value - asked))  # type: ignore[misc]
            if abs(worst - asked) > _SAME_HZ:
                msg = f"{name}: asked for {asked:.12g}, the device went to {worst:.12g}"
                raise TuningError(msg, "ask for a value that the device has")
        return Tuning(
            carriers_hz[0],
            rates_hz[0],
            self._usrp.get_rx_gain(first),
            self._usrp.get_tx_gain(tx),
            wanted.clock_source,
            wanted.time_source,
        )
