"""From received pilots to the residual channel; eqs. (2) and (9)."""

from drivers.geometry import ComplexArray


def channel_estimate(rx_pilots: ComplexArray, tx_pilots: ComplexArray) -> ComplexArray:
    """Least-squares channel per tone and element, shape ``(K, M)``; eq. (2).

    Parameters
    ----------
    rx_pilots
        ``Y``, shape ``(K, M)``.
    tx_pilots
        ``X``, shape ``(K,)``, of unit modulus, so that division is conjugate multiplication.
    """
    return rx_pilots * tx_pilots.conj()[:, None]


def suppress_background(channel: ComplexArray, background: ComplexArray | None) -> ComplexArray:
    """Residual channel after subtracting the learned background; eq. (9).

    Raises
    ------
    ValueError
        If the shapes differ: the entry belongs to another waveform or array.
    """
    if background is None:
        return channel
    if background.shape != channel.shape:
        msg = (
            f"background has shape {background.shape}, the capture {channel.shape}: the entry was "
            "learned with another waveform or array; calibrate this link again"
        )
        raise ValueError(msg)
    return channel - background
