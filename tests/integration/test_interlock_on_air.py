"""What the interlock refuses is not heard by anybody."""

import threading

import numpy as np
import pytest

from drivers.array import UniformLinearArray
from drivers.geometry import Pose
from drivers.interlock import TransmitBand, TransmitLimits
from drivers.interlocked_radio import InterlockedRadio
from drivers.node import Node
from drivers.radio_errors import TransmitForbiddenError
from drivers.tuning import Tuning
from sim_backend.ether import Ether
from sim_backend.impairments import PRESETS
from sim_backend.radio import SimRadio
from sim_backend.scene import SceneStatistics, draw_scene

TUNING = Tuning(5.8e9, 30.72e6, 40.0, 80.0)
# A tone 1 MHz above the carrier; full scale is 29 dBm at 90 dB, so this is 13 dBm at 80 dB.
SAMPLES = (0.5 * np.exp(2j * np.pi * np.arange(30720) / 30.72)).astype(np.complex64)
LIMITS = TransmitLimits(
    bands=(TransmitBand(5.725e9, 5.875e9, 14.0),),
    max_transmission_s=2.0,
    duty_cycle=0.5,
    duty_window_s=10.0,
    hours=(8.0, 18.0),
)


class Hall:
    """A transmitter behind the interlock, and somebody who listens."""

    def __init__(self, limits: TransmitLimits, hour: float = 12.0) -> None:
        nodes = [
            Node(name, name, Pose((10.0 * n, 0.0), np.pi * n), UniformLinearArray(1, 0.025))
            for n, name in enumerate("ab")
        ]
        scene = draw_scene(0, nodes, SceneStatistics((0, 0, 10, 10), num_clutter=0))
        self.ether = Ether(scene)
        self.sender = InterlockedRadio(
            SimRadio(self.ether, 0, PRESETS["ideal"]), limits, local_hour=lambda: hour
        )
        self.listener = SimRadio(self.ether, 1, PRESETS["ideal"])
        self.sender.configure(TUNING)
        self.listener.configure(TUNING)

    def power_dbm(self) -> float:
        """What the listener hears now, at its antenna port."""
        self.listener.arm_receive(4096)
        block = self.listener.fetch()
        return block.full_scale_dbm + 10.0 * float(np.log10(np.mean(np.abs(block.samples) ** 2)))


NOISE_DBM = -174.0 + 10.0 * np.log10(30.72e6)


def is_silent(hall: Hall) -> bool:
    return all(abs(hall.power_dbm() - NOISE_DBM) < 0.5 for _ in range(3))


def test_what_is_allowed_is_heard():
    hall = Hall(LIMITS)
    with hall.sender:
        assert is_silent(hall)
        hall.sender.transmit(SAMPLES, None, 0.5)
        # 13 dBm less Friis over 10 m at 5.8 GHz, 67.7 dB
        assert hall.power_dbm() == pytest.approx(13.0 - 67.7, abs=0.3)


@pytest.mark.parametrize(
    ("rule", "limits", "hour", "tuning", "repeat_s"),
    [
        ("band", LIMITS, 12.0, Tuning(5.7e9, 30.72e6, 40.0, 80.0), 0.0),
        ("power", LIMITS, 12.0, Tuning(5.8e9, 30.72e6, 40.0, 82.0), 0.0),
        ("duration", LIMITS, 12.0, TUNING, 2.1),
        ("hours", LIMITS, 19.0, TUNING, 0.0),
        ("permit", TransmitLimits(), 12.0, TUNING, 0.0),
    ],
)
def test_what_a_rule_forbids_is_not_heard_and_the_refusal_names_it(
    rule, limits, hour, tuning, repeat_s
):
    hall = Hall(limits, hour)
    hall.sender.configure(tuning)
    hall.listener.configure(tuning)
    with pytest.raises(TransmitForbiddenError, match=f"the rule '{rule}'") as refused:
        hall.sender.transmit(SAMPLES, None, repeat_s)
    assert refused.value.rule == rule
    assert is_silent(hall)


def test_too_much_in_a_while_is_not_heard():
    hall = Hall(LIMITS)
    for _ in range(3):
        hall.sender.transmit(SAMPLES, None, 1.6)
    hall.sender.stop_transmit()
    with pytest.raises(TransmitForbiddenError, match="duty cycle"):
        hall.sender.transmit(SAMPLES, None, 1.6)
    assert is_silent(hall)


def test_a_caller_who_is_gone_is_not_heard_any_more():
    limits = TransmitLimits(
        bands=LIMITS.bands, max_transmission_s=100.0, duty_cycle=100.0, lease_s=0.2
    )
    hall = Hall(limits)
    ended = threading.Event()
    stop = hall.ether.silence
    hall.ether.silence = lambda index: (stop(index), ended.set())[0]
    hall.sender.transmit(SAMPLES, None, 50.0)
    assert hall.power_dbm() > -60.0
    assert ended.wait(10.0)  # the caller says nothing more; the watchdog's lease runs out
    assert is_silent(hall)


@pytest.mark.parametrize("way", ["close", "leave", "retune"])
def test_closing_leaving_and_retuning_end_a_transmission(way):
    hall = Hall(LIMITS)
    hall.sender.transmit(SAMPLES, None, 1.5)
    if way == "close":
        hall.sender.close()
    elif way == "leave":
        with hall.sender:
            assert hall.power_dbm() > -60.0
    else:
        hall.sender.configure(Tuning(5.8e9, 30.72e6, 40.0, 70.0))
    assert is_silent(hall)


def test_a_burst_on_air_is_cut_off_in_the_middle():
    hall = Hall(LIMITS)
    hall.sender.transmit(SAMPLES, None, 1.5)
    assert hall.power_dbm() > -60.0
    hall.sender.stop_transmit()
    assert is_silent(hall)
