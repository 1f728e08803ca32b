"""A radio of one's own: all radios that name the same cable hear each other through it.

This is what a driver has to bring: a class with the members of `drivers.radio.Radio`, its
abilities as data, and a function that opens it. Time stands still between calls and moves on
with every block, so that tests need not wait.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from drivers.radio import IqBlock, RadioHealth, RadioInfo, RadioSpec, TransmitReport
from drivers.radio_errors import (
    LateCommandError,
    RadioClosedError,
    RadioError,
    RadioNotFoundError,
)
from drivers.tuning import (
    Capabilities,
    Tuning,
    changes_epoch,
    check_block_size,
    check_samples,
    transmit_power_dbm,
)

MAX_SAMPLES = 1 << 20
NOISE_DBM_PER_HZ = -168.0


@dataclass
class Cable:
    """What joins the radios: a delay, a loss, and what is on it."""

    delay_samples: int = 7
    loss_db: float = 60.0
    now_tick: int = 0
    bursts: list[tuple[str, int, np.ndarray]] = field(default_factory=list)

    def heard(self, listener: str, tick: int, num_samples: int) -> np.ndarray:
        """Samples at the far end, in square roots of milliwatts; one's own are not heard."""
        total = np.zeros(num_samples, dtype=np.complex128)
        for sender, start_tick, samples in self.bursts:
            first = start_tick + self.delay_samples - tick
            low, high = max(0, first), min(num_samples, first + len(samples))
            if sender != listener and low < high:
                total[low:high] += samples[low - first : high - first]
        return total * 10.0 ** (-self.loss_db / 20.0)


CABLES: dict[str, Cable] = {}


class CableRadio:
    """One end of a cable."""

    def __init__(self, name: str, num_channels: int, cable: Cable) -> None:
        self._name = name
        self._cable = cable
        self._info = RadioInfo(
            kind="cable",
            serial=f"cable-{name}",
            software="cable-radio 0.1.0",
            capabilities=Capabilities(
                num_rx_channels=num_channels,
                num_tx_channels=1,
                carrier_range_hz=(1e6, 20e9),
                sample_rate_range_hz=(1e5, 250e6),
                max_bandwidth_hz=200e6,
                rx_gain_range_db=(0.0, 60.0),
                tx_gain_range_db=(0.0, 60.0),
                max_transmit_samples=MAX_SAMPLES,
                max_receive_samples=MAX_SAMPLES,
                tx_full_scale_dbm=30.0,
                rx_full_scale_dbm=0.0,
                receive_damage_dbm=20.0,
                timed_bursts=True,
                repeats=True,
                pps=True,
                external_clock=True,
                hardware_trigger=False,
                overflow_detection=True,
                phase_stable_retune=True,
                coherent_groups=(tuple(range(num_channels)),),
                radiates=False,
            ),
        )
        self._tuning: Tuning | None = None
        self._epoch = 0
        self._armed: tuple[int, int] | None = None
        self._report = TransmitReport()
        self._num_lates = 0
        self._closed = False

    @property
    def info(self) -> RadioInfo:
        return self._info

    def configure(self, tuning: Tuning) -> Tuning:
        self._check_open()
        self._info.capabilities.check(tuning)
        if self._tuning is None or changes_epoch(self._tuning, tuning):
            self._epoch += 1
            self._tuning = tuning
        return self._tuning

    def time_ticks(self) -> int:
        self._tuned()
        return self._cable.now_tick

    def transmit(
        self, samples: np.ndarray, at_tick: int | None = None, repeat_s: float = 0.0
    ) -> None:
        tuning = self._tuned()
        check_samples(samples, self._info.capabilities)
        tick = self._cable.now_tick if at_tick is None else at_tick
        if tick < self._cable.now_tick:
            self._num_lates += 1
            self._report = TransmitReport(late=True, config_epoch=self._epoch)
            return
        count = max(len(samples), round(repeat_s * tuning.sample_rate_hz))
        port_dbm = transmit_power_dbm(self._info.capabilities, tuning.tx_gain_db, 1.0)
        sent = np.resize(samples, count) * 10.0 ** (port_dbm / 20.0)
        self._cable.bursts = [
            burst for burst in self._cable.bursts if burst[1] + len(burst[2]) > tick - MAX_SAMPLES
        ]
        self._cable.bursts.append((self._name, tick, sent))
        self._report = TransmitReport(first_sample_tick=tick, config_epoch=self._epoch)

    def stop_transmit(self) -> None:
        now = self._cable.now_tick
        self._cable.bursts = [
            (name, tick, samples[: max(0, now - tick)] if name == self._name else samples)
            for name, tick, samples in self._cable.bursts
        ]

    def transmit_report(self) -> TransmitReport:
        self._check_open()
        return replace(self._report, clock_locked=True, pps_locked=True)

    def arm_receive(self, num_samples: int, at_tick: int | None = None) -> None:
        self._tuned()
        check_block_size(num_samples, self._info.capabilities)
        self._armed = (self._cable.now_tick if at_tick is None else at_tick), num_samples

    def fetch(self) -> IqBlock:
        tuning = self._tuned()
        if self._armed is None:
            raise RadioError("fetch() without arm_receive()", "call arm_receive() first")
        (tick, num_samples), self._armed = self._armed, None
        # Another radio may have moved the time while this one waited for the same tick.
        if tick + num_samples < self._cable.now_tick:
            self._num_lates += 1
            raise LateCommandError(f"tick {tick} has passed")
        heard = self._cable.heard(self._name, tick, num_samples)
        self._cable.now_tick = max(self._cable.now_tick, tick + num_samples)
        full_scale_dbm = self._info.capabilities.rx_full_scale_dbm - tuning.rx_gain_db
        rng = np.random.default_rng([abs(tick), *self._name.encode()])
        shape = num_samples, self._info.capabilities.num_rx_channels
        noise_mw = 10.0 ** (NOISE_DBM_PER_HZ / 10.0) * tuning.sample_rate_hz
        noise = rng.standard_normal((*shape, 2)).view(np.complex128)[..., 0]
        received = heard[:, None] + noise * np.sqrt(noise_mw / 2.0)
        samples = received * 10.0 ** (-full_scale_dbm / 20.0)
        return IqBlock(
            samples=samples.astype(np.complex64),
            first_sample_tick=tick,
            tick_rate_hz=tuning.sample_rate_hz,
            tuning=tuning,
            full_scale_dbm=full_scale_dbm,
            config_epoch=self._epoch,
            clock_locked=True,
            pps_locked=True,
        )

    def health(self) -> RadioHealth:
        self._check_open()
        return RadioHealth(clock_locked=True, pps_locked=True, num_lates=self._num_lates)

    def close(self) -> None:
        if not self._closed:
            self.stop_transmit()
            self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise RadioClosedError("this radio was closed")

    def _tuned(self) -> Tuning:
        self._check_open()
        if self._tuning is None:
            raise RadioError("the radio has no tuning yet", "call configure() first")
        return self._tuning


def open_radio(spec: RadioSpec) -> CableRadio:
    """Open one end of the cable that the site's ``address`` names."""
    if spec.address is None:
        raise RadioNotFoundError(
            f"node {spec.node_id!r}: a cable radio needs an address, the name of its cable"
        )
    cable = CABLES.setdefault(spec.address, Cable())
    return CableRadio(spec.node_id, spec.num_elements, cable)
