"""Boards found, claimed and described."""

from typing import Any

from drivers.radio_errors import RadioError, RadioNotFoundError
from drivers.usrp.address import address_of, board_addresses
from drivers.usrp.board import Board
from drivers.usrp.capabilities import capabilities_of
from drivers.usrp.library import uhd_version
from drivers.usrp.messages import Opened
from drivers.usrp.options import UsrpOptions


def open_board(uhd: Any, address: str, options: UsrpOptions) -> Board:
    """All boards of an address as one device.

    Raises
    ------
    RadioNotFoundError
        If one does not answer.
    RadioError
        If one is in use, or has not what the options ask for.
    """
    found = [_find(uhd, arguments) for arguments in board_addresses(address)]
    arguments = ",".join(filter(None, (address, address_of(options.device_args))))
    try:
        usrp = uhd.usrp.MultiUSRP(arguments)
    except RuntimeError as error:
        msg = f"the USRP at {address!r} does not open; UHD says: {error}"
        raise RadioError(msg, "restart the device if that persists") from error
    _check_channels(usrp, options)
    opened = Opened(
        serial="+".join(sorted(str(board.get("serial", "?")) for board in found)),
        software=", ".join((f"UHD {uhd_version(uhd)}", *_versions(usrp))),
        capabilities=capabilities_of(usrp, options, found),
    )
    return Board(uhd, usrp, options, opened)


def _find(uhd: Any, arguments: dict[str, str]) -> dict[str, str]:
    """What a board says of itself."""
    address = address_of(arguments)
    found: list[dict[str, str]] = [device.to_dict() for device in uhd.find(address)]
    if not found:
        msg = f"no USRP answers at {address!r}"
        raise RadioNotFoundError(msg)
    if len(found) > 1:
        names = ", ".join(str(device.get("serial")) for device in found)
        msg = f"the address {address!r} fits several USRPs: {names}"
        raise RadioError(msg, "name one by addr= or serial=")
    if str(found[0].get("claimed")) == "True":
        msg = f"the USRP at {address!r} is in use by another program"
        raise RadioError(msg, "end that program; one that crashed is forgotten in some seconds")
    return found[0]


def _check_channels(usrp: Any, options: UsrpOptions) -> None:
    there = usrp.get_rx_num_channels(), usrp.get_tx_num_channels()
    asked = max(options.rx_channels or (0,)), options.tx_channel
    for way, count, highest in zip(("receive", "transmit"), there, asked, strict=True):
        if not highest < count:
            msg = f"channel {highest} is to {way}, the boards have {count} channels for that"
            raise RadioError(msg, "name channels that are there, or more boards")


def _versions(usrp: Any) -> list[str]:
    """Versions of FPGA and firmware of the first board, where it tells."""
    tree, versions = usrp.get_tree(), []
    for name, path in (("FPGA", "fpga_version"), ("MPM", "mpm_version"), ("FW", "fw_version")):
        if tree.exists(f"/mboards/0/{path}"):
            versions.append(f"{name} {tree.access_str(f'/mboards/0/{path}').get()}")
    return versions
