"""The tone generators (DDS) beside the transmit buffers."""

from dataclasses import dataclass

import numpy as np

from drivers.geometry import ComplexArray

# A generator's phase has 16 bits, so that any set of tones repeats after as many samples.
PERIOD = 1 << 16


@dataclass
class Tone:
    """One generator.

    Attributes
    ----------
    step
        Its frequency: steps of phase a sample.
    phase_mdeg
        Phase at the start, in thousandths of a degree.
    scale
        Amplitude, of full scale.
    is_on
        Whether it is sent.
    """

    step: int = 0
    phase_mdeg: int = 0
    scale: float = 0.0
    is_on: bool = True


class Tones:
    """The four generators of one transmitter: two for the in-phase part, two for quadrature.

    They give sines, so that an in-phase tone 90 degrees ahead of its quadrature tone makes a
    positive frequency.
    """

    def __init__(self) -> None:
        self.in_phase = (Tone(phase_mdeg=90_000), Tone(phase_mdeg=90_000))
        self.quadrature = (Tone(), Tone())

    def period(self) -> ComplexArray | None:
        """One period of what they make together; `None` for silence."""
        parts = [_sum(self.in_phase), _sum(self.quadrature)]
        if not any(part.any() for part in parts):
            return None
        return (parts[0] + 1j * parts[1]).astype(np.complex64)


def _sum(tones: tuple[Tone, ...]) -> np.ndarray:
    total = np.zeros(PERIOD)
    for tone in tones:
        if tone.is_on and tone.scale:
            cycles = tone.step * np.arange(PERIOD) / PERIOD + tone.phase_mdeg / 360e3
            total += tone.scale * np.sin(2.0 * np.pi * cycles)
    return total
