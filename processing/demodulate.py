"""From IQ samples of a sounding burst to a capture of its pilots."""

from dataclasses import replace

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from drivers.burst import SoundingBurst
from drivers.capture import Capture, CaptureQuality, CaptureRefusedError, DemodulationReport
from drivers.geometry import ComplexArray, FloatArray
from drivers.radio import IqBlock
from drivers.sounding import Sounding
from drivers.waveform import pilot_symbols
from processing.synchronize import Synchronization, symbols_at, synchronize

# Largest carrier offset between two radios: a pair of 25 ppm crystals, and some more.
MAX_CLOCK_OFFSET_PPM = 60.0
# Neighbouring symbols are told apart above this coherence; below it noise hides a gap, and what it
# does. Over K M >= 600 values, noise moves a coherence of 0.3 by less than 0.1.
_LEAST_TELLING_LIKENESS = 0.3
# Windows begin this share of the prefix early, so that a burst that comes early by a timing error
# is still inside; the shift is taken back in the pilots' phases. Prefixes are twice as long as the
# longest delay: where delays count from the strongest path, which may be the last one, all are
# within half a prefix of it.
_ADVANCE_SHARE = {"timed": 0.25, "found": 0.5}
# The middle of all delays.
_MIDDLE_SHARE = {"timed": 0.25, "found": 0.0}


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
    found: DemodulationReport | None = None
    try:
        pilots, found = demodulate(block, sounding)
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
        demodulation=found,
    )


def _all_locked(*locks: bool | None) -> bool | None:
    """False if any lock is known to be lost, ``None`` if nothing is known of any."""
    known = [lock for lock in locks if lock is not None]
    return all(known) if known else None


