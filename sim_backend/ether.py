"""The ether: bursts on one absolute time axis, and what each array hears of them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import scipy.fft

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, ComplexArray, FloatArray
from sim_backend.channel import sum_of_paths
from sim_backend.oscillator import FS_PER_S
from sim_backend.paths import Paths
from sim_backend.scene import Scene

# Samples beside a burst that its band-limited reconstruction still reaches. Where a window lies
# inside a longer burst, the burst is faded out over half of them: cut off, it would ring.
_TAIL = 128
# No path is longer than this: 300 km.
_LONGEST_PATH_FS = FS_PER_S // 1000
# Sample clocks nearer than this (relative) do not slip within a burst: 1e-12 of 1e6 samples.
_SAME_RATE = 1e-12


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
        of milliwatts, complex128.
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
    """

    def __init__(self, scene: Scene, session: int = 0) -> None:
        self.scene = scene
        self.session = session
        self._now_fs = 0
        self.look: int | None = None
        self._emissions: list[Emission] = []

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
        for emission in self._emissions:
            on_air = (
                emission.start_fs < window.end_fs
                and emission.end_fs + _LONGEST_PATH_FS > window.start_fs
            )
            if emission.tx_index == rx_index or emission.num_samples == 0 or not on_air:
                continue
            paths = self._paths(emission, rx_index)
            paths = Paths(paths.gain, paths.delay_s[:, elements])
            if element_delay_s is not None:
                paths = Paths(paths.gain, paths.delay_s + element_delay_s)
            if len(paths.gain):
                _add_emission(total, emission, paths, window)
        return total

    def _paths(self, emission: Emission, rx_index: int) -> Paths:
        link = emission.tx_index, rx_index
        wavelength_m = SPEED_OF_LIGHT_M_PER_S / emission.carrier_hz
        paths = self.scene.static_paths(*link, wavelength_m)
        if emission.look is not None:
            rcs = self.scene.target_rcs_m2(*link, emission.look)
            paths = paths + self.scene.target_paths(*link, rcs, wavelength_m)
        return paths


def _ended(emission: Emission, now_fs: int) -> Emission:
    """The emission, over by now."""
    if emission.end_fs <= now_fs:
        return emission
    elapsed_s = max(0, now_fs - emission.start_fs) / FS_PER_S
    return replace(emission, num_samples=int(elapsed_s / emission.step_s))


def _add_emission(total: ComplexArray, emission: Emission, paths: Paths, window: Window) -> None:
    """Add one burst over all its paths to what a window holds."""
    step_s = emission.step_s
    offset_s = (window.start_fs - emission.start_fs) / FS_PER_S
    longest_s = float(paths.delay_s.max())
    first = max(0, int((offset_s - longest_s) / step_s) - _TAIL)
    end_s = offset_s + window.num_samples * window.step_s
    last = min(emission.num_samples, int(end_s / step_s) + _TAIL)
    if first >= last:
        return
    padded = last - first + int(longest_s / step_s) + 2 * _TAIL
    length = scipy.fft.next_fast_len(padded)
    # Positions of the window's samples in steps of the emission, from its first one here.
    position = offset_s / step_s - first
    ratio = window.step_s / step_s
    low = max(0, int(np.ceil((-_TAIL - position) / ratio)))
    high = min(window.num_samples, int((padded - _TAIL - 1 - position) / ratio) + 1)
    if low >= high:
        return
    samples = emission.samples(first, last - first).copy()
    fade = np.sin(np.linspace(0.0, np.pi / 2.0, _TAIL // 2)) ** 2
    if first > 0 and len(samples) > len(fade):
        samples[: len(fade)] *= fade
    if last < emission.num_samples and len(samples) > len(fade):
        samples[-len(fade) :] *= fade[::-1]
    spectrum = scipy.fft.fft(samples, length)
    spectrum = _received_spectrum(spectrum, emission, paths, window)
    heard = _sampled(spectrum, position + low * ratio, ratio, high - low)
    difference_hz = emission.carrier_hz - window.carrier_hz
    if difference_hz:
        # Of true time since zero, which in seconds would be rounded to 15 ps after a day.
        begin = float(Fraction(difference_hz) * window.start_fs / FS_PER_S % 1)
        turns = begin + difference_hz * window.step_s * np.arange(low, high)
        heard = heard * np.exp(2j * np.pi * turns)[:, None]
    total[low:high] += heard


def _received_spectrum(
    spectrum: ComplexArray, emission: Emission, paths: Paths, window: Window
) -> ComplexArray:
    """Spectrum at each element, lowest frequency first, shape ``(F, M)``, complex64."""
    length = len(spectrum)
    spacing_hz = 1.0 / (length * emission.step_s)
    lowest_hz = -(length // 2) * spacing_hz
    channel = sum_of_paths(emission.carrier_hz + lowest_hz, spacing_hz, length, paths)
    shifted = scipy.fft.fftshift(spectrum)
    # The receiver's filter: what lies outside its band does not alias into it.
    at_receiver_hz = (
        lowest_hz + np.arange(length) * spacing_hz + emission.carrier_hz - window.carrier_hz
    )
    passed = np.abs(at_receiver_hz) <= 0.5 / window.step_s
    return (channel * (shifted * passed)[:, None]).astype(np.complex64)


def _sampled(spectrum: ComplexArray, position: float, ratio: float, count: int) -> ComplexArray:
    """A band-limited signal at ``position + n ratio``, shape ``(count, M)``, in its own steps.

    ``spectrum`` is centred, shape ``(F, M)``. Equal rates need one inverse transform, others a
    chirp-z transform (Rabiner, Schafer and Rader, 1969).
    """
    length = len(spectrum)
    index = np.arange(length) - length // 2
    if abs(ratio - 1.0) < _SAME_RATE:
        whole = int(np.floor(position))
        shift = np.exp(2j * np.pi * index / length * (position - whole)).astype(np.complex64)
        signal = scipy.fft.ifft(
            scipy.fft.ifftshift(spectrum * shift[:, None], axes=0), axis=0, overwrite_x=True
        )
        return signal[(whole + np.arange(count)) % length]
    # 2 k n = k^2 + n^2 - (n - k)^2 turns the sum over k into a convolution with a chirp.
    times, lags = np.arange(count), np.arange(-(length - 1), count)
    start = np.exp(2j * np.pi * index / length * position) * _chirp(ratio / length, index)
    size = scipy.fft.next_fast_len(length + count - 1)
    kernel = np.zeros(size, dtype=np.complex128)
    kernel[lags % size] = _chirp(ratio / length, lags + length // 2).conj()
    lines = scipy.fft.fft(spectrum * start.astype(np.complex64)[:, None], size, axis=0)
    lines *= scipy.fft.fft(kernel).astype(np.complex64)[:, None]
    signal = scipy.fft.ifft(lines, axis=0, overwrite_x=True)[:count]
    finish = _chirp(ratio / length, times) / length
    return signal * finish.astype(np.complex64)[:, None]


def _chirp(cycles: float, index: np.ndarray) -> ComplexArray:
    """``exp(j pi cycles index^2)``."""
    return np.exp(1j * np.pi * (cycles * index.astype(np.float64) ** 2 % 2.0))
