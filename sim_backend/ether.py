"""The ether: bursts on one absolute time axis, and what each array hears of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache, partial

import numpy as np
import scipy.fft

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, ComplexArray, FloatArray
from sim_backend.channel import sum_of_paths
from sim_backend.oscillator import FS_PER_S
from sim_backend.paths import Paths
from sim_backend.resampling import ROOM, sampled, unit_phasors
from sim_backend.scene import Scene

# Samples beside a burst that its band-limited reconstruction still reaches. Where a window lies
# inside a longer burst, the burst is faded out over half of them: cut off, it would ring.
_TAIL = 128
# No path is longer than this: 300 km.
_LONGEST_PATH_FS = FS_PER_S // 1000
# The channel is kept for the next window if it has no more entries: 2 MiB.
_KEPT_ENTRIES = 1 << 18


@dataclass(frozen=True)
class Emission:
    """One burst on air.

    Attributes
    ----------
    tx_index
        The node that sends.
    start_fs
        True time of the first sample, in femtoseconds.
    step_s
        True distance of the samples.
    carrier_hz
        Nominal carrier; the samples hold the true oscillator's offset.
    num_samples
        How many there are.
    samples
        Function of first index and count that gives samples at the antenna port, in square roots
        of milliwatts, complex64; whoever asks may change them.
    look
        Sensing index for the target's fluctuation, ``None`` if there is no target.
    """

    tx_index: int
    start_fs: int
    step_s: float
    carrier_hz: float
    num_samples: int
    samples: Callable[[int, int], ComplexArray]
    look: int | None

    @property
    def end_fs(self) -> int:
        """True time after the last sample."""
        return self.start_fs + round(self.num_samples * self.step_s * FS_PER_S)


@dataclass(frozen=True, slots=True)
class Window:
    """Instants at which a receiver samples, by its own clock.

    Attributes
    ----------
    start_fs, step_s, num_samples
        First instant (true time), distance, and number.
    carrier_hz
        Nominal carrier of the receiver.
    """

    start_fs: int
    step_s: float
    num_samples: int
    carrier_hz: float

    @property
    def end_fs(self) -> int:
        """True time after the last sample."""
        return self.start_fs + round(self.num_samples * self.step_s * FS_PER_S)


class Ether:
    """What is on air in one scene, in virtual time.

    Parameters
    ----------
    scene
        The hall.
    session
        Which time the radios were switched on: the same hardware draws other phases and times.

    Attributes
    ----------
    scene
        The hall.
    look
        Sensing index of the bursts sent from now on, ``None`` without a target: the world's own
        state, which no radio knows.
    num_noise_blocks
        How many blocks of phase noise an oscillator draws at most; `None` for no limit.
    """

    num_noise_blocks: int | None = None

    def __init__(self, scene: Scene, session: int = 0) -> None:
        self.scene = scene
        self.session = session
        self._now_fs = 0
        self.look: int | None = None
        self._emissions: list[Emission] = []
        static_paths = lru_cache(maxsize=256)(scene.static_paths)
        self._link = lru_cache(maxsize=16)(partial(_new_link, scene, static_paths))

    @property
    def now_fs(self) -> int:
        """Virtual time in femtoseconds: nothing before it can be changed any more.

        It moves on when a block has been received, and by `advance`.
        """
        return self._now_fs

    def advance(self, duration_s: float) -> None:
        """Let virtual time pass."""
        self._now_fs += round(duration_s * FS_PER_S)

    def reached(self, instant_fs: int) -> None:
        """A block up to this instant was received: virtual time moves on to it."""
        self._now_fs = max(self._now_fs, instant_fs)

    def next_look(self) -> int | None:
        """Look of the burst that is sent next, ``None`` without a target."""
        return self.look

    def emit(self, emission: Emission) -> None:
        """Put a burst on air; bursts that nobody can hear any more are forgotten."""
        past = self.now_fs - FS_PER_S
        kept = [e for e in self._emissions if e.end_fs >= past]
        self._emissions = [*kept, emission]

    def silence(self, tx_index: int) -> None:
        """End what a node sends, now."""
        now_fs = self.now_fs
        self._emissions = [
            _ended(emission, now_fs) if emission.tx_index == tx_index else emission
            for emission in self._emissions
        ]

    def heard(
        self,
        rx_index: int,
        window: Window,
        element_delay_s: FloatArray | None = None,
        elements: slice = slice(None),
    ) -> ComplexArray:
        """What a node's antennas hear, shape ``(N, M)``, complex64, square roots of milliwatts.

        In the baseband of the window's nominal carrier, without noise.

        Parameters
        ----------
        element_delay_s
            Extra delay of each element, shape ``(M,)``.
        elements
            Which of the array's elements; all of them, if left out.
        """
        size = len(range(self.scene.nodes[rx_index].array.num_elements)[elements])
        total = np.zeros((window.num_samples, size), dtype=np.complex64)
        extra_s = np.zeros(size) if element_delay_s is None else element_delay_s
        for emission in self._emissions:
            on_air = (
                emission.start_fs < window.end_fs
                and emission.end_fs + _LONGEST_PATH_FS > window.start_fs
            )
            if emission.tx_index == rx_index or emission.num_samples == 0 or not on_air:
                continue
            link = self._link(emission, rx_index, (elements.start, elements.stop), tuple(extra_s))
            if len(link.paths.gain):
                _add_emission(total, link, window)
        return total


class _Link:
    """One burst on its way to one receiver.

    Attributes
    ----------
    emission, paths
        The burst, and where it goes.
    """

    def __init__(self, emission: Emission, paths: Paths) -> None:
        self.emission = emission
        self.paths = paths
        self._kept: ComplexArray = np.empty((0, 0), dtype=np.complex64)

    def channel(self, length: int) -> ComplexArray:
        """Channel at the frequencies of a transform of the burst, shape ``(F, M)``, complex64.

        A receiver that listens on asks for the same one again.
        """
        kept = self._kept
        if len(kept) != length:
            spacing_hz = 1.0 / (length * self.emission.step_s)
            lowest_hz = self.emission.carrier_hz - (length // 2) * spacing_hz
            centred = sum_of_paths(lowest_hz, spacing_hz, length, self.paths, np.complex64)
            kept = scipy.fft.ifftshift(centred, axes=0)
            if kept.size <= _KEPT_ENTRIES:
                self._kept = kept
        return kept


def _new_link(
    scene: Scene,
    static_paths: Callable[[int, int, float], Paths],
    emission: Emission,
    rx_index: int,
    elements: tuple[int | None, int | None],
    extra_s: tuple[float, ...],
) -> _Link:
    nodes = emission.tx_index, rx_index
    wavelength_m = SPEED_OF_LIGHT_M_PER_S / emission.carrier_hz
    paths = static_paths(*nodes, wavelength_m)
    if emission.look is not None:
        rcs_m2 = scene.target_rcs_m2(*nodes, emission.look)
        paths = paths + scene.target_paths(*nodes, rcs_m2, wavelength_m)
    return _Link(emission, Paths(paths.gain, paths.delay_s[:, slice(*elements)] + extra_s))


def _ended(emission: Emission, now_fs: int) -> Emission:
    """The emission, over by now."""
    if emission.end_fs <= now_fs:
        return emission
    elapsed_s = max(0, now_fs - emission.start_fs) / FS_PER_S
    return replace(emission, num_samples=int(elapsed_s / emission.step_s))


def _add_emission(total: ComplexArray, link: _Link, window: Window) -> None:
    """Add one burst over all its paths to what a window holds."""
    emission = link.emission
    step_s = emission.step_s
    offset_s = (window.start_fs - emission.start_fs) / FS_PER_S
    longest_s = float(link.paths.delay_s.max())
    first = max(0, int((offset_s - longest_s) / step_s) - _TAIL)
    end_s = offset_s + window.num_samples * window.step_s
    last = min(emission.num_samples, int(end_s / step_s) + _TAIL)
    if first >= last:
        return
    padded = last - first + int(longest_s / step_s) + 2 * _TAIL
    # Positions of the window's samples in steps of the emission, from its first one here.
    position = offset_s / step_s - first
    ratio = window.step_s / step_s
    low = max(0, int(np.ceil((-_TAIL - position) / ratio)))
    high = min(window.num_samples, int((padded - _TAIL - 1 - position) / ratio) + 1)
    if low >= high:
        return
    samples = emission.samples(first, last - first).astype(np.complex64, copy=False)
    fade = (np.sin(np.linspace(0.0, np.pi / 2.0, _TAIL // 2)) ** 2).astype(np.float32)
    if first > 0 and len(samples) > len(fade):
        samples[: len(fade)] *= fade
    if last < emission.num_samples and len(samples) > len(fade):
        samples[-len(fade) :] *= fade[::-1]
    spectrum = scipy.fft.fft(samples, scipy.fft.next_fast_len(padded + ROOM, real=True))
    _filter(spectrum, emission, window)
    spectrum = link.channel(len(spectrum)) * spectrum[:, None]
    heard = sampled(spectrum, position + low * ratio, ratio, high - low)
    difference_hz = emission.carrier_hz - window.carrier_hz
    if difference_hz:
        # Of true time since zero, which in seconds would be rounded to 15 ps after a day.
        begin = float(Fraction(difference_hz) * window.start_fs / FS_PER_S % 1)
        turns = begin + difference_hz * window.step_s * np.arange(float(low), float(high))
        heard *= unit_phasors(turns)[:, None]
    total[low:high] += heard


def _filter(spectrum: ComplexArray, emission: Emission, window: Window) -> None:
    """The receiver's filter: what lies outside its band does not alias into it."""
    difference_hz = emission.carrier_hz - window.carrier_hz
    if difference_hz or window.step_s > emission.step_s:
        at_receiver_hz = scipy.fft.fftfreq(len(spectrum), emission.step_s) + difference_hz
        spectrum[np.abs(at_receiver_hz) > 0.5 / window.step_s] = 0.0
