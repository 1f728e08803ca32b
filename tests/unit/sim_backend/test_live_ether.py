"""The ether in the host's time."""

import numpy as np

from drivers.array import UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node
from drivers.tuning import Tuning
from sim_backend.impairments import PRESETS
from sim_backend.live_ether import LiveEther
from sim_backend.oscillator import FS_PER_S
from sim_backend.scene import SceneStatistics, draw_scene
from sim_backend.transceiver import Transceiver


class Host:
    """Clocks that a test moves."""

    def __init__(self) -> None:
        self.now_ns = 5_000

    def monotonic_ns(self) -> int:
        return self.now_ns

    def utc_ns(self) -> int:
        return 1_700_000_000_250_000_000 + self.now_ns - 5_000


def live(host: Host) -> LiveEther:
    nodes = [
        Node(name, name, Pose((10.0 * n, 0.0), 0.5), UniformLinearArray(4, 0.025))
        for n, name in enumerate("ab")
    ]
    scene = draw_scene(1, nodes, SceneStatistics((0.0, 0.0, 10.0, 10.0), num_clutter=2))
    return LiveEther(scene, 0, host.monotonic_ns, host.utc_ns)


def test_true_seconds_are_those_of_utc():
    host = Host()
    ether = live(host)
    assert ether.now_fs == FS_PER_S // 4
    host.now_ns += 750_000_000
    assert ether.now_fs == FS_PER_S


def test_time_goes_on_by_itself_alone():
    ether = live(Host())
    before = ether.now_fs
    ether.advance(3.0)
    ether.reached(before + FS_PER_S)
    assert ether.now_fs == before


def test_a_target_that_is_there_fluctuates_from_burst_to_burst():
    ether = live(Host())
    assert ether.next_look() is None
    ether.target_is_present = True
    assert [ether.next_look() for _ in range(3)] == [0, 1, 2]
    ether.target_is_present = False
    assert ether.next_look() is None


def test_boards_of_one_array_hear_their_own_elements_with_phases_of_their_own():
    ether = live(Host())
    tuning = Tuning(5.8e9, 10e6, 40.0, 0.0)
    sender = Transceiver(ether, 0, PRESETS["ideal"])
    whole = Transceiver(ether, 1, PRESETS["ideal"])
    kept = [Transceiver(ether, 1, PRESETS["ideal"], slice(2 * b, 2 * b + 2), b) for b in (0, 1)]
    turned = Transceiver(ether, 1, PRESETS["lab"], slice(2, 4), 1)
    same = Transceiver(ether, 1, PRESETS["lab"], slice(2, 4), 0)
    for each in (sender, whole, *kept, turned, same):
        each.tune(tuning, 1, clock_locked=True, pps_locked=True)
    tick = sender.now_tick()
    sender.emit(np.exp(1j * np.arange(500) ** 2 * 1e-3), tick, 500, 20.0)
    heard = whole.receive(tick, 500, -40.0)
    parts = [board.receive(tick, 500, -40.0) for board in kept]
    for board, part in enumerate(parts):
        close = np.abs(part - heard[:, 2 * board : 2 * board + 2]).max() / np.abs(heard).max()
        assert close < 0.3  # boards have noise of their own
    one, other = (board.receive(tick, 500, -40.0) for board in (turned, same))
    assert abs(np.angle(np.vdot(one, other))) > 0.1
