"""A hub and a ring of radios on one ether, and the measurements of a laboratory.

Nothing here reads a simulator's parameter: what is measured comes from samples, their ticks and
their scale. ``python -m pytest tests/paper/nuisances --log-cli-level=INFO`` shows the numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.fft
from scipy.signal.windows import blackmanharris

from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, ComplexArray, FloatArray, Pose
from drivers.node import Node
from drivers.radio import IqBlock
from drivers.tuning import Tuning
from sim_backend.ether import Ether
from sim_backend.impairments import PRESETS, Impairments
from sim_backend.radio import SimRadio
from sim_backend.scene import SceneStatistics, draw_scene

DISTANCE_M = 10.0
DELAY_S = DISTANCE_M / SPEED_OF_LIGHT_M_PER_S
TX_POWER_DBM = 23.0
# A receiver without noise, for what noise would hide.
SILENT_DB = -200.0
TUNING = Tuning(carrier_hz=5.5e9, sample_rate_hz=30.72e6, rx_gain_db=30.0, tx_gain_db=84.0)
COMMON = replace(TUNING, clock_source="external", time_source="pps")
IDEAL = PRESETS["ideal"]

# A symbol between a cyclic prefix and suffix: its delay is a slope of phase over frequency.
SYMBOL_LENGTH, GUARD = 1024, 256
_TONES = np.arange(-360, 361)
_SPECTRUM = np.exp(1j * np.pi * _TONES**2 / len(_TONES))  # Newman's phases: a low crest factor


def only(**nuisances: object) -> Impairments:
    """An ideal radio with these nuisances, and no others, switched on."""
    return replace(IDEAL, **nuisances)


def stated(name: str) -> list[float]:
    """Sizes of a nuisance in the presets, as ``docs/nuisances.md`` has them."""
    sizes = (getattr(preset, name) for preset in PRESETS.values())
    return sorted({size for size in sizes if size != getattr(IDEAL, name)})


class Hall:
    """One radio in the middle (the hub), others 10 m around it that look at it (the ring).

    There is nothing but the direct path, the same for all, at the right angle to every array.
    """

    def __init__(
        self, *, hub: Impairments = IDEAL, ring: Impairments = IDEAL, num_ring: int = 1,
        num_elements: int = 1, seed: int = 1, tuning: Tuning = TUNING,
        noise_figure_db: float = SILENT_DB,
    ) -> None:  # fmt: skip
        turns = 2.0 * np.pi * np.arange(num_ring) / num_ring
        poses = [Pose((0.0, 0.0), 0.0)]
        for turn in turns:
            place = DISTANCE_M * np.cos(turn), DISTANCE_M * np.sin(turn)
            poses.append(Pose((float(place[0]), float(place[1])), float(turn) + np.pi))
        nodes = [
            Node(
                str(n), str(n), pose, UniformLinearArray(num_elements if n else 1, 0.025),
                receive_pattern=ElementPattern("omnidirectional"),
                tx_power_dbm=TX_POWER_DBM, noise_figure_db=noise_figure_db,
            )
            for n, pose in enumerate(poses)
        ]  # fmt: skip
        area = SceneStatistics((-20.0, -20.0, 20.0, 20.0), num_clutter=0, nodes_are_clutter=False)
        self.ether = Ether(draw_scene(seed, nodes, area))
        self.hub = SimRadio(self.ether, 0, hub)
        self.ring = [SimRadio(self.ether, n + 1, ring) for n in range(num_ring)]
        for radio in (self.hub, *self.ring):
            radio.configure(tuning)

    @property
    def now_s(self) -> float:
        """Time of the hall."""
        return self.ether.now_fs / 1e15


def blocks(radios: Sequence[SimRadio], num_samples: int, at_tick: int | None) -> list[IqBlock]:
    """One block of each radio from the same tick of its own clock on."""
    for radio in radios:
        radio.arm_receive(num_samples, at_tick)
    return [radio.fetch() for radio in radios]


def tone(
    frequency_hz: float, num_samples: int, rate_hz: float = TUNING.sample_rate_hz
) -> ComplexArray:
    """A tone of half the full scale."""
    cycles = frequency_hz / rate_hz * np.arange(num_samples)
    return 0.5 * np.exp(2j * np.pi * (cycles % 1.0))


def sync_burst() -> ComplexArray:
    """A wideband symbol with its guards, `SYMBOL_LENGTH` and twice `GUARD` samples long."""
    symbol = _symbol()
    return np.concatenate((symbol[-GUARD:], symbol, symbol[:GUARD]))


def _symbol() -> ComplexArray:
    spectrum = np.zeros(SYMBOL_LENGTH, dtype=np.complex128)
    spectrum[_TONES] = _SPECTRUM
    return scipy.fft.ifft(spectrum) * SYMBOL_LENGTH / (2.0 * np.sqrt(len(_TONES)))


@dataclass(frozen=True)
class Symbol:
    """What a block holds of the wideband symbol.

    Attributes
    ----------
    arrival
        Where the burst begins in the block, in samples.
    frequency_hz, response
        The symbol's tones, from the oscillator, and the channel at each.
    """

    arrival: float
    frequency_hz: FloatArray
    response: ComplexArray


def found_symbol(samples: ComplexArray, rate_hz: float = TUNING.sample_rate_hz) -> Symbol:
    """The symbol by cross-correlation, its arrival to a fraction of a sample by phase slope."""
    samples = np.asarray(samples, dtype=np.complex128)
    length = scipy.fft.next_fast_len(len(samples) + SYMBOL_LENGTH)
    lags = scipy.fft.ifft(scipy.fft.fft(samples, length) * scipy.fft.fft(_symbol(), length).conj())[
        : len(samples) - SYMBOL_LENGTH
    ]
    start = int(np.argmax(np.abs(lags)))
    received = scipy.fft.fft(samples[start : start + SYMBOL_LENGTH])[_TONES]
    response = received / scipy.fft.fft(_symbol())[_TONES]
    slope = np.polyfit(_TONES, np.unwrap(np.angle(response)), 1)[0]
    fraction = -slope * SYMBOL_LENGTH / (2.0 * np.pi)
    frequency_hz = _TONES * rate_hz / SYMBOL_LENGTH
    return Symbol(start - GUARD + float(fraction), frequency_hz, response)


def tone_frequency_hz(samples: ComplexArray, rate_hz: float = TUNING.sample_rate_hz) -> float:
    """Frequency of a tone by the slope of its phase."""
    phase = np.unwrap(np.angle(np.asarray(samples, dtype=np.complex128)))
    return float(np.polyfit(np.arange(len(phase)), phase, 1)[0] * rate_hz / (2.0 * np.pi))


def tone_amplitude(
    samples: ComplexArray, frequency_hz: float, rate_hz: float = TUNING.sample_rate_hz
) -> complex:
    """Complex amplitude of a tone, other tones 92 dB down (a Blackman-Harris window)."""
    window = blackmanharris(len(samples), sym=False)
    cycles = frequency_hz / rate_hz * np.arange(len(samples))
    return complex(np.sum(window * samples * np.exp(-2j * np.pi * cycles)) / np.sum(window))


def residual(samples: ComplexArray, frequency_hz: float) -> ComplexArray:
    """What the fit of a tone of known frequency and a constant leaves (IEEE Std 1241)."""
    turns = np.exp(2j * np.pi * (frequency_hz / TUNING.sample_rate_hz * np.arange(len(samples))))
    basis = np.stack((turns, np.ones(len(samples))), axis=1)
    weights = np.linalg.lstsq(basis, samples.astype(np.complex128), rcond=None)[0]
    return samples - basis @ weights


def power_dbm(block: IqBlock, amplitude: complex) -> float:
    """Power at the antenna port of a tone, by the block's own scale."""
    return block.full_scale_dbm + 20.0 * float(np.log10(abs(amplitude)))


