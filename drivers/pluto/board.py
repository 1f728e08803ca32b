"""The parts of an AD936x board in its libiio context, and their attributes.

Attributes are read and written through libiio; pyadi-iio's class of the board sets the rate with
its filters, silences the tone generators and sends.
"""

from typing import Any

from drivers import ad936x
from drivers.pluto.connection import shows_status
from drivers.pluto.facts import overlap, said_range
from drivers.pluto.tdd import TDD_DEVICE
from drivers.pluto.vendor_errors import error_in_opening, missing_library
from drivers.radio_errors import RadioNotFoundError
from drivers.tuning import Range, Tuning
from drivers.vendor_software import UNLOADABLE

_PHYS = ("ad9361-phy", "ad9361-phy-B")
_RX_LO, _TX_LO = "altvoltage0", "altvoltage1"
# They correct while a block is received, and so turn its phase.
_TRACKING_LOOPS = ("quadrature_tracking_en", "rf_dc_offset_tracking_en", "bb_dc_offset_tracking_en")
_LOWEST_BANDWIDTH_HZ = 200e3


class Board:
    """Transceivers and converters of one board.

    Parameters
    ----------
    uri
        Its libiio address.

    Attributes
    ----------
    iio, adi
        The vendor's modules.
    context, adi_board, rx, tx
        libiio's context, pyadi-iio's object, and libiio's devices of the converters.
    num_rx, num_tx
        Channels, of two converters each.

    Raises
    ------
    RadioNotFoundError
        If nothing answers, it is no AD936x, or the vendor's libraries are missing.
    """

    def __init__(self, uri: str) -> None:
        try:
            import adi
            import iio
        except UNLOADABLE as error:
            raise missing_library(error) from None
        self.iio, self.adi = iio, adi
        try:
            self.context = iio.Context(uri)
        except OSError as error:
            raise error_in_opening(uri, error) from None
        found = [self.context.find_device(name) for name in _PHYS]
        self._phys = [phy for phy in found if phy is not None]
        if not self._phys:
            names = ", ".join(sorted(device.name or device.id for device in self.context.devices))
            msg = f"{uri}: no AD936x among its devices ({names})"
            raise RadioNotFoundError(msg, "check the address in the site file")
        self.adi_board = _pyadi_board(adi, self.context, uri, len(self._phys))
        self.rx, self.tx = self.adi_board._rxadc, self.adi_board._txdac
        self.num_rx = sum(c.scan_element for c in self.rx.channels) // 2
        self.num_tx = sum(c.scan_element for c in self.tx.channels) // 2
        self._tx_bandwidth_hz = self._said("voltage0", True, "rf_bandwidth_available", 40e6)
        self._rx_bandwidth_hz = self._said("voltage0", False, "rf_bandwidth_available", 56e6)

    @property
    def tdd_device(self) -> Any:
        """The TDD engine, ``None`` where the firmware has none."""
        return self.context.find_device(TDD_DEVICE)

    @property
    def shows_status(self) -> bool:
        """Whether lost samples can be noticed."""
        return shows_status(self.rx) and shows_status(self.tx)

    @property
    def max_bandwidth_hz(self) -> float:
        """That both directions pass."""
        return min(self._tx_bandwidth_hz, self._rx_bandwidth_hz, ad936x.MAX_BANDWIDTH_HZ)

    @property
    def carrier_range_hz(self) -> Range:
        """That both oscillators reach; narrower on an AD9363 that was not widened."""
        nominal = ad936x.CARRIER_RANGE_HZ
        return overlap(
            *(
                said_range(_text(self._phys[0], name, True, "frequency_available"), nominal)
                for name in (_RX_LO, _TX_LO)
            )
        )

    def quieten(self) -> None:
        """Take the board out of all automatic modes, and silence it."""
        self.adi_board.disable_dds()
        for phy in self._phys:
            for gain in _with(phy, "gain_control_mode", output=False):
                gain.attrs["gain_control_mode"].value = "manual"
            for gain in _with(phy, "hardwaregain", output=True):
                gain.attrs["hardwaregain"].value = f"{ad936x.TX_ATTENUATION_RANGE_DB[0]:.2f}"
            for loop in _TRACKING_LOOPS:
                for channel in _with(phy, loop, output=False):
                    channel.attrs[loop].value = "0"

    def set_carrier(self, carrier_hz: int) -> None:
        """Tune all oscillators."""
        for phy in self._phys:
            for name in (_RX_LO, _TX_LO):
                phy.find_channel(name, True).attrs["frequency"].value = str(carrier_hz)

    def set_bandwidth(self, sample_rate_hz: float) -> None:
        """Open the analogue filters as wide as the rate, as far as they go."""
        for phy in self._phys:
            for output, limit_hz in (
                (False, self._rx_bandwidth_hz), (True, self._tx_bandwidth_hz)
            ):  # fmt: skip
                value = round(min(max(sample_rate_hz, _LOWEST_BANDWIDTH_HZ), limit_hz))
                phy.find_channel("voltage0", output).attrs["rf_bandwidth"].value = str(value)

    def set_gains(self, rx_gain_db: float, tx_gain_db: float, tx_channel: int) -> None:
        """Set the gain of all receivers, and of the channel that sends."""
        for phy in self._phys:
            for channel in _with(phy, "gain_control_mode", output=False):
                channel.attrs["hardwaregain"].value = f"{rx_gain_db:.2f}"
        self._tx_gain(tx_channel).value = f"{tx_gain_db:.2f}"

    def gain_is_manual(self) -> bool:
        """Whether no receiver sets its own gain."""
        return all(
            channel.attrs["gain_control_mode"].value == "manual"
            for phy in self._phys
            for channel in _with(phy, "gain_control_mode", output=False)
        )

    def tuning(self, tx_channel: int) -> Tuning:
        """As the device says."""
        phy = self._phys[0]
        receiver = phy.find_channel("voltage0", False).attrs
        return Tuning(
            carrier_hz=_number(phy.find_channel(_RX_LO, True).attrs["frequency"].value),
            sample_rate_hz=_number(receiver["sampling_frequency"].value),
            rx_gain_db=_number(receiver["hardwaregain"].value),
            tx_gain_db=_number(self._tx_gain(tx_channel).value),
        )

    def filter_config(self) -> str:
        """What the device says of its programmable filters."""
        return str(self._phys[0].attrs["filter_fir_config"].value)

    def temperature_c(self) -> float | None:
        """Of the first transceiver, where it tells."""
        text = _text(self._phys[0], "temp0", False, "input")
        return None if text is None else _number(text) / 1e3

    def release(self) -> None:
        """Let go of the context, its devices first."""
        self.adi_board = self.rx = self.tx = None
        self._phys = []
        self.context = None

    def _tx_gain(self, tx_channel: int) -> Any:
        phy = self._phys[tx_channel // 2]
        return phy.find_channel(f"voltage{tx_channel % 2}", True).attrs["hardwaregain"]

    def _said(self, channel: str, output: bool, name: str, nominal: float) -> float:
        return said_range(_text(self._phys[0], channel, output, name), (0.0, nominal))[1]


def _pyadi_board(adi: Any, context: Any, uri: str, num_chips: int) -> Any:
    """pyadi-iio's object of a board, on our context: its own hides the reason of a failure."""
    converter = context.find_device("cf-ad9361-lpc")
    num_wires = sum(c.scan_element for c in converter.channels) if converter is not None else 0
    kind = adi.FMComms5 if num_chips == 2 else adi.ad9361 if num_wires > 2 else adi.ad9364
    board = kind.__new__(kind)
    board._ctx = context
    board.__init__(uri)
    return board


def _with(phy: Any, attribute: str, *, output: bool) -> list[Any]:
    """Channels of a direction that have an attribute."""
    return [c for c in phy.channels if c.output == output and attribute in c.attrs]


def _text(device: Any, channel: str, output: bool, attribute: str) -> str | None:
    """Value of an attribute, ``None`` where the device has none, or gives none."""
    found = device.find_channel(channel, output)
    if found is None or attribute not in found.attrs:
        return None
    return str(found.attrs[attribute].value)


def _number(text: str) -> float:
    """The number that an attribute begins with, before its unit."""
    return float(text.split(maxsplit=1)[0])
