"""Receive channels of an AD936x's control device."""

import errno

from drivers.ad936x import MAX_BANDWIDTH_HZ, rx_gain_range_db
from sim_backend.iiod.attributes import (
    Attribute,
    Channel,
    RefusedError,
    by_name,
    constant,
    integers,
    number,
    one_of,
    stored,
)
from sim_backend.iiod.board import Board
from sim_backend.iiod.chip import Chip
from sim_backend.iiod.phy_shared import (
    bandwidth_attributes,
    filter_switch,
    rate_attributes,
    shared,
)

_GAIN_MODES = ("manual", "fast_attack", "slow_attack", "hybrid")
_PORTS = (
    "A_BALANCED", "B_BALANCED", "C_BALANCED", "A_N", "A_P", "B_N", "B_P", "C_N", "C_P",
    "TX_MONITOR1", "TX_MONITOR2", "TX_MONITOR1_2",
)  # fmt: skip
_TRACKING = ("bb_dc_offset_tracking_en", "quadrature_tracking_en", "rf_dc_offset_tracking_en")
_LARGEST_RSSI_DB = 127.75


def receive_channels(board: Board, chip: Chip) -> list[Channel]:
    """The receivers, the auxiliary converter, the temperature, and the switch of all filters."""
    common = shared(
        [
            *(stored(name, "1", integers(0, 1)) for name in _TRACKING),
            constant("gain_control_mode_available", " ".join(_GAIN_MODES)),
            constant("rf_port_select_available", " ".join(_PORTS)),
            *rate_attributes(board, chip),
            *bandwidth_attributes(int(MAX_BANDWIDTH_HZ)),
        ],
        "in",
    )
    receivers = [
        Channel(f"voltage{index}", False, by_name(*_gain_attributes(board, chip, index), *common))
        for index in range(chip.num_channels)
    ]
    auxiliary = (constant("offset", "57"), constant("raw", "650"), constant("scale", "0.305250"))
    return [
        *receivers,
        Channel("voltage2", False, by_name(*auxiliary, *common)),
        Channel("temp0", False, by_name(constant("input", "36000"))),
        Channel("out", False, by_name(filter_switch(board, chip, "voltage_filter_fir_en"))),
    ]


def _gain_attributes(board: Board, chip: Chip, index: int) -> list[Attribute]:
    def look() -> float:
        with board.receiver.lock:
            return chip.look(board.now_tick())[index]

    def gain() -> str:
        if chip.gain_mode[index] != "manual":
            look()
        return f"{chip.rx_gain_db[index]:.6f} dB"

    def set_gain(text: str) -> None:
        gain_db = float(int(number(text)))  # whole decibels; the rest is cut off
        low, high = rx_gain_range_db(chip.rx_lo_hz)
        if chip.gain_mode[index] != "manual":
            raise RefusedError(errno.EOPNOTSUPP)
        if not low <= gain_db <= high:
            raise RefusedError(errno.EINVAL)
        with board.receiver_change(chip, retunes=False):
            chip.rx_gain_db[index] = gain_db

    def set_mode(text: str) -> None:
        mode = one_of(*_GAIN_MODES)(text)
        with board.receiver_change(chip, retunes=False):
            chip.gain_mode[index] = mode

    def gains() -> str:
        low, high = rx_gain_range_db(chip.rx_lo_hz)
        return f"[{low:.0f} 1 {high:.0f}]"

    def strength() -> str:
        below_db = min(max(-look(), 0.0), _LARGEST_RSSI_DB)
        return f"{round(below_db * 4.0) / 4.0:.2f} dB"

    return [
        Attribute("gain_control_mode", lambda: chip.gain_mode[index], set_mode),
        Attribute("hardwaregain", gain, set_gain),
        Attribute("hardwaregain_available", gains),
        stored("rf_port_select", "A_BALANCED", one_of(*_PORTS)),
        Attribute("rssi", strength),
    ]
