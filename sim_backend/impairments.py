"""What real radios do wrong, one switch each, with its value and where the value comes from."""

from dataclasses import dataclass, field, fields
from typing import Literal

RetunePhase = Literal["kept", "quadrants", "random"]
MaskPoint = tuple[float, float]

# Analog Devices AD9361 data sheet: 0.59 degrees rms at 5.5 GHz, integrated from 100 Hz to
# 100 MHz. The shape is that of its fractional-N loop: flat up to the loop bandwidth, then
# falling by 20 dB a decade to the far floor.
_AD9361_MASK: tuple[MaskPoint, ...] = (
    (1e2, -98.8), (2e5, -98.8), (2e6, -118.8), (2e7, -138.8), (1e8, -150.0),
)  # fmt: skip
PHASE_NOISE_REFERENCE_HZ = 5.5e9


def _about(unit: str, what: str, source: str) -> dict[str, str]:
    return {"unit": unit, "what": what, "source": source}


@dataclass(frozen=True, slots=True, kw_only=True)
class Impairments:
    """Nuisances of simulated radios; the defaults are those of an ideal one.

    Every node draws its own values from these, from the scene's seed. The fields' metadata hold
    unit, meaning and source; `nuisance_table` lists them.
    """

    # Clock: one oscillator drives sampling clock and carrier.
    clock_offset_ppm: float = field(
        default=0.0,
        metadata=_about(
            "ppm",
            "frequency offset of a free-running clock, uniform within plus and minus",
            "ADALM-Pluto: 25 ppm crystal",
        ),
    )
    clock_drift_ppb_per_s: float = field(
        default=0.0,
        metadata=_about(
            "ppb/s",
            "linear drift of a free-running clock, standard deviation",
            "assumed: a crystal warming by 0.01 K/s at 0.5 ppm/K",
        ),
    )
    phase_noise_mask: tuple[MaskPoint, ...] = field(
        default=(),
        metadata=_about(
            "Hz, dBc/Hz",
            "single-sideband phase noise at a carrier of 5.5 GHz, scaled to the "
            "carrier in use by 20 dB a decade",
            "AD9361 data sheet: 0.59 degrees rms, 100 Hz to 100 MHz",
        ),
    )
    retune_phase: RetunePhase = field(
        default="kept",
        metadata=_about(
            "",
            "phase of the oscillator after a retune: kept, one of four quadrants, or any",
            "AD9361: any; mixers behind a divider by two or four: quadrants",
        ),
    )
    pps_jitter_ns: float = field(
        default=0.0,
        metadata=_about(
            "ns",
            "error of the time that a pulse per second sets, uniform within plus and minus, "
            "constant until it is set again",
            "USRP: up to 100 ns between power cycles if registered on the 10 MHz edge",
        ),
    )
    power_on_s: float = field(
        default=0.0,
        metadata=_about(
            "s",
            "age of the time count that nothing has set, uniform up to",
            "free-running counters start at power-on",
        ),
    )
    # Receiving front end.
    noise_figure_error_db: float = field(
        default=0.0,
        metadata=_about(
            "dB",
            "true noise figure off its nominal, standard deviation",
            "assumed: data sheets give typical values to 1 dB",
        ),
    )
    rx_gain_step_db: float = field(
        default=0.0,
        metadata=_about("dB", "steps of the receive gain", "AD9361: 1 dB"),
    )
    tx_gain_step_db: float = field(
        default=0.0,
        metadata=_about("dB", "steps of the transmit gain", "AD9361: 0.25 dB"),
    )
    rx_gain_error_db: float = field(
        default=0.0,
        metadata=_about(
            "dB",
            "true receive gain off its nominal, standard deviation",
            "uncalibrated receivers: about 1 dB",
        ),
    )
    adc_bits: int | None = field(
        default=None,
        metadata=_about("bit", "resolution of both converters", "AD9361: 12 bit"),
    )
    clipping: bool = field(
        default=False,
        metadata=_about(
            "", "samples beyond full scale are clipped, in I and in Q", "any converter"
        ),
    )
    iq_gain_imbalance_db: float = field(
        default=0.0,
        metadata=_about(
            "dB",
            "gain of Q over I, standard deviation, sending and receiving",
            "AD9361: images 50 dB down after its own correction",
        ),
    )
    iq_phase_imbalance_deg: float = field(
        default=0.0,
        metadata=_about(
            "degree",
            "error of the right angle between I and Q, standard deviation",
            "AD9361: images 50 dB down after its own correction",
        ),
    )
    dc_offset_dbfs: float | None = field(
        default=None,
        metadata=_about(
            "dBFS", "power of the constant that a receive channel adds", "AD9361: about -50 dBFS"
        ),
    )
    # Transmitting front end.
    tx_power_error_db: float = field(
        default=0.0,
        metadata=_about(
            "dB",
            "true power off its nominal, standard deviation",
            "uncalibrated transmitters: 1 to 2 dB",
        ),
    )
    carrier_leakage_dbfs: float | None = field(
        default=None,
        metadata=_about(
            "dBFS", "power of the leaking carrier when sending", "AD9361: about -50 dBc"
        ),
    )
    # Receiving array.
    element_gain_error_db: float = field(
        default=0.0,
        metadata=_about(
            "dB",
            "gain of each element off its nominal, standard deviation",
            "assumed: channels of one front end, after calibration",
        ),
    )
    element_phase_error_deg: float = field(
        default=0.0,
        metadata=_about(
            "degree",
            "phase of each element, standard deviation",
            "assumed: channels of one front end, after calibration",
        ),
    )
    element_delay_error_ps: float = field(
        default=0.0,
        metadata=_about(
            "ps",
            "delay of each element, standard deviation",
            "assumed: 2 degrees of the carrier at 5.8 GHz, after calibration",
        ),
    )
    # Commands.
    command_latency_s: float = field(
        default=0.0,
        metadata=_about(
            "s",
            "a timed command must reach the device this long before its time",
            "USRP over Ethernet: about 1 ms",
        ),
    )
    start_latency_s: float = field(
        default=0.0,
        metadata=_about(
            "s",
            "an untimed start happens this long after the call, uniform up to",
            "Pluto over USB: milliseconds",
        ),
    )
    timed: bool = field(
        default=True,
        metadata=_about(
            "",
            "bursts and blocks start at a tick, and blocks say when they began",
            "Pluto's stock firmware has no time stamps",
        ),
    )
    overflow_detection: bool = field(
        default=True,
        metadata=_about(
            "", "lost samples are noticed", "Pluto: silent unless a status bit is read"
        ),
    )
    shared_reference: bool = field(
        default=True,
        metadata=_about(
            "",
            "a 10 MHz reference and a pulse per second reach the radio",
            "USRPs on a clock distribution have them, Plutos do not",
        ),
    )


