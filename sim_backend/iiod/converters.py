"""The data devices: converter cores with their buffers, status bits and tone generators."""

import errno

from sim_backend.iiod.attributes import (
    Attribute,
    Channel,
    Device,
    RefusedError,
    by_name,
    constant,
    number,
    number_within,
    stored,
)
from sim_backend.iiod.board import Board
from sim_backend.iiod.phy_shared import refuse, shared, switch
from sim_backend.iiod.registers import RX_OVERFLOW_BIT, TX_UNDERFLOW_BIT, status_access
from sim_backend.iiod.tones import PERIOD, Tone, Tones

_RX_FORMAT, _TX_FORMAT = "le:S12/16>>0", "le:S16/16>>0"


def receive_device(
    board: Board, device_id: str, name: str, num_columns: int, *, has_buffer: bool = True
) -> Device:
    """What clients receive from."""
    receiver = board.receiver
    common = shared([constant("samples_pps", "0"), *_rate_attributes(board)], "in")
    channels = tuple(
        Channel(
            f"voltage{index}",
            False,
            by_name(
                stored("calibbias", "0", _zero), stored("calibphase", "0.000000", _zero),
                stored("calibscale", "1.000000", _one), *common,
            ),
            scan_index=index if has_buffer else None,
            scan_format=_RX_FORMAT,
        )
        for index in range(num_columns)
    )  # fmt: skip
    return Device(
        device_id,
        name,
        channels,
        buffer_attributes=_buffer_attributes(num_columns) if has_buffer else None,
        debug_attributes=by_name(
            constant("pseudorandom_err_check", "CH0 : PN9 : OK : OK"),
            status_access(RX_OVERFLOW_BIT, lambda: receiver.overflowed, receiver.clear_overflow),
        ),
    )


def transmit_device(
    board: Board, device_id: str, name: str, num_columns: int, num_transmitters: int,
    *, has_buffer: bool = True, at_antenna: bool = True,
) -> Device:  # fmt: skip
    """What clients send with, and the tone generators.

    Parameters
    ----------
    num_columns, num_transmitters
        Channels of the buffer, two for each transmitter it feeds; transmitters with generators.
    at_antenna
        Whether its first transmitter is the one with the antenna.
    """
    transmitter = board.transmitter
    common = shared(_rate_attributes(board), "out")
    data = [
        Channel(
            f"voltage{index}",
            True,
            by_name(
                stored("calibphase", "0.000000", _zero),
                stored("calibscale", "1.000000", _one), *common,
            ),
            scan_index=index if has_buffer else None,
            scan_format=_TX_FORMAT,
        )
        for index in range(num_columns)
    ]  # fmt: skip
    generators = [
        channel
        for index in range(num_transmitters)
        for channel in _generators(
            board, index, board.tones if at_antenna and index == 0 else Tones()
        )
    ]
    return Device(
        device_id,
        name,
        (*data, *generators),
        buffer_attributes=_buffer_attributes(num_columns) if has_buffer else None,
        debug_attributes=by_name(
            status_access(
                TX_UNDERFLOW_BIT, lambda: transmitter.underflowed, transmitter.clear_underflow
            )
        ),
    )


def _zero(text: str) -> str:
    return f"{number_within(text, 0.0, 0.0):.6f}"


def _one(text: str) -> str:
    return f"{number_within(text, 1.0, 1.0):.6f}"


def _rate_attributes(board: Board) -> list[Attribute]:
    """The rate, which the control device sets.

    The programmable logic's own decimation and interpolation by eight are not emulated.
    """

    def same(text: str) -> None:
        if number(text) != board.rate_hz:
            raise RefusedError(errno.EINVAL)

    def shown() -> str:
        return str(int(board.rate_hz))

    return [
        Attribute("sampling_frequency", shown, same),
        Attribute("sampling_frequency_available", shown),
    ]


def _buffer_attributes(num_columns: int) -> dict[str, Attribute]:
    return by_name(
        constant("data_available", "0"),
        constant("length_align_bytes", str(max(8, 2 * num_columns))),
        Attribute("watermark", lambda: "2048", refuse),
    )


def _generators(board: Board, index: int, tones: Tones) -> list[Channel]:
    """Four channels of one transmitter: in-phase one and two, quadrature one and two."""
    named = [
        *((f"I_F{n}", tone) for n, tone in enumerate(tones.in_phase, start=1)),
        *((f"Q_F{n}", tone) for n, tone in enumerate(tones.quadrature, start=1)),
    ]
    return [
        Channel(
            f"altvoltage{4 * index + place}",
            True,
            by_name(*_generator_attributes(board, tone)),
            f"TX{index + 1}_{name}",
        )
        for place, (name, tone) in enumerate(named)
    ]


def _generator_attributes(board: Board, tone: Tone) -> list[Attribute]:
    def write(name: str, value: float) -> None:
        with board.transmitter_change(board.chips[0], retunes=False):
            setattr(tone, name, value)

    def set_frequency(text: str) -> None:
        frequency_hz = number_within(text, 0.0, board.rate_hz / 2.0)
        write("step", round(frequency_hz / board.rate_hz * PERIOD))

    def set_phase(text: str) -> None:
        write("phase_mdeg", int(number_within(text, 0.0, 360_000.0)))

    def set_scale(text: str) -> None:
        write("scale", number_within(text, 0.0, 1.0))

    return [
        Attribute("frequency", lambda: f"{tone.step * board.rate_hz / PERIOD:.0f}", set_frequency),
        Attribute("phase", lambda: str(tone.phase_mdeg), set_phase),
        switch("raw", lambda: tone.is_on, lambda on: write("is_on", on)),
        Attribute(
            "sampling_frequency",
            lambda: str(int(board.rate_hz)),
            refuse,
            "out_altvoltage_sampling_frequency",
        ),
        Attribute("scale", lambda: f"{tone.scale:.6f}", set_scale),
    ]
