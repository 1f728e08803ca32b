"""What a site file says of an AD936x board: its address and its options, read and checked."""

import re
from typing import Annotated, Literal

import msgspec

from drivers.loopback import is_this_host
from drivers.radio import RadioSpec
from drivers.radio_errors import RadioError, RadioNotFoundError

_URI = re.compile(r"(ip|usb):[^\s]+|local:")
_ADDRESS_REMEDY = "give its libiio URI as address: 'ip:HOST', 'ip:HOST:PORT' or 'usb:BUS.DEV.IF'"

IIOD_PORT = 30431
MAX_KERNEL_BUFFERS = 64


class PlutoOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """Options of one board.

    Attributes
    ----------
    timeout_s
        Longest time that the device may take for one answer.
    rx_channels
        Receive channels in use, ascending; without them as many as the node's array has elements.
    tx_channel
        The one that sends; the others stay at their lowest gain.
    kernel_buffers
        Receive buffers that the device queues; without them as many as hold 0.1 s, from 4 to 64.
    tdd
        ``auto`` lets the TDD engine start transmission and reception, where the device has one.
    shared_external_lo
        Both transceivers of a two-chip board get one local oscillator from outside, so that all
        their channels are one coherent group. The driver does not switch to it.
    """

    timeout_s: Annotated[float, msgspec.Meta(ge=0.05, le=60.0)] = 1.0
    rx_channels: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] | None = None
    tx_channel: Annotated[int, msgspec.Meta(ge=0)] = 0
    kernel_buffers: Annotated[int, msgspec.Meta(ge=2, le=MAX_KERNEL_BUFFERS)] | None = None
    tdd: Literal["auto", "off"] = "off"
    shared_external_lo: bool = False


def read_options(spec: RadioSpec) -> PlutoOptions:
    """The options of a radio.

    Raises
    ------
    RadioError
        If one is unknown or out of its range; the message says where.
    """
    try:
        options = msgspec.convert(spec.options, PlutoOptions)
    except msgspec.ValidationError as error:
        msg = f"node {spec.node_id!r}: radio options: {error}"
        raise RadioError(msg, "correct them in the site file") from error
    channels = options.rx_channels
    if channels is not None and (not channels or sorted(set(channels)) != list(channels)):
        msg = f"node {spec.node_id!r}: rx_channels must ascend, got {list(channels)}"
        raise RadioError(msg, "correct them in the site file")
    return options


def read_uri(spec: RadioSpec) -> str:
    """The libiio URI of a radio.

    Raises
    ------
    RadioNotFoundError
        If there is none, or it is not one.
    """
    if not spec.address:
        msg = f"node {spec.node_id!r}: a Pluto needs an address"
        raise RadioNotFoundError(msg, _ADDRESS_REMEDY)
    if not _URI.fullmatch(spec.address):
        msg = f"node {spec.node_id!r}: {spec.address!r} is no address of a Pluto"
        raise RadioNotFoundError(msg, _ADDRESS_REMEDY)
    return spec.address


def host_and_port(uri: str) -> tuple[str, int] | None:
    """Where a URI's daemon listens; ``None`` for a device that is on no network."""
    kind, _, rest = uri.partition(":")
    if kind != "ip":
        return None
    host, _, port = rest.partition(":")
    # A number of IP version 6 is full of colons, and libiio takes no port after it.
    return (host, int(port)) if port.isdecimal() else (rest, IIOD_PORT)


def is_loopback(uri: str) -> bool:
    """Whether a URI names this very host."""
    place = host_and_port(uri)
    return place is not None and is_this_host(place[0])
