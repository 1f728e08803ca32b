"""All boards of one radio as one device: what they are set to, and the state that they are in."""

from dataclasses import dataclass
from typing import Any

from drivers.radio_errors import RadioError, TuningError
from drivers.tuning import Tuning
from drivers.usrp.clock import HOST_TIME_STD_S, BoardClocks
from drivers.usrp.messages import Configured, Opened
from drivers.usrp.options import UsrpOptions
from drivers.usrp.slots import channels_to_send_on
from drivers.usrp.tuner import Tuner

_TEMPERATURES = ("temp_internal", "temp_fpga", "temp")


@dataclass(frozen=True, slots=True)
class Locks:
    """References of all boards, as in `drivers.radio.IqBlock`."""

    clock_locked: bool | None
    pps_locked: bool | None
    time_std_s: float


class Board:
    """One or several motherboards as one device.

    Attributes
    ----------
    uhd, usrp
        The module and its ``MultiUSRP``.
    options
        As opened with.
    opened
        Identity and capabilities.
    tuner, clocks
        Its settings and its timekeepers.
    tx_channels
        Of a transmit streamer.
    """

    def __init__(self, uhd: Any, usrp: Any, options: UsrpOptions, opened: Opened) -> None:
        self.uhd = uhd
        self.usrp = usrp
        self.options = options
        self.opened = opened
        self.tuner = Tuner(uhd, usrp, options)
        self.clocks = BoardClocks(uhd, usrp)
        self.tx_channels = channels_to_send_on(usrp, self.rx_channels, options.tx_channel)
        self._tuning: Tuning | None = None
        self._time_is_for: tuple[object, ...] | None = None
        self._time_was_lost = False
        self._sensors = [usrp.get_mboard_sensor_names(b) for b in range(usrp.get_num_mboards())]

    @property
    def rx_channels(self) -> tuple[int, ...]:
        """Channels that receive."""
        return self.options.rx_channels or ()

    @property
    def tuning(self) -> Tuning:
        """As last applied.

        Raises
        ------
        RadioError
            If there is none yet.
        """
        if self._tuning is None:
            raise RadioError("the radio has no tuning yet", "call configure() first")
        return self._tuning

    def now_tick(self) -> int:
        """Device time in ticks of the sample rate."""
        return self.clocks.now_tick(self.tuning.sample_rate_hz)

    def configure(self, wanted: Tuning) -> Configured:
        """Apply a tuning, and set the time where that is needed.

        Raises
        ------
        TuningError
            If the device cannot do it; the old tuning stays.
        RadioError
            If there is no pulse per second; the tuning is then undefined.
        """
        if wanted.time_source == "none" and self.clocks.num_boards > 1:
            msg = "time_source 'none': several boards need a pulse per second to agree on a time"
            raise TuningError(msg, "set time_source to 'pps' and connect it to every board")
        before, self._tuning = self._tuning, None
        try:
            applied = self.tuner.apply(before, wanted)
        except TuningError:
            if before is not None:
                self._tuning = self.tuner.apply(wanted, before)
            raise
        time_was_set = self._set_time_if_needed(applied)
        self._tuning = applied
        return Configured(applied, time_was_set)

    def locks(self) -> Locks:
        """State of clock and pulse; what is lost makes a later tuning set the time again."""
        clock_locked = pps_locked = None
        time_std_s = HOST_TIME_STD_S
        if self.tuning.clock_source == "external":
            clock_locked = self._references_are_locked()
        if self.tuning.time_source == "pps":
            pps_locked, off_s = self.clocks.last_pulse()
            time_std_s = (self.options.pps_std_s**2 + off_s**2) ** 0.5
        if clock_locked is False or pps_locked is False:
            self._time_was_lost = True
        return Locks(clock_locked, pps_locked, time_std_s)

    def temperature_c(self) -> float | None:
        """Of the first board, if it tells."""
        for name in _TEMPERATURES:
            if name in self._sensors[0]:
                return float(self.usrp.get_mboard_sensor(name, 0).to_real())
        return None

    def _set_time_if_needed(self, tuning: Tuning) -> bool:
        """A time holds while sources and rate stay, and neither reference was seen lost.

        One that was lost is set again once it is back; until then every block says so.
        """
        needed_for = (tuning.clock_source, tuning.time_source, tuning.sample_rate_hz)
        if needed_for == self._time_is_for and not (self._time_was_lost and self._is_back(tuning)):
            return False
        self._time_is_for = None
        if tuning.time_source == "pps":
            self.clocks.set_time_at_pulse(tuning.sample_rate_hz)
        else:
            self.clocks.set_time_now()
        self._time_is_for = needed_for
        self._time_was_lost = False
        return True

    def _is_back(self, tuning: Tuning) -> bool:
        clock = tuning.clock_source != "external" or self._references_are_locked() is not False
        return clock and (tuning.time_source != "pps" or self.clocks.last_pulse()[0])

    def _references_are_locked(self) -> bool | None:
        """Whether all boards are locked; ``None`` if one cannot tell."""
        if not all("ref_locked" in names for names in self._sensors):
            return None
        return all(
            self.usrp.get_mboard_sensor("ref_locked", board).to_bool()
            for board in range(len(self._sensors))
        )
