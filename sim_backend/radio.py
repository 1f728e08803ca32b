"""A simulated radio: the contract of `drivers.radio` over the ether, with a real one's faults."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from drivers.geometry import ComplexArray
from drivers.radio import IqBlock, RadioHealth, RadioInfo, TransmitReport
from drivers.radio_errors import (
    BurstRefusedError,
    LateCommandError,
    RadioClosedError,
    RadioError,
    RadioLostError,
    RadioTimeoutError,
)
from drivers.tuning import (
    Tuning,
    changes_epoch,
    check_block_size,
    check_samples,
    transmit_power_dbm,
)
from sim_backend.capabilities import board_elements, simulated_capabilities
from sim_backend.ether import Ether
from sim_backend.faults import FaultKind, Faults
from sim_backend.impairments import Impairments
from sim_backend.transceiver import board_transceivers

_STALE_BLOCKS = 4  # kernel buffers of a Pluto


class SimRadio:
    """One node's radio in a simulated hall (`drivers.radio.Radio`).

    Parameters
    ----------
    ether
        The world that it shares with the others.
    node_index
        Which node of the scene it belongs to.
    impairments
        What it does wrong.
    fault_probability
        Of each kind of fault, each time that it could strike.
    unit
        Which piece of hardware it is; that of the node, if left out.
    boards
        Motherboards that share the array's elements evenly, each with oscillators, a pulse and a
        time of its own. The first transmits.

    Raises
    ------
    RadioError
        If boards cannot share the elements, or have no reference in common.
    """

    def __init__(
        self,
        ether: Ether,
        node_index: int,
        impairments: Impairments,
        fault_probability: Mapping[FaultKind, float] | None = None,
        unit: int | None = None,
        boards: int = 1,
    ) -> None:
        self._ether = ether
        self._impairments = impairments
        self.faults = Faults(ether.scene.seed, node_index, fault_probability)
        node = ether.scene.nodes[node_index]
        groups = board_elements(node, impairments, boards)
        self._boards = board_transceivers(ether, node_index, impairments, groups, unit)
        self._transceiver = self._boards[0]
        self._info = RadioInfo(
            kind="sim",
            serial=simulated_serial(ether.scene.seed, node.node_id, unit),
            software="isac-testbed",
            capabilities=simulated_capabilities(node, impairments, groups),
        )
        self._tuning: Tuning | None = None
        self._epoch = 0
        self._armed: tuple[int, int, bool] | None = None  # tick, samples, late
        self._report = TransmitReport()
        self._counts: Counter[str] = Counter()
        self._clock_locked = self._pps_locked = True
        self._gone: RadioError | None = None

    @property
    def info(self) -> RadioInfo:
        """Identity and capabilities."""
        return self._info

    def configure(self, tuning: Tuning) -> Tuning:
        """Apply a tuning; gains go to their steps."""
        self._check_alive()
        self._info.capabilities.check(tuning)
        applied = replace(
            tuning,
            rx_gain_db=_stepped(tuning.rx_gain_db, self._impairments.rx_gain_step_db),
            tx_gain_db=_stepped(tuning.tx_gain_db, self._impairments.tx_gain_step_db),
        )
        if self._tuning is None or changes_epoch(self._tuning, applied):
            self.stop_transmit()
            self._armed = None
            self._epoch += 1
            self._tuning = applied
            self._apply_references()
        return applied

    def time_ticks(self) -> int:
        """Device time now."""
        self._tuned()
        return self._transceiver.now_tick()

    def transmit(
        self, samples: ComplexArray, at_tick: int | None = None, repeat_s: float = 0.0
    ) -> None:
        """Put a burst on air; a late one is not sent, and the report says so."""
        tuning, able = self._tuned(), self._info.capabilities
        check_samples(samples, able)
        tick, late = self._start_tick(at_tick)
        if late or self.faults.strikes("late_transmit"):
            self._counts["late"] += 1
            self._report = TransmitReport(late=True)
            return
        count = max(len(samples), round(repeat_s * tuning.sample_rate_hz))
        underflow = self.faults.strikes("underflow")
        if underflow:
            self._counts["underflow"] += 1
            count //= 2
        port_dbm = transmit_power_dbm(able, tuning.tx_gain_db, 1.0)
        self._transceiver.emit(samples, tick, count, port_dbm)
        said_tick = tick if able.timed_bursts else None
        self._report = TransmitReport(first_sample_tick=said_tick, underflow=underflow)

    def stop_transmit(self) -> None:
        """End a transmission at once."""
        self._transceiver.silence()

    def transmit_report(self) -> TransmitReport:
        """What became of the last transmission."""
        self._tuned()
        self._refresh_locks()
        return replace(
            self._report,
            config_epoch=self._epoch,
            time_std_s=self._time_std_s(),
            clock_locked=self._clock_lock,
            pps_locked=self._pps_lock,
        )

    def arm_receive(self, num_samples: int, at_tick: int | None = None) -> None:
        """Prepare a block."""
        self._tuned()
        check_block_size(num_samples, self._info.capabilities)
        tick, late = self._start_tick(at_tick)
        self._armed = tick, num_samples, late

    def fetch(self) -> IqBlock:
        """Return the armed block; virtual time moves on to its end."""
        tuning = self._tuned()
        if self._armed is None:
            msg = "fetch() without a block that arm_receive() prepared"
            raise RadioError(msg, "call arm_receive() first")
        (tick, num_samples, late), self._armed = self._armed, None
        if self.faults.strikes("timeout"):
            msg = "the device did not deliver its block in time"
            raise RadioTimeoutError(msg)
        if late or self.faults.strikes("late_receive"):
            self._counts["late"] += 1
            msg = f"the command for tick {tick} reached the device too late"
            raise LateCommandError(msg)
        if self.faults.strikes("stale_buffer"):
            tick -= _STALE_BLOCKS * num_samples
        able = self._info.capabilities
        full_scale_dbm = able.rx_full_scale_dbm - tuning.rx_gain_db
        self._refresh_locks()
        heard = [board.receive(tick, num_samples, full_scale_dbm) for board in self._boards]
        samples = np.concatenate(heard, axis=1) if len(heard) > 1 else heard[0]
        block = IqBlock(
            samples=samples,
            first_sample_tick=tick if able.timed_bursts else None,
            tick_rate_hz=tuning.sample_rate_hz,
            tuning=tuning,
            full_scale_dbm=full_scale_dbm,
            config_epoch=self._epoch,
            coherent_groups=able.coherent_groups,
            time_std_s=self._time_std_s(),
            clock_locked=self._clock_lock,
            pps_locked=self._pps_lock,
        )
        return self._damaged(block)

    def health(self) -> RadioHealth:
        """Locks and counters."""
        self._tuned()
        self._refresh_locks()
        return RadioHealth(
            clock_locked=self._clock_lock,
            pps_locked=self._pps_lock,
            num_overflows=self._counts["overflow"],
            num_underflows=self._counts["underflow"],
            num_lates=self._counts["late"],
        )

    def close(self) -> None:
        """Stop transmitting; nothing more can be done with it."""
        if self._gone is None:
            self.stop_transmit()
            self._gone = RadioClosedError("this radio was closed")

    def _check_alive(self) -> None:
        if self._gone is None and self.faults.strikes("lost"):
            self._transceiver.silence()
            self._gone = RadioLostError("the device is gone")
        if self._gone is not None:
            raise self._gone

    def _tuned(self) -> Tuning:
        self._check_alive()
        if self._tuning is None:
            msg = "the radio has no tuning yet"
            raise RadioError(msg, "call configure() first")
        return self._tuning

    def _start_tick(self, at_tick: int | None) -> tuple[int, bool]:
        """Tick at which something starts, and whether that is too late."""
        now = self._transceiver.now_tick()
        if at_tick is None:
            self._counts["untimed"] += 1
            return now + self._transceiver.start_latency_ticks(self._counts["untimed"]), False
        if not self._info.capabilities.timed_bursts:
            msg = f"this radio cannot start at a given tick, got at_tick={at_tick}"
            raise BurstRefusedError(msg, "pass at_tick=None")
        lead = int(self._impairments.command_latency_s * self._tuned().sample_rate_hz)
        return at_tick, at_tick < now + lead

    @property
    def _clock_lock(self) -> bool | None:
        external = self._tuned().clock_source == "external"
        return self._clock_locked if external else None

    @property
    def _pps_lock(self) -> bool | None:
        return self._pps_locked if self._tuned().time_source == "pps" else None

    def _time_std_s(self) -> float:
        """As a data sheet would give it: of an error that is uniform within its limits."""
        return self._impairments.pps_jitter_ns * 1e-9 / float(np.sqrt(3.0))

    def _refresh_locks(self) -> None:
        """Let the references go if that fault strikes; they come back with `configure`."""
        tuning = self._tuned()
        clock_lost = tuning.clock_source == "external" and self.faults.strikes("clock_unlock")
        pps_lost = tuning.time_source == "pps" and self.faults.strikes("pps_loss")
        if clock_lost or pps_lost:
            self._clock_locked = self._clock_locked and not clock_lost
            self._pps_locked = self._pps_locked and not pps_lost
            self._tune()

    def _apply_references(self) -> None:
        tuning = self._tuned()
        self._clock_locked = tuning.clock_source == "external"
        self._pps_locked = tuning.time_source == "pps"
        self._tune()

    def _tune(self) -> None:
        for board in self._boards:
            board.tune(
                self._tuned(), self._epoch,
                clock_locked=self._clock_locked, pps_locked=self._pps_locked,
            )  # fmt: skip

    def _damaged(self, block: IqBlock) -> IqBlock:
        """The block with what the receiving faults do to it, and the flags that tell of them."""
        if self.faults.strikes("automatic_gain"):
            ramp = np.linspace(1.0, 4.0, len(block.samples), dtype=np.float32)[:, None]
            block = replace(block, samples=block.samples * ramp, gain_is_manual=False)
        overflow = self.faults.strikes("overflow")
        if overflow or self.faults.strikes("dropped_samples"):
            seen = self._info.capabilities.overflow_detection
            self._counts["overflow"] += int(overflow and seen)
            gap = max(1, len(block.samples) // 8)
            begin = len(block.samples) // 2
            kept = np.delete(block.samples, slice(begin, begin + gap), axis=0)
            filled = np.concatenate((kept, np.zeros_like(block.samples[:gap])))
            block = replace(block, samples=filled, overflow=overflow and seen, discontinuity=seen)
        return block


def simulated_serial(seed: int, node_id: str, unit: int | None = None) -> str:
    """Serial of a simulated radio: of its node, or of the unit that replaced it."""
    return f"sim-{seed}-{node_id}" if unit is None else f"sim-{seed}-unit-{unit}"


def _stepped(value: float, step: float) -> float:
    return value if step == 0.0 else round(value / step) * step
