"""Which board a software device says it is, and the devices that such a board shows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from sim_backend.iiod.attributes import Device
from sim_backend.iiod.board import Board
from sim_backend.iiod.converters import receive_device, transmit_device
from sim_backend.iiod.monitors import board_monitor, processor_monitor
from sim_backend.iiod.phy import control_device

Personality = Literal["pluto", "fmcomms2", "fmcomms5"]
PERSONALITIES: tuple[Personality, ...] = get_args(Personality)

# Receivers (and transmitters) of each chip.
CHANNELS: dict[Personality, tuple[int, ...]] = {
    "pluto": (1,),
    "fmcomms2": (2,),
    "fmcomms5": (2, 2),
}


@dataclass(frozen=True, slots=True)
class Identity:
    """What a context says about itself."""

    description: str
    about: dict[str, str]


def identity(personality: Personality, serial: str) -> Identity:
    """What the context of a board says about itself; that it is emulated, too."""
    about = {
        "hw_serial": serial,
        "fw_version": "v0.38-emulated",
        "local,kernel": "5.15.0-emulated",
        "isac_emulated": "1",
    }
    if personality == "pluto":
        about |= {
            "hw_model": "Analog Devices PlutoSDR Rev.B (Z7010-AD9363A)",
            "hw_model_variant": "0",
            "ad9361-phy,xo_correction": "40000000",
            "ad9361-phy,model": "ad9364",
        }
    else:
        about["hw_model"] = f"{personality} (software)"
    return Identity(f"Linux (none) 5.15.0-emulated isac-testbed {personality}", about)


def devices(personality: Personality, board: Board) -> list[Device]:
    """All devices of a board, numbered in their order."""
    return [make(f"iio:device{n}") for n, make in enumerate(_MAKERS[personality](board))]


def _pluto(board: Board) -> list[Callable[[str], Device]]:
    return [
        lambda i: control_device(board, board.chips[0], i, "ad9361-phy"),
        lambda i: processor_monitor(i, has_input=True),
        lambda i: transmit_device(board, i, "cf-ad9361-dds-core-lpc", 2, 1),
        lambda i: receive_device(board, i, "cf-ad9361-lpc", 2),
    ]


def _fmcomms2(board: Board) -> list[Callable[[str], Device]]:
    return [
        board_monitor,
        lambda i: control_device(board, board.chips[0], i, "ad9361-phy"),
        lambda i: processor_monitor(i, has_input=False),
        lambda i: transmit_device(board, i, "cf-ad9361-dds-core-lpc", 4, 2),
        lambda i: receive_device(board, i, "cf-ad9361-lpc", 4),
    ]


def _fmcomms5(board: Board) -> list[Callable[[str], Device]]:
    """Two chips whose samples come in the buffers of the first one's cores."""
    return [
        board_monitor,
        lambda i: control_device(board, board.chips[0], i, "ad9361-phy"),
        lambda i: control_device(board, board.chips[1], i, "ad9361-phy-B"),
        lambda i: processor_monitor(i, has_input=False),
        lambda i: transmit_device(board, i, "cf-ad9361-dds-core-lpc", 8, 2),
        lambda i: transmit_device(
            board, i, "cf-ad9361-dds-core-B", 4, 2, has_buffer=False, at_antenna=False
        ),
        lambda i: receive_device(board, i, "cf-ad9361-A", 8),
        lambda i: receive_device(board, i, "cf-ad9361-B", 4, has_buffer=False),
    ]


_MAKERS: dict[Personality, Callable[[Board], list[Callable[[str], Device]]]] = {
    "pluto": _pluto,
    "fmcomms2": _fmcomms2,
    "fmcomms5": _fmcomms5,
}
