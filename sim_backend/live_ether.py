"""The ether in the host's time, for software radios that vendors' clients drive over sockets."""

import threading
import time
from collections.abc import Callable

from sim_backend.ether import Emission, Ether
from sim_backend.oscillator import FS_PER_S
from sim_backend.resampling import rehearse
from sim_backend.scene import Scene

_FS_PER_NS = FS_PER_S // 10**9


class LiveEther(Ether):
    """What is on air in one scene, in true time that goes on by itself; any thread may use it.

    Its zero is a whole second of UTC, so that true seconds are where a reference that is locked
    to UTC has its pulses.

    Parameters
    ----------
    monotonic_ns, utc_ns
        The host's clocks.

    Attributes
    ----------
    target_is_present
        Whether the target stands in the hall. It fluctuates from burst to burst.
    """

    # 8 MiB an oscillator. To draw new ones all the time would take two of them half of a
    # processor at 8 MS/s.
    num_noise_blocks = 32

    def __init__(
        self,
        scene: Scene,
        session: int = 0,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._monotonic_ns = monotonic_ns
        self._zero_ns = monotonic_ns() - utc_ns() % 10**9
        self._changes = threading.Lock()
        self._num_looks = 0
        self.target_is_present = False
        super().__init__(scene, session)
        rehearse()

    @property
    def now_fs(self) -> int:
        """True time in femtoseconds."""
        return (self._monotonic_ns() - self._zero_ns) * _FS_PER_NS

    def advance(self, duration_s: float) -> None:
        """Nothing: true time goes on by itself."""

    def reached(self, instant_fs: int) -> None:
        """Nothing: a block that was received changes nobody's time."""

    def next_look(self) -> int | None:
        """Look of the burst that is sent next: one more each time."""
        if not self.target_is_present:
            return None
        with self._changes:
            self._num_looks += 1
            return self._num_looks - 1

    def emit(self, emission: Emission) -> None:
        """Put a burst on air."""
        with self._changes:
            super().emit(emission)

    def silence(self, tx_index: int) -> None:
        """End what a node sends, now."""
        with self._changes:
            super().silence(tx_index)
