"""What scatterers of a hall do to a direct path on average, over band and array."""

from dataclasses import dataclass

import numpy as np

from drivers.geometry import ComplexArray, FloatArray


@dataclass(frozen=True)
class ClutterStatistics:
    """What is known of a hall's scatterers beforehand, in resolution cells.

    Attributes
    ----------
    separation
        Length of the direct path.
    nearest
        Of a scatterer that is drawn apart from an antenna.
    """

    separation: float
    nearest: float


def clutter_covariance(offset: FloatArray, clutter: ClutterStatistics) -> ComplexArray:
    """Covariance over the band of scatterers spread evenly over the plane, shape ``(B, B)``.

    In elliptic coordinates about the two nodes, the power of scatterers of excess delay ``x`` on
    a path of length ``D`` falls as ``1 / (x (2 D + x) (D + x))``, all in cells. Sub-band means
    pass long delays weakly.
    """
    num_bands, nearest, separation = len(offset), clutter.nearest, clutter.separation
    excess = np.concatenate(
        (np.geomspace(nearest / 30.0, 1.0, 150)[:-1], np.arange(1.0, 3.0 * num_bands, 0.15))
    )
    power = np.gradient(excess) / (
        (excess + nearest) * (2.0 * separation + excess) * (separation + excess)
    )
    power = power * np.sinc(excess / num_bands) ** 2
    waves = np.exp(-2j * np.pi * np.outer(offset, excess))
    return np.asarray((waves * (power / power.sum())) @ waves.conj().T)


def beam_shares(size: int) -> FloatArray:
    """Power of the scatterers in each beam off the direct path's, mean one, shape ``(M,)``.

    Half of it comes from near the receiver, from anywhere; half from near the transmitter, and so
    from about its direction.
    """
    index = np.arange(size)
    off = np.minimum(index, size - index)
    near = 1.0 / (1.0 + 4.0 * off**2)
    return np.asarray(0.5 + 0.5 * size * near / near.sum())