def demodulate(block: IqBlock, sounding: Sounding) -> tuple[ComplexArray, DemodulationReport]:
    """Received pilots per unit transmitted tone amplitude, and how they were found.

    Pilots have shape ``(K, M)``, complex64.

    ``Y`` of eq. (1), averaged over the burst's symbols. Where block and burst have a common time,
    delays count from the start of transmission; where not, the burst is searched for, and delays
    count from its strongest path. The empty tone is filled in from its four neighbours (cubic,
    exact to (2 pi (delay - middle) spacing)^4 / 6, where the middle of all delays is a quarter of
    the prefix, or the strongest path; as noisy as any tone), so that the grid has no gap.

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
    how = "timed" if has_common_time(block, sounding) else "found"
    advance = int(_ADVANCE_SHARE[how] * burst.prefix_length)
    start: float
    found: Synchronization | None = None
    if how == "timed":
        start, symbols = _timed_symbols(block, sounding, advance)
    else:
        found = _found(block, burst)
        start, symbols = found.start_sample, symbols_at(block.samples, burst, found, advance)
    spectrum = scipy.fft.fft(symbols, axis=1) / np.float32(burst.symbol_length)
    each = spectrum[:, burst.tone_bins]
    coherence = _coherence(each)
    _check_continuity(coherence**2)
    each = _in_phase(each)
    tones = each.mean(axis=0)
    unheard = _unheard_tones(burst, found)
    report = DemodulationReport(
        carrier_offset_hz=None if found is None else found.offset_hz,
        clock_offset_ppm=(
            None if found is None else found.offset_hz / burst.local_oscillator_hz * 1e6
        ),
        start_sample=start,
        snr=_snr(np.delete(each, unheard, axis=1)),
        symbol_coherence=float(coherence.min()) if len(coherence) else None,
    )
    offset = np.arange(burst.grid.num_subcarriers) - burst.null_index
    back = np.exp(2j * np.pi * offset * (advance / burst.symbol_length))
    # Amplitudes are square roots of power: 20 dB are a factor of ten.
    scale = 10.0 ** ((block.full_scale_dbm - sounding.tx_full_scale_dbm) / 20.0)
    received = tones * (scale / burst.tone_amplitude * back).astype(np.complex64)[:, None]
    middle = _MIDDLE_SHARE[how] * burst.prefix_length
    return _filled(received, burst, middle, unheard), report


def has_common_time(block: IqBlock, sounding: Sounding) -> bool:
    """Whether transmitter and receiver count the same time, so that delays are absolute."""
    return block.first_sample_tick is not None and sounding.start_tick is not None


def _timed_symbols(block: IqBlock, sounding: Sounding, advance: int) -> tuple[int, ComplexArray]:
    """First sample of the burst, and the symbols at their known place, shape ``(S, N, M)``."""
    burst = sounding.burst
    if block.first_sample_tick is None or sounding.start_tick is None:
        msg = "no common time"
        raise ValueError(msg)
    start = sounding.start_tick - block.first_sample_tick
    first = start + burst.first_symbol_sample - advance
    last = first + burst.num_symbols * burst.symbol_length
    if first < 0 or last > len(block.samples):
        msg = (
            f"the block of {len(block.samples)} samples from tick {block.first_sample_tick} does "
            f"not hold the burst that was sent at tick {sounding.start_tick}"
        )
        raise CaptureRefusedError(msg)
    shape = burst.num_symbols, burst.symbol_length, -1
    return start, block.samples[first:last].reshape(shape)


def _found(block: IqBlock, burst: SoundingBurst) -> Synchronization:
    """Where the burst is, and on which clock, where nobody knows."""
    if burst.num_symbols < 2:
        msg = (
            "without common time a burst needs two pilot symbols or more, so that its carrier "
            "offset shows; set waveform.num_symbols"
        )
        raise CaptureRefusedError(msg)
    max_offset_hz = MAX_CLOCK_OFFSET_PPM * 1e-6 * burst.local_oscillator_hz
    return synchronize(block.samples, burst, max_offset_hz)


def _coherence(tones: ComplexArray) -> FloatArray:
    """Of each symbol with the next, 0 to 1, shape ``(S - 1,)``; tones of shape ``(S, K, M)``."""
    power = np.einsum("skm,skm->s", tones, tones.conj()).real
    product = np.abs(np.einsum("skm,skm->s", tones[1:], tones[:-1].conj()))
    both = np.sqrt(np.maximum(power[1:] * power[:-1], np.finfo(np.float32).tiny))
    return np.minimum(product / both, 1.0)


def _check_continuity(likeness: FloatArray) -> None:
    """Refuse symbols that do not follow each other, by how alike neighbours are.

    Neighbours are equal but for noise, and all pairs of them equally so: where one pair is less
    alike than half of what another is, samples are missing that nobody told of.
    """
    if len(likeness) < 2:  # one pair has no other to be compared with
        return
    if likeness.max() > _LEAST_TELLING_LIKENESS and likeness.min() < 0.5 * likeness.max():
        lost = int(np.argmin(likeness))
        msg = (
            f"samples are missing between symbols {lost} and {lost + 1} of the burst, and the "
            "radio did not say so"
        )
        raise CaptureRefusedError(msg)


def _in_phase(tones: ComplexArray) -> ComplexArray:
    """Symbols brought to one phase, shape ``(S, K, M)``.

    What is left of the carrier offset, and slow phase noise, turn all tones of a symbol alike.
    """
    if len(tones) == 1:
        return tones
    likeness = np.einsum("skm,km->s", tones, tones.mean(axis=0).conj())
    turn = likeness.conj() / np.maximum(np.abs(likeness), np.finfo(np.float32).tiny)
    return tones * turn[:, None, None]


def _snr(tones: ComplexArray) -> float | None:
    """Signal over noise of one tone in one symbol, by what symbols, shape ``(S, K, M)``, share."""
    num_symbols = len(tones)
    if num_symbols < 2:
        return None
    mean = tones.mean(axis=0)
    # The mean took one of S degrees of freedom, and holds a share of the noise itself.
    noise = float(np.mean(np.abs(tones - mean) ** 2)) * num_symbols / (num_symbols - 1)
    signal = float(np.mean(np.abs(mean) ** 2)) - noise / num_symbols
    return max(signal, 0.0) / noise if noise > 0.0 else None


def _unheard_tones(burst: SoundingBurst, found: Synchronization | None) -> list[int]:
    """The empty tone, and the one that a receiver's direct current falls on.

    Front ends leave some of it, about 50 dB under full scale: on the empty tone if carriers are
    alike. Where they are not, more than everything else in the noise of a link may fall on one
    tone, in all captures alike. A burst's repeated symbols pass it to no other.
    """
    if found is None:
        return [burst.null_index]
    own = burst.null_index - round(found.offset_hz / burst.grid.subcarrier_spacing_hz)
    within = 0 <= own < burst.grid.num_subcarriers
    return sorted({burst.null_index, own}) if within else [burst.null_index]


def _filled(
    received: ComplexArray, burst: SoundingBurst, middle: float, unheard: list[int]
) -> ComplexArray:
    """The pilots with some tones interpolated between their neighbours' channels."""
    pilots, heard = pilot_symbols(burst.grid), np.ones(len(received), dtype=bool)
    heard[unheard] = False
    tones = np.flatnonzero(heard)
    for tone in unheard:
        above = int(np.searchsorted(tones, tone))
        near = tones[max(above - 2, 0) : above + 2]
        # About the middle delay (in samples), where the channel turns least from tone to tone.
        turn = np.exp(2j * np.pi * middle / burst.symbol_length * (near - tone))
        weights = (_lagrange(near - tone) * turn).astype(np.complex64)
        received[tone] = pilots[tone] * (weights @ (received[near] * pilots[near].conj()[:, None]))
    return received


def _lagrange(at: NDArray[np.intp]) -> FloatArray:
    """Weights of values there for the polynomial through them at zero."""
    others = [np.delete(at, i) for i in range(len(at))]
    return np.array([np.prod(other / (other - x)) for x, other in zip(at, others, strict=True)])
