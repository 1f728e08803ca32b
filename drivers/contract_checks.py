"""What every radio must do: checks that run against simulated, recorded and real ones alike.

`CHECKS` is the suite. `testbed radio check` runs it on a lab's radios, the project's tests on its
own, and a package that adds a radio can run it in its own tests.
"""

from dataclasses import replace

import numpy as np

from drivers.contract import Bench, Check, NotApplicableError, demand, demand_refusal
from drivers.radio_errors import (
    BurstRefusedError,
    LateCommandError,
    RadioClosedError,
    RadioError,
    TransmitForbiddenError,
    TuningError,
)

# How far ahead a timed block is asked for; slower hosts than this lose the first day anyway.
_AHEAD_S = 0.05
_BURST_SAMPLES = 2048


def _burst() -> np.ndarray:
    """A quiet chirp within a quarter of the sample rate."""
    n = np.arange(_BURST_SAMPLES)
    sweep = np.exp(1j * np.pi * (n - _BURST_SAMPLES / 2) ** 2 / (4 * _BURST_SAMPLES))
    return (0.5 * np.hanning(_BURST_SAMPLES) * sweep).astype(np.complex64)


def says_who_it_is(bench: Bench) -> None:
    """Kind, serial and software are given; limits are ordered; coherent groups name channels."""
    info = bench.radio.info
    demand(bool(info.kind and info.serial and info.software), f"incomplete identity: {info}")
    able = info.capabilities
    for name in (
        "carrier_range_hz",
        "sample_rate_range_hz",
        "rx_gain_range_db",
        "tx_gain_range_db",
    ):
        low, high = getattr(able, name)
        demand(low <= high, f"{name} is ({low}, {high})")
    channels = [channel for group in able.coherent_groups for channel in group]
    demand(
        sorted(channels) == list(range(able.num_rx_channels)),
        f"coherent_groups {able.coherent_groups} do not hold each of {able.num_rx_channels} "
        "channels once",
    )


def applies_a_tuning(bench: Bench) -> None:
    """`configure` returns what was applied, within the capabilities and near what was asked."""
    applied = bench.radio.configure(bench.tuning)
    bench.radio.info.capabilities.check(applied)
    demand(
        abs(applied.carrier_hz - bench.tuning.carrier_hz) <= 1e-6 * bench.tuning.carrier_hz,
        f"asked for {bench.tuning.carrier_hz} Hz, got {applied.carrier_hz} Hz",
    )
    off_db = abs(applied.rx_gain_db - bench.tuning.rx_gain_db)
    demand(off_db <= 3.0, f"the receive gain is {off_db:.2f} dB off what was asked for")


def refuses_a_tuning_outside_its_limits(bench: Bench) -> None:
    """A carrier it cannot reach raises `TuningError`, and the old tuning stays."""
    before = bench.radio.configure(bench.tuning)
    above_hz = 2.0 * bench.radio.info.capabilities.carrier_range_hz[1] + 1e6
    wrong = replace(bench.tuning, carrier_hz=above_hz)
    demand_refusal(lambda: bench.radio.configure(wrong), TuningError)
    demand(bench.receive().tuning == before, "after a refused tuning the old one does not hold")


def counts_ticks(bench: Bench) -> None:
    """Device time is an integer that does not go back."""
    bench.radio.configure(bench.tuning)
    first = bench.radio.time_ticks()
    bench.receive()
    second = bench.radio.time_ticks()
    demand(isinstance(first, int) and isinstance(second, int), "ticks are not integers")
    demand(second >= first, f"device time went from {first} back to {second}")


def gives_blocks(bench: Bench) -> None:
    """A block has its shape, type and facts, and nothing in it exceeds the converters' range."""
    applied = bench.radio.configure(bench.tuning)
    block = bench.receive()
    shape = bench.num_samples, bench.radio.info.capabilities.num_rx_channels
    demand(block.samples.shape == shape, f"shape {block.samples.shape}, expected {shape}")
    demand(block.samples.dtype == np.complex64, f"samples are {block.samples.dtype}")
    demand(bool(np.isfinite(block.samples).all()), "samples are not finite")
    largest = float(np.abs(block.samples).max())
    demand(largest <= 2.0**0.5 + 1e-6, f"a sample of magnitude {largest}, full scale is 1")
    demand(block.tuning == applied, f"tuned to {applied}, the block says {block.tuning}")
    demand(block.tick_rate_hz == applied.sample_rate_hz, "ticks and samples differ in rate")
    tick = block.first_sample_tick
    demand(tick is None or isinstance(tick, int), "first_sample_tick is neither integer nor None")
    able = bench.radio.info.capabilities
    expected_dbm = able.rx_full_scale_dbm - applied.rx_gain_db
    demand(
        abs(block.full_scale_dbm - expected_dbm) < 0.01,
        f"full scale is {block.full_scale_dbm:.2f} dBm, by the capabilities {expected_dbm:.2f}",
    )


def starts_on_time(bench: Bench) -> None:
    """A block asked for at a tick begins at that tick."""
    bench.need("timed_bursts")
    bench.radio.configure(bench.tuning)
    at_tick = bench.radio.time_ticks() + int(_AHEAD_S * bench.tuning.sample_rate_hz)
    block = bench.receive(at_tick)
    demand(
        block.first_sample_tick == at_tick,
        f"asked for tick {at_tick}, began at {block.first_sample_tick}",
    )


def reports_late_blocks(bench: Bench) -> None:
    """A block whose time has passed raises `LateCommandError`, and the next one is received."""
    bench.need("timed_bursts")
    bench.radio.configure(bench.tuning)
    bench.receive()
    past = bench.radio.time_ticks() - int(_AHEAD_S * bench.tuning.sample_rate_hz)
    demand_refusal(lambda: bench.receive(past), LateCommandError)
    bench.receive()


