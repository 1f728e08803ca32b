"""Which daughterboard each channel of a device is on."""

from collections.abc import Callable
from typing import Any


def channel_slots(usrp: Any, subdev_spec: Callable[[int], Any]) -> list[tuple[int, str]]:
    """Board and slot of each channel; the specification ``A:0 A:1`` names two of slot A.

    Parameters
    ----------
    subdev_spec
        The device's, for receiving or for sending.
    """
    return [
        (board, chain.partition(":")[0])
        for board in range(usrp.get_num_mboards())
        for chain in subdev_spec(board).to_string().split()
    ]


def channels_to_send_on(usrp: Any, rx_channels: tuple[int, ...], tx_channel: int) -> list[int]:
    """Channels of a transmit streamer: the one that sends, and those that must be there with it.

    An AD9361 board streams as many channels up as down, or refuses; so where a daughterboard
    receives on several channels, all that it has carry the stream, and all but one silence.
    """
    rx_slots = channel_slots(usrp, usrp.get_rx_subdev_spec)
    tx_slots = channel_slots(usrp, usrp.get_tx_subdev_spec)
    slot = tx_slots[tx_channel]
    if sum(rx_slots[channel] == slot for channel in rx_channels) < 2:
        return [tx_channel]
    return [channel for channel, other in enumerate(tx_slots) if other == slot]