PRESETS: dict[str, Impairments] = {
    "ideal": Impairments(),
    # USRPs on a 10 MHz and PPS distribution, arrays and front ends calibrated once.
    "lab": Impairments(
        phase_noise_mask=_AD9361_MASK,
        retune_phase="random",
        pps_jitter_ns=10.0,
        clock_offset_ppm=2.5,  # of the built-in TCXO, if the reference is lost
        noise_figure_error_db=0.5,
        rx_gain_step_db=1.0,
        tx_gain_step_db=0.25,
        rx_gain_error_db=1.0,
        tx_power_error_db=1.0,
        adc_bits=12,
        clipping=True,
        iq_gain_imbalance_db=0.03,
        iq_phase_imbalance_deg=0.2,
        dc_offset_dbfs=-50.0,
        carrier_leakage_dbfs=-50.0,
        element_gain_error_db=0.3,
        element_phase_error_deg=3.0,
        element_delay_error_ps=1.0,
        command_latency_s=1e-3,
    ),
    # Free-running, no time stamps, nobody's clock but its own.
    "pluto": Impairments(
        clock_offset_ppm=25.0,
        clock_drift_ppb_per_s=5.0,
        phase_noise_mask=_AD9361_MASK,
        retune_phase="random",
        power_on_s=1.0,
        noise_figure_error_db=1.0,
        rx_gain_step_db=1.0,
        tx_gain_step_db=0.25,
        rx_gain_error_db=1.5,
        tx_power_error_db=2.0,
        adc_bits=12,
        clipping=True,
        iq_gain_imbalance_db=0.03,
        iq_phase_imbalance_deg=0.2,
        dc_offset_dbfs=-50.0,
        carrier_leakage_dbfs=-50.0,
        element_gain_error_db=0.3,
        element_phase_error_deg=3.0,
        element_delay_error_ps=1.0,
        start_latency_s=3e-3,
        timed=False,
        overflow_detection=False,
        shared_reference=False,
    ),
}


def nuisance_table() -> str:
    """A Markdown table of every nuisance: unit, meaning, source, and its value in each preset."""
    names = list(PRESETS)
    lines = [
        f"| Nuisance | Unit | {' | '.join(names)} | What | Source |",
        "|---|---|" + "---|" * len(names) + "---|---|",
    ]
    for nuisance in fields(Impairments):
        values = " | ".join(_shown(getattr(PRESETS[name], nuisance.name)) for name in names)
        note = nuisance.metadata
        lines.append(
            f"| `{nuisance.name}` | {note['unit']} | {values} | {note['what']} | {note['source']} |"
        )
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"{offset:g}: {level:g}" for offset, level in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
