"""Position error bound of the information that a configuration gives; eq. (18)."""

import numpy as np

from drivers.geometry import FloatArray

# mu_reg of (18): one part in 1e6 of a square metre's worth of information.
REGULARIZATION_PER_M2 = 1e-6


def peb_m(information: FloatArray) -> FloatArray:
    """Position error bound of information entries ``xx, xy, yy``, shape ``(...)``; eq. (18).

    ``sqrt(tr(A^-1))`` in closed form, with ``mu_reg`` on the diagonal.
    """
    xx = information[..., 0] + REGULARIZATION_PER_M2
    yy = information[..., 2] + REGULARIZATION_PER_M2
    xy = information[..., 1]
    # det(A) >= mu tr(A) - mu^2 for any information; rounding may fall below where one direction
    # holds nearly all of it.
    least = REGULARIZATION_PER_M2 * (xx + yy - REGULARIZATION_PER_M2)
    return np.asarray(np.sqrt((xx + yy) / np.maximum(xx * yy - xy * xy, least)))
