"""Transmit channels and synthesizers of an AD936x's control device."""

from drivers.ad936x import CARRIER_RANGE_HZ, TX_ATTENUATION_RANGE_DB, TX_GAIN_STEP_DB
from sim_backend.iiod.attributes import (
    Attribute,
    Channel,
    by_name,
    constant,
    integers,
    number_within,
    one_of,
    stored,
    write_only,
)
from sim_backend.iiod.board import Board
from sim_backend.iiod.chip import Chip
from sim_backend.iiod.phy_shared import (
    bandwidth_attributes,
    rate_attributes,
    refuse,
    shared,
    switch,
)

_WIDEST_HZ = 40_000_000
# The transmit synthesizer goes as low as it can; the data sheet promises 70 MHz.
_LOWEST_TX_CARRIER_HZ = 46_875_001


def transmit_channels(board: Board, chip: Chip) -> list[Channel]:
    """The transmitters and the two auxiliary converters."""
    common = shared(
        [
            constant("rf_port_select_available", "A B"),
            *rate_attributes(board, chip),
            *bandwidth_attributes(_WIDEST_HZ),
        ],
        "out",
    )
    transmitters = [
        Channel(
            f"voltage{index}", True, by_name(*_transmitter_attributes(board, chip, index), *common)
        )
        for index in range(chip.num_channels)
    ]
    auxiliary = [
        Channel(
            f"voltage{index}",
            True,
            by_name(
                stored("raw", "306", integers(0, 1023)), constant("scale", "1.000000"), *common
            ),
        )
        for index in (2, 3)
    ]
    return [*transmitters, *auxiliary]


def synthesizers(board: Board, chip: Chip) -> list[Channel]:
    """The two local oscillators (LO)."""

    def set_receive(text: str) -> None:
        carrier_hz = float(int(number_within(text, *CARRIER_RANGE_HZ)))
        with board.receiver_change(chip, retunes=True):
            chip.rx_lo_hz = carrier_hz

    def set_transmit(text: str) -> None:
        carrier_hz = float(int(number_within(text, _LOWEST_TX_CARRIER_HZ, CARRIER_RANGE_HZ[1])))
        with board.transmitter_change(chip, retunes=True):
            chip.tx_lo_hz = carrier_hz

    def turn_receive(down: bool) -> None:
        with board.receiver_change(chip, retunes=False):
            chip.rx_lo_down = down

    def turn_transmit(down: bool) -> None:
        with board.transmitter_change(chip, retunes=False):
            chip.tx_lo_down = down

    return [
        _synthesizer(
            "altvoltage0", "RX_LO", CARRIER_RANGE_HZ[0],
            Attribute("frequency", lambda: str(int(chip.rx_lo_hz)), set_receive),
            switch("powerdown", lambda: chip.rx_lo_down, turn_receive),
        ),
        _synthesizer(
            "altvoltage1", "TX_LO", _LOWEST_TX_CARRIER_HZ,
            Attribute("frequency", lambda: str(int(chip.tx_lo_hz)), set_transmit),
            switch("powerdown", lambda: chip.tx_lo_down, turn_transmit),
        ),
    ]  # fmt: skip


def _synthesizer(
    channel_id: str, name: str, lowest_hz: float, frequency: Attribute, powerdown: Attribute
) -> Channel:
    return Channel(
        channel_id,
        True,
        by_name(
            stored("external", "0", integers(0, 0)),
            Attribute("fastlock_load", lambda: "0", refuse),
            write_only("fastlock_recall", refuse),
            Attribute("fastlock_save", lambda: "0", refuse),
            Attribute("fastlock_store", lambda: "0", refuse),
            frequency,
            constant("frequency_available", f"[{lowest_hz:.0f} 1 {CARRIER_RANGE_HZ[1]:.0f}]"),
            powerdown,
        ),
        name,
    )


def _transmitter_attributes(board: Board, chip: Chip, index: int) -> list[Attribute]:
    lowest_db, highest_db = TX_ATTENUATION_RANGE_DB

    def set_gain(text: str) -> None:
        # In whole steps; what is left is cut off the attenuation.
        steps = int(-number_within(text, lowest_db, highest_db) / TX_GAIN_STEP_DB)
        with board.transmitter_change(chip, retunes=False):
            chip.attenuation_db[index] = steps * TX_GAIN_STEP_DB

    available = f"[{lowest_db:.6f} {TX_GAIN_STEP_DB:.6f} {highest_db:.6f}]"
    return [
        Attribute("hardwaregain", lambda: f"{-chip.attenuation_db[index]:.6f} dB", set_gain),
        constant("hardwaregain_available", available),
        stored("rf_port_select", "A", one_of("A", "B")),
        constant("rssi", "0.00 dB"),
    ]
