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
from processing.synchronize import symbols_at, synchronize

# Largest carrier offset between two radios: a pair of 25 ppm crystals, and some more.
MAX_CLOCK_OFFSET_PPM = 60.0
# Neighbouring symbols are told apart above this coherence; below it noise hides a gap, and what it
# does. Over K M >= 600 values, noise moves a coherence of 0.3 by less than 0.1.
_LEAST_TELLING_LIKENESS = 0.3
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
        delay_is_absolute=has_common_time(block, sounding),
        delay_var_s2=block.time_std_s**2 + report.time_std_s**2,
        needs_alignment=True,
        coherent_groups=block.coherent_groups,
        quality=quality,
        first_sample_tick=block.first_sample_tick,
    )


def _all_locked(*locks: bool | None) -> bool | None:
    """False if any lock is known to be lost, ``None`` if nothing is known of any."""
    known = [lock for lock in locks if lock is not None]
    return all(known) if known else None


def demodulate(block: IqBlock, sounding: Sounding) -> ComplexArray:
    """Received pilots per unit transmitted tone amplitude, shape ``(K, M)``, complex64.

    ``Y`` of eq. (1), averaged over the burst's symbols. Where block and burst have a common time,
    delays count from the start of transmission; where not, the burst is searched for, and delays
    count from its strongest path. The empty tone is filled in from its four neighbours (cubic,
    exact to (2 pi (delay - middle) spacing)^4 / 6 with a quarter of the prefix as the middle of
    all delays; as noisy as any tone), so that the grid has no gap.

    Parameters
    ----------
    block
        Samples that hold the whole burst.
    sounding
        The burst.

    Raises
    ------
    CaptureRefusedError
        If the block does not hold all symbols of the burst.
    """
    burst = sounding.burst
    advance = int(_ADVANCE_SHARE * burst.prefix_length)
    if has_common_time(block, sounding):
        symbols = _timed_symbols(block, sounding, advance)
    else:
        symbols = _found_symbols(block, burst, advance)
    spectrum = scipy.fft.fft(symbols, axis=1) / np.float32(burst.symbol_length)
    each = spectrum[:, burst.tone_bins]
    _check_continuity(each)
    tones = _averaged(each)
    offset = np.arange(burst.grid.num_subcarriers) - burst.null_index
    back = np.exp(2j * np.pi * offset * (advance / burst.symbol_length))
    # Amplitudes are square roots of power: 20 dB are a factor of ten.
    scale = 10.0 ** ((block.full_scale_dbm - sounding.tx_full_scale_dbm) / 20.0)
    received = tones * (scale / burst.tone_amplitude * back).astype(np.complex64)[:, None]
    return _filled(received, burst)


def has_common_time(block: IqBlock, sounding: Sounding) -> bool:
    """Whether transmitter and receiver count the same time, so that delays are absolute."""
    return block.first_sample_tick is not None and sounding.start_tick is not None


def _timed_symbols(block: IqBlock, sounding: Sounding, advance: int) -> ComplexArray:
    """The symbols at their known place, shape ``(S, N, M)``."""
    burst = sounding.burst
    if block.first_sample_tick is None or sounding.start_tick is None:
        msg = "no common time"
        raise ValueError(msg)
    first = sounding.start_tick - block.first_sample_tick + burst.first_symbol_sample - advance
    last = first + burst.num_symbols * burst.symbol_length
    if first < 0 or last > len(block.samples):
        msg = (
            f"the block of {len(block.samples)} samples from tick {block.first_sample_tick} does "
            f"not hold the burst that was sent at tick {sounding.start_tick}"
        )
        raise CaptureRefusedError(msg)
    return block.samples[first:last].reshape(burst.num_symbols, burst.symbol_length, -1)


def _found_symbols(block: IqBlock, burst: SoundingBurst, advance: int) -> ComplexArray:
    """The symbols wherever they are, on the transmitter's clock, shape ``(S, N, M)``."""
    if burst.num_symbols < 2:
        msg = (
            "without common time a burst needs two pilot symbols or more, so that its carrier "
            "offset shows; set waveform.num_symbols"
        )
        raise CaptureRefusedError(msg)
    max_offset_hz = MAX_CLOCK_OFFSET_PPM * 1e-6 * burst.local_oscillator_hz
    found = synchronize(block.samples, burst, max_offset_hz)
    return symbols_at(block.samples, burst, found, advance)


def _check_continuity(tones: ComplexArray) -> None:
    """Refuse symbols that do not follow each other, shape ``(S, K, M)``.

    Neighbours are equal but for noise, and all pairs of them equally so: where one pair is less
    alike than half of what another is, samples are missing that nobody told of.
    """
    if len(tones) < 3:  # one pair has no other to be compared with
        return
    power = np.einsum("skm,skm->s", tones, tones.conj()).real
    product = np.abs(np.einsum("skm,skm->s", tones[1:], tones[:-1].conj())) ** 2
    likeness = product / np.maximum(power[1:] * power[:-1], np.finfo(np.float32).tiny)
    if likeness.max() > _LEAST_TELLING_LIKENESS and likeness.min() < 0.5 * likeness.max():
        lost = int(np.argmin(likeness))
        msg = (
            f"samples are missing between symbols {lost} and {lost + 1} of the burst, and the "
            "radio did not say so"
        )
        raise CaptureRefusedError(msg)


def _averaged(tones: ComplexArray) -> ComplexArray:
    """Mean over symbols, brought to one phase, of shape ``(S, K, M)``; of shape ``(K, M)``.

    What is left of the carrier offset, and slow phase noise, turn all tones of a symbol alike.
    """
    mean = tones.mean(axis=0)
    if len(tones) == 1:
        return mean
    likeness = np.einsum("skm,km->s", tones, mean.conj())
    turn = likeness.conj() / np.maximum(np.abs(likeness), np.finfo(np.float32).tiny)
    return np.asarray(np.einsum("skm,s->km", tones, turn) / np.float32(len(tones)))


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