def refuses_times_it_cannot_keep(bench: Bench) -> None:
    """A radio without timed bursts refuses a tick instead of ignoring it."""
    able = bench.radio.info.capabilities
    if able.timed_bursts or bench.radio.info.kind == "replay":
        msg = "the radio keeps times"
        raise NotApplicableError(msg)
    bench.radio.configure(bench.tuning)
    demand_refusal(lambda: bench.radio.arm_receive(bench.num_samples, 10**12), BurstRefusedError)


def counts_epochs(bench: Bench) -> None:
    """The config epoch stays from block to block and goes up with a change of the tuning."""
    bench.radio.configure(bench.tuning)
    first, second = bench.receive().config_epoch, bench.receive().config_epoch
    demand(first == second, f"the epoch went from {first} to {second} without a change")
    low_hz, high_hz = bench.radio.info.capabilities.carrier_range_hz
    other_hz = bench.tuning.carrier_hz + 1e6
    if other_hz > high_hz:
        other_hz = bench.tuning.carrier_hz - 1e6
    if other_hz < low_hz:
        msg = "the radio has one carrier only"
        raise NotApplicableError(msg)
    bench.radio.configure(replace(bench.tuning, carrier_hz=other_hz))
    third = bench.receive().config_epoch
    demand(third > second, f"retuned, the epoch went from {second} to {third}")
    bench.radio.configure(bench.tuning)


def refuses_blocks_it_cannot_hold(bench: Bench) -> None:
    """No samples, or more than the capabilities allow, raise `BurstRefusedError`."""
    bench.radio.configure(bench.tuning)
    longest = bench.radio.info.capabilities.max_receive_samples
    demand_refusal(lambda: bench.radio.arm_receive(longest + 1), BurstRefusedError)
    demand_refusal(lambda: bench.radio.arm_receive(0), BurstRefusedError)


def refuses_to_fetch_what_was_not_armed(bench: Bench) -> None:
    """`fetch` without `arm_receive` raises, and does not wait."""
    bench.radio.configure(bench.tuning)
    bench.receive()
    demand_refusal(bench.radio.fetch, RadioError)


def refuses_samples_it_cannot_send(bench: Bench) -> None:
    """Samples over full scale, not finite, or of the wrong shape never reach the air."""
    bench.radio.configure(bench.tuning)
    for wrong in (
        np.full(_BURST_SAMPLES, 1.5, dtype=np.complex64),
        np.full(_BURST_SAMPLES, np.nan, dtype=np.complex64),
        np.zeros((2, _BURST_SAMPLES), dtype=np.complex64),
        np.zeros(0, dtype=np.complex64),
    ):
        demand_refusal(
            lambda wrong=wrong: bench.radio.transmit(wrong),  # type: ignore[misc]
            BurstRefusedError, TransmitForbiddenError,
        )  # fmt: skip


def sends_on_time(bench: Bench) -> None:
    """A burst at a tick is sent then; one whose time has passed is not, and the report says so."""
    bench.need("timed_bursts")
    bench.radio.configure(bench.tuning)
    at_tick = bench.radio.time_ticks() + int(_AHEAD_S * bench.tuning.sample_rate_hz)
    bench.radio.arm_receive(bench.num_samples, at_tick)  # its time is over with the burst's
    bench.send(_burst(), at_tick)
    report = bench.radio.transmit_report()
    demand(not (report.late or report.underflow), f"a timed burst failed: {report}")
    demand(report.first_sample_tick == at_tick, f"asked for tick {at_tick}, got {report}")
    bench.radio.fetch()
    past = bench.radio.time_ticks() - int(_AHEAD_S * bench.tuning.sample_rate_hz)
    try:
        bench.send(_burst(), past)
    except LateCommandError:
        return
    demand(bench.radio.transmit_report().late, "a burst in the past was not reported late")


def stops_sending(bench: Bench) -> None:
    """A repeating burst ends with `stop_transmit`, which is harmless without one."""
    bench.radio.configure(bench.tuning)
    bench.radio.stop_transmit()
    bench.need("repeats")
    bench.send(_burst(), None, 0.05)
    bench.radio.stop_transmit()
    bench.radio.stop_transmit()
    bench.receive()


def knows_its_health(bench: Bench) -> None:
    """Locks are known or ``None``, counters are counts."""
    bench.radio.configure(bench.tuning)
    health = bench.radio.health()
    for name in ("clock_locked", "pps_locked"):
        demand(getattr(health, name) in (True, False, None), f"{name} is {getattr(health, name)}")
    counts = health.num_overflows, health.num_underflows, health.num_lates
    demand(all(isinstance(count, int) and count >= 0 for count in counts), f"counters {counts}")


def closes(bench: Bench) -> None:
    """Closing twice is harmless; afterwards every call raises `RadioClosedError`."""
    bench.radio.close()
    bench.radio.close()
    demand_refusal(lambda: bench.radio.configure(bench.tuning), RadioClosedError)
    demand_refusal(bench.radio.time_ticks, RadioClosedError)
    demand_refusal(lambda: bench.radio.arm_receive(bench.num_samples), RadioClosedError)


# `closes` is last: nothing can be asked of a radio after it.
CHECKS: tuple[Check, ...] = (
    says_who_it_is,
    applies_a_tuning,
    refuses_a_tuning_outside_its_limits,
    counts_ticks,
    gives_blocks,
    starts_on_time,
    reports_late_blocks,
    refuses_times_it_cannot_keep,
    counts_epochs,
    refuses_blocks_it_cannot_hold,
    refuses_to_fetch_what_was_not_armed,
    refuses_samples_it_cannot_send,
    sends_on_time,
    stops_sending,
    knows_its_health,
    closes,
)
