"""The radio contract over a USRP: states and deadlines here, libuhd in a process of its own."""

import time

from drivers.geometry import ComplexArray
from drivers.radio import (
    IqBlock,
    Radio,
    RadioHealth,
    RadioInfo,
    RadioSpec,
    TransmitReport,
)
from drivers.radio_errors import (
    BurstRefusedError,
    RadioClosedError,
    RadioError,
    RadioNotFoundError,
    TuningError,
)
from drivers.tuning import (
    Tuning,
    changes_epoch,
    check_block_size,
    check_samples,
    epoch_of_opening,
)
from drivers.usrp import messages as m
from drivers.usrp.address import board_addresses
from drivers.usrp.options import UsrpOptions, usrp_options
from drivers.usrp.vendor import VendorProcess

# Boards load, calibrate and lock meanwhile; one that is gone is noticed by its silence.
_OPEN_WITHIN_S = 40.0
_CONFIGURE_WITHIN_S = 20.0


def open_usrp_radio(spec: RadioSpec) -> Radio:
    """A USRP, of one board or several (``addr0=…,addr1=…``).

    Raises
    ------
    RadioNotFoundError
        If one does not answer, or UHD is not installed as it must be.
    RadioError
        If one is in use, or the options do not fit.
    """
    if not spec.address:
        msg = f"node {spec.node_id!r}: a USRP needs an address"
        raise RadioNotFoundError(msg, "give addr=, or addr0= and addr1=, in the site file")
    options = usrp_options(spec)
    vendor = VendorProcess(spec.num_elements, board_addresses(spec.address))
    try:
        opened = vendor.ask(m.Open(spec.address, options), m.Opened, _OPEN_WITHIN_S)
    except BaseException:
        vendor.close()
        raise
    return UsrpRadio(vendor, opened, options)


class UsrpRadio:
    """One USRP radio (`drivers.radio.Radio`).

    Parameters
    ----------
    vendor
        The process that has it open.
    opened
        Who it is.
    """

    def __init__(self, vendor: VendorProcess, opened: m.Opened, options: UsrpOptions) -> None:
        self._vendor = vendor
        self._timeout_s = options.timeout_s
        self._info = RadioInfo("usrp", opened.serial, opened.software, opened.capabilities)
        self._tuning: Tuning | None = None
        self._epoch = epoch_of_opening()
        self._armed: tuple[int, float] | None = None  # samples, seconds until they are there
        self._sends_until_s = 0.0  # on the host's monotonic clock
        self._is_closed = False

    @property
    def info(self) -> RadioInfo:
        """Identity and capabilities."""
        return self._info

    def configure(self, tuning: Tuning) -> Tuning:
        """Apply a tuning; a time that was lost is set again once its reference is back."""
        self._check_open()
        self._info.capabilities.check(tuning)
        self._armed = None
        try:
            done = self._vendor.ask(m.Configure(tuning), m.Configured, _CONFIGURE_WITHIN_S)
        except TuningError:
            raise
        except RadioError:
            self._tuning = None  # what it is set to is not known
            raise
        before, self._tuning = self._tuning, done.tuning
        if before is None or done.time_was_set or changes_epoch(before, done.tuning):
            self._epoch += 1
        return done.tuning

    def time_ticks(self) -> int:
        """Device time now."""
        self._tuned()
        return self._vendor.ask(m.TellTime(), m.Time, self._timeout_s).tick

    def transmit(
        self, samples: ComplexArray, at_tick: int | None = None, repeat_s: float = 0.0
    ) -> None:
        """Start to send a burst; the report says whether it was late."""
        self._tuned()
        check_samples(samples, self._info.capabilities)
        if repeat_s > 0.0:
            msg = f"a USRP sends a burst once, got repeat_s={repeat_s:g}"
            raise BurstRefusedError(msg, "send timed bursts")
        self._vendor.put_burst(samples)
        request = m.Transmit(len(samples), at_tick)
        scheduled = self._vendor.ask(request, m.Scheduled, self._timeout_s)
        self._sends_until_s = time.monotonic() + scheduled.over_in_s

    def stop_transmit(self) -> None:
        """End a transmission; what the device's buffer holds already is sent."""
        if not self._is_closed:
            self._vendor.stop_transmit()

    def transmit_report(self) -> TransmitReport:
        """What became of the last transmission, once it is over."""
        self._tuned()
        within_s = max(0.0, self._sends_until_s - time.monotonic()) + self._timeout_s
        sent = self._vendor.ask(m.AwaitTransmission(), m.Transmitted, within_s)
        return TransmitReport(
            first_sample_tick=sent.first_sample_tick,
            underflow=sent.underflow,
            late=sent.late,
            config_epoch=self._epoch,
            clock_locked=sent.sensed.clock_locked,
            pps_locked=sent.sensed.pps_locked,
            time_std_s=sent.sensed.time_std_s,
        )

    def arm_receive(self, num_samples: int, at_tick: int | None = None) -> None:
        """Command a block; what was armed before is given up."""
        self._tuned()
        check_block_size(num_samples, self.info.capabilities)
        self._armed = None
        request = m.Arm(num_samples, at_tick)
        scheduled = self._vendor.ask(request, m.Scheduled, self._timeout_s)
        self._armed = num_samples, scheduled.over_in_s

    def fetch(self) -> IqBlock:
        """Wait for the armed block and return it."""
        tuning = self._tuned()
        if self._armed is None:
            msg = "fetch() without a block that arm_receive() prepared"
            raise RadioError(msg, "call arm_receive() first")
        (num_samples, until_s), self._armed = self._armed, None
        received = self._vendor.ask(m.Fetch(), m.Received, until_s + self._timeout_s)
        able, sensed = self._info.capabilities, received.sensed
        return IqBlock(
            samples=self._vendor.block(num_samples),
            first_sample_tick=received.first_sample_tick,
            tick_rate_hz=tuning.sample_rate_hz,
            tuning=tuning,
            full_scale_dbm=able.rx_full_scale_dbm - tuning.rx_gain_db,
            config_epoch=self._epoch,
            overflow=received.overflow,
            discontinuity=received.discontinuity,
            coherent_groups=able.coherent_groups,
            clock_locked=sensed.clock_locked,
            pps_locked=sensed.pps_locked,
            temperature_c=sensed.temperature_c,
            time_std_s=sensed.time_std_s,
        )

    def health(self) -> RadioHealth:
        """Locks, temperature, and counters since it was opened."""
        self._tuned()
        sensed = self._vendor.ask(m.LookAround(), m.Sensed, self._timeout_s)
        return RadioHealth(
            clock_locked=sensed.clock_locked,
            pps_locked=sensed.pps_locked,
            temperature_c=sensed.temperature_c,
            num_overflows=sensed.num_overflows,
            num_underflows=sensed.num_underflows,
            num_lates=sensed.num_lates,
        )

    def close(self) -> None:
        """End a transmission and let go of the device."""
        if not self._is_closed:
            self._is_closed = True
            self._vendor.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise RadioClosedError("this radio was closed")

    def _tuned(self) -> Tuning:
        self._check_open()
        if self._tuning is None:
            msg = "the radio has no tuning yet"
            raise RadioError(msg, "call configure() first")
        return self._tuning
