"""The control device of an AD936x: attributes as its Linux driver has them.

Not emulated: fast-lock profiles and external oscillators (refused), the device tree's settings
(``adi,...``, left out), and what bandwidths, calibrations and the oscillator's correction would
do (kept, without effect).
"""

import errno

from sim_backend.iiod import rates
from sim_backend.iiod.attributes import (
    Attribute,
    Device,
    RefusedError,
    by_name,
    constant,
    integers,
    one_of,
    stored,
    write_only,
)
from sim_backend.iiod.board import Board
from sim_backend.iiod.chip import Chip
from sim_backend.iiod.fir import parsed_filters
from sim_backend.iiod.phy_receive import receive_channels
from sim_backend.iiod.phy_shared import active_fir, refuse
from sim_backend.iiod.phy_transmit import synthesizers, transmit_channels
from sim_backend.iiod.registers import Register, register_access

_STATES = ("sleep", "wait", "alert", "fdd", "pinctrl", "pinctrl_fdd_indep")
_CALIBRATIONS = ("auto", "manual", "manual_tx_quad", "tx_quad", "rf_dc_offs", "rssi_gain_step")
_PRODUCT_ID_ADDRESS, _PRODUCT_ID = 0x37, 0x0A
_XO_HZ, _XO_SPAN_HZ = 40_000_000, 8_000


def control_device(board: Board, chip: Chip, device_id: str, name: str) -> Device:
    """One chip's device."""
    return Device(
        device_id,
        name,
        (
            *synthesizers(board, chip),
            *receive_channels(board, chip),
            *transmit_channels(board, chip),
        ),
        by_name(*_state_attributes(board, chip), *_clock_attributes(board, chip)),
        debug_attributes=by_name(*_debug_attributes(chip)),
    )


def _state_attributes(board: Board, chip: Chip) -> list[Attribute]:
    def set_state(text: str) -> None:
        state = one_of(*_STATES)(text)
        with (
            board.receiver_change(chip, retunes=False),
            board.transmitter_change(chip, retunes=False),
        ):
            chip.state = state

    return [
        stored("calib_mode", "auto", one_of(*_CALIBRATIONS)),
        constant("calib_mode_available", " ".join(_CALIBRATIONS)),
        Attribute("ensm_mode", lambda: chip.state, set_state),
        constant("ensm_mode_available", " ".join(_STATES)),
        write_only("gain_table_config", refuse),
        write_only("multichip_sync", lambda _: None),
        constant(
            "rssi_gain_step_error",
            f"lna_error: {_zeros(4)}\nmixer_error: {_zeros(16)}\n"
            f"gain_step_calib_reg_val: {_zeros(5)}",
        ),
    ]


def _clock_attributes(board: Board, chip: Chip) -> list[Attribute]:
    def filters() -> str:
        receive, transmit = chip.loaded_firs
        shown = [f"{len(f.taps)},{f.ratio if f.taps else 0}" for f in (receive, transmit)]
        return f"FIR Rx: {shown[0]} Tx: {shown[1]}"

    def load_filters(text: str) -> None:
        loaded = parsed_filters(text)
        with board.rate_change():
            chip.loaded_firs = loaded

    def receive_rates() -> str:
        path = rates.receive_path(chip.rate_hz, active_fir(chip))
        names = ("R2", "R1", "RF")
        return _shown_rates(path, "ADC", names, "RXSAMP")

    def transmit_rates() -> str:
        path = rates.transmit_path(chip.rate_hz, active_fir(chip))
        return _shown_rates(path, "DAC", ("T2", "T1", "TF"), "TXSAMP")

    span = f"[{_XO_HZ - _XO_SPAN_HZ} 1 {_XO_HZ + _XO_SPAN_HZ}]"
    return [
        write_only("dcxo_tune_coarse", refuse),
        constant("dcxo_tune_coarse_available", "[0 0 0]"),
        write_only("dcxo_tune_fine", refuse),
        constant("dcxo_tune_fine_available", "[0 0 0]"),
        Attribute("filter_fir_config", filters, load_filters),
        Attribute("rx_path_rates", receive_rates),
        stored("trx_rate_governor", "nominal", one_of("nominal", "highest_osr")),
        constant("trx_rate_governor_available", "nominal highest_osr"),
        Attribute("tx_path_rates", transmit_rates),
        stored("xo_correction", str(_XO_HZ), integers(_XO_HZ - _XO_SPAN_HZ, _XO_HZ + _XO_SPAN_HZ)),
        constant("xo_correction_available", span),
    ]


def _debug_attributes(chip: Chip) -> list[Attribute]:
    def gain_info(index: int) -> str:
        if index >= chip.num_channels:
            raise RefusedError(errno.EINVAL)
        return f"{chip.rx_gain_db[index]:.0f} {chip.rx_gain_db[index] + 5:.0f} {_zeros(6)}"

    return [
        Attribute("digital_tune", lambda: "0", lambda _: None),
        stored("calibration_switch_control", "0", integers(0, 3)),
        Attribute("multichip_sync", lambda: "0", lambda _: None),
        Attribute("gaininfo_rx1", lambda: gain_info(0)),
        Attribute("gaininfo_rx2", lambda: gain_info(1)),
        constant("bist_timing_analysis", "0"),
        stored("gpo_set", "0", integers(0, 15)),
        *(stored(name, "0", integers(0, 0)) for name in ("bist_tone", "bist_prbs", "loopback")),
        Attribute("initialize", lambda: "0", lambda _: None),
        register_access({_PRODUCT_ID_ADDRESS: Register(lambda: _PRODUCT_ID)}),
    ]


def _zeros(count: int) -> str:
    return " ".join("0" * count)


def _shown_rates(
    path: rates.Path, converter: str, stages: tuple[str, str, str], samples: str
) -> str:
    named = zip((converter, *stages), (path.converter, *path.stages), strict=True)
    shown = [f"{name}:{rate}" for name, rate in named]
    return " ".join([f"BBPLL:{rates.pll_hz(path)}", *shown, f"{samples}:{path.sample}"])
