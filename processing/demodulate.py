"""From IQ samples of a sounding burst to received pilots."""

import numpy as np
import scipy.fft

from drivers.burst import SoundingBurst
from drivers.capture import CaptureRefusedError
from drivers.geometry import ComplexArray
from drivers.radio import IqBlock
from drivers.waveform import pilot_symbols

# Windows begin this share of the prefix early, so that a burst that comes early by a timing error
# is still inside; the shift is taken back in the pilots' phases.
_ADVANCE_SHARE = 0.25


def demodulate(
    block: IqBlock, burst: SoundingBurst, start_tick: int, tx_full_scale_dbm: float
) -> ComplexArray:
    """Received pilots per unit transmitted tone amplitude, shape ``(K, M)``, complex64.

    ``Y`` of eq. (1), averaged over the burst's symbols. The empty tone is filled in from its four
    neighbours (cubic, exact to (2 pi delay spacing)^4 / 6, as noisy as any tone), so that the grid
    has no gap.

    Parameters
    ----------
    block
        Samples that hold the whole burst.
    start_tick
        Receiver's tick at which the burst's first sample was sent: delays count from it.
    tx_full_scale_dbm
        Nominal power at the transmitter's port of magnitude 1.

    Raises
    ------
    CaptureRefusedError
        If the block does not say when it began, or does not hold all symbols.
    """
    if block.first_sample_tick is None:
        msg = "the block does not say when it began, so the burst in it has no known time"
        raise CaptureRefusedError(msg)
    advance = int(_ADVANCE_SHARE * burst.prefix_length)
    first = start_tick - block.first_sample_tick + burst.first_symbol_sample - advance
    last = first + burst.num_symbols * burst.symbol_length
    if first < 0 or last > len(block.samples):
        msg = (
            f"the block of {len(block.samples)} samples does not hold the burst's symbols, which "
            f"are samples {first} to {last}"
        )
        raise CaptureRefusedError(msg)
    symbols = block.samples[first:last].reshape(burst.num_symbols, burst.symbol_length, -1)
    spectrum = scipy.fft.fft(symbols.mean(axis=0), axis=0) / np.float32(burst.symbol_length)
    tones = spectrum[burst.tone_bins]
    offset = np.arange(burst.grid.num_subcarriers) - burst.null_index
    back = np.exp(2j * np.pi * offset * (advance / burst.symbol_length))
    # Amplitudes are square roots of power, so 20 dB are a factor of ten.
    scale = 10.0 ** ((block.full_scale_dbm - tx_full_scale_dbm) / 20.0) / burst.tone_amplitude
    received = tones * (scale * back).astype(np.complex64)[:, None]
    return _filled(received, burst)


def _filled(received: ComplexArray, burst: SoundingBurst) -> ComplexArray:
    """The pilots with the empty tone interpolated between its neighbours' channels."""
    pilots, empty = pilot_symbols(burst.grid), burst.null_index
    near = empty + np.array([-2, -1, 1, 2])
    weights = np.array([-1.0, 4.0, 4.0, -1.0], dtype=np.float32) / np.float32(6.0)
    received[empty] = pilots[empty] * (weights @ (received[near] * pilots[near].conj()[:, None]))
    return received
