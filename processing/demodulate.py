"""From IQ samples of a sounding burst to a capture of its pilots."""

from dataclasses import replace

import numpy as np
import scipy.fft

from drivers.burst import SoundingBurst
from drivers.capture import Capture, CaptureQuality, CaptureRefusedError
from drivers.geometry import ComplexArray
from drivers.radio import IqBlock
from drivers.sounding import Sounding
from drivers.waveform import pilot_symbols

# Windows begin this share of the prefix early, so that a burst that comes early by a timing error
# is still inside; the shift is taken back in the pilots' phases.
_ADVANCE_SHARE = 0.25
# Prefixes are twice as long as the longest delay, so this share is the middle of all delays.
_MIDDLE_SHARE = 0.25


def capture_of(block: IqBlock, sounding: Sounding, rx_id: str) -> Capture:
    """The capture that a block holds of a burst; without pilots, saying why, if it holds none."""
    report = sounding.report
    quality = CaptureQuality(
        overflow=block.overflow,
        late=block.late or report.late,
        discontinuity=block.discontinuity,
        underflow=report.underflow,
        gain_is_manual=block.gain_is_manual,
        clock_locked=_all_locked(block.clock_locked, report.clock_locked),
        pps_locked=_all_locked(block.pps_locked, report.pps_locked),
    )
    pilots: ComplexArray = np.zeros((0, 0), dtype=np.complex64)
    try:
        pilots = demodulate(block, sounding)
    except CaptureRefusedError as refusal:
        quality = replace(quality, fault=str(refusal))
    return Capture(
        tx_id=sounding.tx_id,
        rx_id=rx_id,
        rx_pilots=pilots,
        num_averaged=sounding.burst.num_symbols,
        waveform_hash=sounding.burst.grid.waveform_hash,
        # Phases of both radios enter, so a change of either counts.
        config_epoch=block.config_epoch + report.config_epoch,
        quality=quality,
        first_sample_tick=block.first_sample_tick,
    )


def _all_locked(*locks: bool | None) -> bool | None:
    """False if any lock is known to be lost, ``None`` if nothing is known of any."""
    known = [lock for lock in locks if lock is not None]
    return all(known) if known else None


def demodulate(block: IqBlock, sounding: Sounding) -> ComplexArray:
    """Received pilots per unit transmitted tone amplitude, shape ``(K, M)``, complex64.

    ``Y`` of eq. (1), averaged over the burst's symbols. The empty tone is filled in from its four
    neighbours (cubic, exact to (2 pi (delay - middle) spacing)^4 / 6 with a quarter of the prefix
    as the middle of all delays; as noisy as any tone), so that the grid has no gap.

    Parameters
    ----------
    block
        Samples that hold the whole burst.
    sounding
        The burst; delays count from its start.

    Raises
    ------
    CaptureRefusedError
        If block and burst have no common time, or the block does not hold all symbols.
    """
    burst = sounding.burst
    if block.first_sample_tick is None or sounding.start_tick is None:
        msg = "transmitter and receiver share no time, so the burst has no known place in the block"
        raise CaptureRefusedError(msg)
    advance = int(_ADVANCE_SHARE * burst.prefix_length)
    first = sounding.start_tick - block.first_sample_tick + burst.first_symbol_sample - advance
    last = first + burst.num_symbols * burst.symbol_length
    if first < 0 or last > len(block.samples):
        msg = (
            f"the block of {len(block.samples)} samples from tick {block.first_sample_tick} does "
            f"not hold the burst that was sent at tick {sounding.start_tick}"
        )
        raise CaptureRefusedError(msg)
    symbols = block.samples[first:last].reshape(burst.num_symbols, burst.symbol_length, -1)
    spectrum = scipy.fft.fft(symbols.mean(axis=0), axis=0) / np.float32(burst.symbol_length)
    tones = spectrum[burst.tone_bins]
    offset = np.arange(burst.grid.num_subcarriers) - burst.null_index
    back = np.exp(2j * np.pi * offset * (advance / burst.symbol_length))
    # Amplitudes are square roots of power: 20 dB are a factor of ten.
    scale = 10.0 ** ((block.full_scale_dbm - sounding.tx_full_scale_dbm) / 20.0)
    received = tones * (scale / burst.tone_amplitude * back).astype(np.complex64)[:, None]
    return _filled(received, burst)


def _filled(received: ComplexArray, burst: SoundingBurst) -> ComplexArray:
    """The pilots with the empty tone interpolated between its neighbours' channels."""
    pilots, empty = pilot_symbols(burst.grid), burst.null_index
    near = empty + np.array([-2, -1, 1, 2])
    # About the middle delay, where the channel turns least from tone to tone.
    middle = _MIDDLE_SHARE * burst.prefix_length / burst.symbol_length
    turn = np.exp(2j * np.pi * middle * (near - empty))
    weights = (np.array([-1.0, 4.0, 4.0, -1.0]) / 6.0 * turn).astype(np.complex64)
    received[empty] = pilots[empty] * (weights @ (received[near] * pilots[near].conj()[:, None]))
    return received
