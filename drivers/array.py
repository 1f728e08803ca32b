"""Antenna arrays: element patterns and the steering of a uniform linear array."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, ComplexArray, FloatArray, wrap_angle

PatternKind = Literal["sector", "3gpp_38901", "omnidirectional"]

# 3GPP TR 38.901 table 7.3-1, horizontal cut of one element.
TR38901_BEAMWIDTH_RAD = np.deg2rad(65.0)
TR38901_MAX_ATTENUATION_DB = 30.0
TR38901_PEAK_GAIN_DBI = 8.0


@dataclass(frozen=True, slots=True)
class ElementPattern:
    """Power gain of one antenna element over the horizontal angle.

    Attributes
    ----------
    kind
        ``sector``: `gain_dbi` inside the field of view and `front_to_back_db` less outside;
        ``3gpp_38901``: the horizontal cut of TR 38.901 table 7.3-1 (8 dBi peak, 30 dB floor);
        ``omnidirectional``: `gain_dbi` everywhere.
    field_of_view_rad
        Full width of the field of view, centred on boresight, in (0, 2 pi].
    front_to_back_db
        Attenuation outside a sector's field of view; may be infinite.
    gain_dbi
        Gain inside the field of view (added to the 8 dBi of ``3gpp_38901``).
    """

    kind: PatternKind = "sector"
    field_of_view_rad: float = np.pi
    front_to_back_db: float = 30.0
    gain_dbi: float = 0.0

    def in_view(self, angle_rad: ArrayLike) -> np.ndarray:
        """Whether angles from boresight lie in the field of view, boolean, any shape."""
        if self.kind == "omnidirectional":
            return np.ones(np.shape(angle_rad), dtype=bool)
        return np.asarray(np.abs(wrap_angle(angle_rad)) <= self.field_of_view_rad / 2.0)

    def power_gain(self, angle_rad: ArrayLike) -> FloatArray:
        """Linear power gain towards angles from boresight, any shape."""
        angle = wrap_angle(angle_rad)
        peak = 10.0 ** (self.gain_dbi / 10.0)
        if self.kind == "omnidirectional":
            return np.full(angle.shape, peak)
        if self.kind == "3gpp_38901":
            drop_db = np.minimum(
                12.0 * (angle / TR38901_BEAMWIDTH_RAD) ** 2, TR38901_MAX_ATTENUATION_DB
            )
            return np.asarray(peak * 10.0 ** ((TR38901_PEAK_GAIN_DBI - drop_db) / 10.0))
        behind = 10.0 ** (-self.front_to_back_db / 10.0)
        return np.where(self.in_view(angle), peak, peak * behind)

    def seeing_everywhere(self) -> "ElementPattern":
        """The pattern with the gain ahead in every direction."""
        peak_dbi = 10.0 * float(np.log10(self.power_gain(0.0)))
        return ElementPattern("omnidirectional", gain_dbi=peak_dbi)


@dataclass(frozen=True, slots=True)
class UniformLinearArray:
    """A uniform linear array, phase reference at its centre.

    Attributes
    ----------
    num_elements
        Number of elements, at least one.
    spacing_m
        Distance between neighbours; at most half a wavelength for an unambiguous angle.
    """

    num_elements: int
    spacing_m: float

    @property
    def element_offset_m(self) -> FloatArray:
        """Signed element positions along the array, shape ``(M,)``, centred, in metres."""
        index = np.arange(self.num_elements) - (self.num_elements - 1) / 2.0
        return np.asarray(index * self.spacing_m)

    def element_delay_s(self, sine: ArrayLike) -> FloatArray:
        """Delay of each element relative to the centre, shape ``(..., M)``, in seconds.

        The plane wave of eq. (6): ``d sin(angle) m / c``. Only the sine of the arrival angle
        enters, which is why a linear array cannot tell front from back.
        """
        path_m = np.asarray(sine, dtype=np.float64)[..., None] * self.element_offset_m
        return path_m / SPEED_OF_LIGHT_M_PER_S


def steering_matrix(
    array: UniformLinearArray, frequency_hz: FloatArray, angle_rad: ArrayLike
) -> ComplexArray:
    """Response of each element to a plane wave, per subcarrier and angle; eq. (6).

    Parameters
    ----------
    array
        The receiving array; phase reference at its centre.
    frequency_hz
        Absolute subcarrier frequencies, shape ``(K,)``; not baseband offsets.
    angle_rad
        Arrival angles from boresight, shape ``(G,)``, counter-clockwise positive.
        By the sign of eq. (6) the phase of element 0 leads for positive angles, so element 0
        is the one nearest to a source at +pi/2.

    Returns
    -------
    numpy.ndarray
        Unit-modulus responses, shape ``(K, G, M)``.
    """
    delay_s = array.element_delay_s(np.sin(angle_rad))
    return np.exp(-2j * np.pi * frequency_hz[:, None, None] * delay_s[None])
