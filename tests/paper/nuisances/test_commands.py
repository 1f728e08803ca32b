"""Commands: how early they must come, when they take effect, and what is told of it."""

from dataclasses import replace

import numpy as np
import pytest

from drivers.radio_errors import BurstRefusedError, LateCommandError
from sim_backend.radio import SimRadio
from tests.paper.nuisances.bench import (
    DELAY_S,
    TUNING,
    Hall,
    blocks,
    found_symbol,
    only,
    stated,
    sync_burst,
    tone,
)
from tests.paper.nuisances.intervals import agrees, around, is_uniform

# Slow enough that milliseconds are few samples.
SLOW = replace(TUNING, sample_rate_hz=1e6)


def receives_at(radio: SimRadio, at_tick: int) -> bool:
    try:
        radio.arm_receive(1, at_tick)
        radio.fetch()
    except LateCommandError:
        return False
    return True


def sends_at(radio: SimRadio, at_tick: int) -> bool:
    radio.transmit(tone(0.0, 1), at_tick)
    return not radio.transmit_report().late


@pytest.mark.parametrize("latency_s", stated("command_latency_s"))
@pytest.mark.parametrize("keeps", [receives_at, sends_at])
def test_command_latency(latency_s, keeps):
    def in_time(lead: int) -> bool:
        hall = Hall(ring=only(command_latency_s=latency_s))  # receiving moves the time on
        hall.ether.advance(1.0)
        return keeps(hall.ring[0], hall.ring[0].time_ticks() + lead)

    late, early = 0, 1 << 20
    assert in_time(early)
    assert not in_time(late)
    while early - late > 1:
        middle = (late + early) // 2
        late, early = (late, middle) if in_time(middle) else (middle, early)
    seen_s = np.array([late, early]) / TUNING.sample_rate_hz
    agrees("command latency, s", latency_s, around(seen_s, 1.0 / TUNING.sample_rate_hz))


def test_an_ideal_radio_takes_commands_for_now():
    hall = Hall()
    hall.ether.advance(1.0)
    assert sends_at(hall.ring[0], hall.ring[0].time_ticks())
    assert not sends_at(hall.ring[0], hall.ring[0].time_ticks() - 1)


def wait_to_send_s(hall: Hall) -> float:
    """Time from an untimed command to the burst, by a receiver that started with the command."""
    hall.ring[0].transmit(sync_burst())
    (block,) = blocks([hall.hub], 8192, hall.hub.time_ticks())
    return found_symbol(block.samples[:, 0]).arrival / SLOW.sample_rate_hz - DELAY_S


def wait_to_receive_s(hall: Hall) -> float:
    """Time from an untimed command to the block, by a burst of known time in it."""
    called_s, burst_tick = hall.now_s, hall.hub.time_ticks() + 4000
    hall.hub.transmit(sync_burst(), burst_tick)
    (block,) = blocks(hall.ring, 8192, None)
    arrival = found_symbol(block.samples[:, 0]).arrival
    return (burst_tick - arrival) / SLOW.sample_rate_hz + DELAY_S - called_s


@pytest.mark.parametrize("longest_s", stated("start_latency_s"))
@pytest.mark.parametrize("wait_s", [wait_to_send_s, wait_to_receive_s])
def test_start_latency(longest_s, wait_s):
    hall = Hall(ring=only(start_latency_s=longest_s), tuning=SLOW)
    waits_s = []
    for _ in range(300):
        hall.ether.advance(1.5)  # the ether forgets bursts of more than a second ago
        waits_s.append(wait_s(hall))
    slack_s = 1.1 / SLOW.sample_rate_hz
    is_uniform("start latency, s", np.array(waits_s), 0.0, longest_s, slack=slack_s)


def test_an_ideal_radio_starts_at_once():
    hall = Hall(tuning=SLOW)
    hall.ether.advance(1.0)
    assert abs(wait_to_send_s(hall)) < 1.1e-6


def test_an_untimed_radio_says_no_times_and_takes_none():
    hall = Hall(ring=only(timed=False))
    radio = hall.ring[0]
    assert not radio.info.capabilities.timed_bursts
    for command in (lambda: radio.arm_receive(10, 1000), lambda: radio.transmit(tone(0.0, 9), 9)):
        with pytest.raises(BurstRefusedError, match="at_tick"):
            command()
    hall.hub.transmit(sync_burst(), 100)
    block = blocks([radio], 4096, None)[0]
    assert block.first_sample_tick is None
    # Untimed, it still samples at once.
    assert found_symbol(block.samples[:, 0]).arrival == pytest.approx(
        100 + DELAY_S * TUNING.sample_rate_hz, abs=0.01
    )
    radio.transmit(sync_burst())
    assert radio.transmit_report().first_sample_tick is None


def test_a_timed_radio_starts_at_its_tick():
    hall = Hall()
    hall.ring[0].transmit(sync_burst(), 5000)
    block = blocks([hall.hub], 4096, 4500)[0]
    assert block.first_sample_tick == 4500
    assert hall.ring[0].transmit_report().first_sample_tick == 5000
    arrival = found_symbol(block.samples[:, 0]).arrival
    agrees(
        "arrival of a timed burst, ticks",
        500 + DELAY_S * TUNING.sample_rate_hz,
        around(arrival, 1e-3),
    )


@pytest.mark.parametrize("detects", [True, False])
def test_lost_samples_are_noticed_or_not(detects):
    hall = Hall(ring=only(overflow_detection=detects))
    radio = hall.ring[0]
    assert radio.info.capabilities.overflow_detection is detects
    hall.hub.transmit(tone(1e6, 20_000), 100)
    radio.faults.inject("overflow")
    (struck,) = blocks([radio], 8192, 1000)
    (whole,) = blocks([radio], 8192, 10_000)
    # Samples are gone: the tone's phase jumps, or the block ends in nothing.
    steps = np.diff(np.unwrap(np.angle(struck.samples[:, 0])))
    assert np.abs(steps - np.median(steps)).max() > 0.1
    assert (struck.overflow, struck.discontinuity) == (detects, detects)
    assert radio.health().num_overflows == int(detects)
    steps = np.diff(np.unwrap(np.angle(whole.samples[:, 0])))
    assert np.abs(steps - np.median(steps)).max() < 0.01
    assert not whole.overflow
    assert not whole.discontinuity
