"""Front ends of simulated radios: what lies between an antenna and the samples."""

from dataclasses import dataclass

import numpy as np

from drivers.geometry import ComplexArray, FloatArray
from drivers.node import Node
from sim_backend.impairments import Impairments
from sim_backend.scene import random_stream


@dataclass(frozen=True)
class Hardware:
    """One node's own errors, drawn once.

    Attributes
    ----------
    clock_offset, clock_drift_per_s
        Fractional frequency offset of its free-running clock, and its change a second.
    noise_figure_db
        True noise figure.
    rx_gain, tx_gain
        True over nominal, amplitude.
    element_response, element_delay_s
        Of each element, shapes ``(M,)``.
    rx_image, tx_image
        Amplitude of the image that IQ imbalance makes; see `iq_imbalance`.
    rx_dc, tx_leakage
        Added constants at full scale 1; ``rx_dc`` has shape ``(M,)``.
    """

    clock_offset: float
    clock_drift_per_s: float
    noise_figure_db: float
    rx_gain: float
    tx_gain: float
    element_response: ComplexArray
    element_delay_s: FloatArray
    rx_image: tuple[complex, complex]
    tx_image: tuple[complex, complex]
    rx_dc: ComplexArray
    tx_leakage: complex


def draw_hardware(
    node: Node,
    impairments: Impairments,
    seed: int,
    unit: int,
    elements: slice = slice(None),
) -> Hardware:
    """Errors of one node; each nuisance has its own random numbers, whatever else is on.

    Parameters
    ----------
    unit
        Which piece of hardware the node has: its own number, unless that was replaced.
    elements
        Those of the array that the hardware has; their errors are the same in any part of it.
    """
    size = node.array.num_elements

    def rng(nuisance: int) -> np.random.Generator:
        return random_stream(seed, "hardware", unit, nuisance)

    gain_db = rng(4).standard_normal(size) * impairments.element_gain_error_db
    phase_deg = rng(5).standard_normal(size) * impairments.element_phase_error_deg
    return Hardware(
        clock_offset=rng(0).uniform(-1.0, 1.0) * impairments.clock_offset_ppm * 1e-6,
        clock_drift_per_s=rng(1).standard_normal() * impairments.clock_drift_ppb_per_s * 1e-9,
        noise_figure_db=_noise_figure_db(
            node.noise_figure_db, rng(2).standard_normal() * impairments.noise_figure_error_db
        ),
        rx_gain=_amplitude(rng(3).standard_normal() * impairments.rx_gain_error_db),
        tx_gain=_amplitude(rng(6).standard_normal() * impairments.tx_power_error_db),
        element_response=np.exp(gain_db * np.log(10.0) / 20.0 + 1j * np.deg2rad(phase_deg))[
            elements
        ],
        element_delay_s=rng(7).standard_normal(size)[elements]
        * (impairments.element_delay_error_ps * 1e-12),
        rx_image=_drawn_imbalance(rng(8), impairments),
        tx_image=_drawn_imbalance(rng(9), impairments),
        rx_dc=_constant(
            impairments.dc_offset_dbfs, rng(10).uniform(0.0, 2.0 * np.pi, size)[elements]
        ),
        tx_leakage=complex(
            _constant(impairments.carrier_leakage_dbfs, rng(11).uniform(0.0, 2.0 * np.pi, 1))[0]
        ),
    )


def _noise_figure_db(nominal_db: float, error_db: float) -> float:
    """True noise figure; no receiver is quieter than its own antenna, unless it is meant to be."""
    return max(nominal_db + error_db, min(nominal_db, 0.0))


def _amplitude(db: float) -> float:
    return float(10.0 ** (db / 20.0))


def _constant(power_dbfs: float | None, phase_rad: FloatArray) -> ComplexArray:
    amplitude = 0.0 if power_dbfs is None else _amplitude(power_dbfs)
    return amplitude * np.exp(1j * phase_rad)


def _drawn_imbalance(rng: np.random.Generator, impairments: Impairments) -> tuple[complex, complex]:
    gain, phase = rng.standard_normal(2)
    return iq_imbalance(
        gain * impairments.iq_gain_imbalance_db,
        float(np.deg2rad(phase * impairments.iq_phase_imbalance_deg)),
    )


def iq_imbalance(gain_db: float, phase_rad: float) -> tuple[complex, complex]:
    """Weights of a signal and of its conjugate, ``y = a x + b conj(x)``.

    Q has `gain_db` more gain than I and leads the right angle by `phase_rad`: I stays, Q becomes
    ``g (Q cos phi + I sin phi)``.
    """
    skewed = _amplitude(gain_db) * np.exp(1j * phase_rad)
    return complex((1.0 + skewed) / 2.0), complex((1.0 - np.conj(skewed)) / 2.0)


def quantized(samples: ComplexArray, bits: int | None, *, clipping: bool) -> ComplexArray:
    """Samples as a converter gives them: I and Q rounded to steps of ``2^(1 - bits)``, clipped."""
    parts = np.ascontiguousarray(samples, dtype=np.complex64).view(np.float32)
    if bits is not None:
        parts = np.rint(parts * np.float32(2 ** (bits - 1))) / np.float32(2 ** (bits - 1))
    if clipping:
        highest = 1.0 - (0.0 if bits is None else 2.0 ** (1 - bits))
        parts = np.clip(parts, np.float32(-1.0), np.float32(highest))
    return np.ascontiguousarray(parts).view(np.complex64)


def digitized(
    at_antenna: ComplexArray, full_scale_dbm: float, hardware: Hardware, impairments: Impairments
) -> ComplexArray:
    """Samples that a receiver gives for what its antennas hear.

    Parameters
    ----------
    at_antenna
        In square roots of milliwatts, noise included, shape ``(N, M)``.
    full_scale_dbm
        Nominal power at the antenna port that reaches magnitude 1.
    """
    received = at_antenna * np.complex64(hardware.rx_gain * _amplitude(-full_scale_dbm))
    wanted, image = hardware.rx_image
    if image != 0.0:
        received = np.complex64(wanted) * received + np.complex64(image) * received.conj()
    if impairments.dc_offset_dbfs is not None:
        received = received + hardware.rx_dc.astype(np.complex64)
    return quantized(received, impairments.adc_bits, clipping=impairments.clipping)


def radiated(
    samples: ComplexArray, full_scale_dbm: float, hardware: Hardware, impairments: Impairments
) -> ComplexArray:
    """What a transmitter's port gives for samples, in square roots of milliwatts, complex64."""
    sent = quantized(samples, impairments.adc_bits, clipping=True).astype(np.complex128)
    wanted, image = hardware.tx_image
    sent = wanted * sent + image * sent.conj() + hardware.tx_leakage
    sent *= hardware.tx_gain * _amplitude(full_scale_dbm)
    return sent.astype(np.complex64)