def friis_db(carrier_hz: float = TUNING.carrier_hz, distance_m: float = DISTANCE_M) -> float:
    """Gain between two isotropic antennas, by hand."""
    return float(20.0 * np.log10(SPEED_OF_LIGHT_M_PER_S / (4.0 * np.pi * distance_m * carrier_hz)))


# A tone tells the frequency, the symbol behind it the time.
TONE_HZ, TONE_LENGTH = 1e6, 4096


def tone_and_symbol() -> ComplexArray:
    """A tone and the wideband symbol, as one burst."""
    return np.concatenate((tone(TONE_HZ, TONE_LENGTH), sync_burst()))


def frequency_and_arrival(samples: ComplexArray) -> tuple[float, float]:
    """Frequency of the tone in Hz, and where the burst begins, in samples."""
    begin = int(np.argmax(np.abs(samples) > 0.5 * np.abs(samples).max()))
    margin = 128
    frequency_hz = tone_frequency_hz(samples[begin + margin : begin + TONE_LENGTH - margin])
    first = begin + TONE_LENGTH - margin
    turns = (frequency_hz - TONE_HZ) / TUNING.sample_rate_hz * np.arange(len(samples) - first)
    symbol = found_symbol(samples[first:] * np.exp(-2j * np.pi * turns))
    return frequency_hz, first + symbol.arrival - TONE_LENGTH
