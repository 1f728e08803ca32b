"""Devices, channels and attributes of an IIO context, as a daemon serves them."""

import errno
import re
from collections.abc import Callable
from dataclasses import dataclass

_NUMBER = re.compile(r"\s*([-+]?\d{1,12}(?:\.\d{0,12})?)(?:\s*dB)?\s*")


class RefusedError(Exception):
    """The device refuses a command.

    Attributes
    ----------
    errno
        Why, as Linux numbers errors.
    """

    def __init__(self, number: int) -> None:
        self.errno = number
        super().__init__(errno.errorcode.get(number, str(number)))


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute.

    Attributes
    ----------
    name
        What clients ask for.
    read, write
        How it is read and written; `None` where that is not allowed. Both may raise
        `RefusedError`.
    filename
        Of the file that Linux shows it as, where that differs from the name.
    """

    name: str
    read: Callable[[], str] | None
    write: Callable[[str], None] | None = None
    filename: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of a device.

    Attributes
    ----------
    channel_id, is_output, name
        Who it is; few have a name.
    attributes
        By name.
    scan_index, scan_format
        Its place in a buffer and how a sample looks; `None` if it is in no buffer.
    """

    channel_id: str
    is_output: bool
    attributes: dict[str, Attribute]
    name: str = ""
    scan_index: int | None = None
    scan_format: str = ""


@dataclass(frozen=True, slots=True)
class Device:
    """One device of the context, its attributes by name."""

    device_id: str
    name: str
    channels: tuple[Channel, ...] = ()
    attributes: dict[str, Attribute] | None = None
    buffer_attributes: dict[str, Attribute] | None = None
    debug_attributes: dict[str, Attribute] | None = None

    def channel(self, channel_id: str, *, is_output: bool) -> Channel:
        """One channel by its id or name.

        Raises
        ------
        RefusedError
            If there is none.
        """
        for channel in self.channels:
            if channel.is_output == is_output and channel_id in (channel.channel_id, channel.name):
                return channel
        raise RefusedError(errno.ENOENT)

    @property
    def num_scan_channels(self) -> int:
        """How many channels a buffer can hold."""
        return sum(channel.scan_index is not None for channel in self.channels)


def by_name(*attributes: Attribute) -> dict[str, Attribute]:
    """Attributes by their names."""
    return {attribute.name: attribute for attribute in attributes}


def constant(name: str, value: str) -> Attribute:
    """An attribute that only can be read."""
    return Attribute(name, lambda: value)


def write_only(name: str, write: Callable[[str], None]) -> Attribute:
    """An attribute that only can be written."""
    return Attribute(name, None, write)


def stored(name: str, value: str, accepted: Callable[[str], str]) -> Attribute:
    """An attribute that keeps what is written, as `accepted` returns it."""
    held = [value]

    def write(text: str) -> None:
        held[0] = accepted(text)

    return Attribute(name, lambda: held[0], write)


def number(text: str) -> float:
    """The number of a text like ``40``, ``-10.25`` or ``40.000000 dB``.

    Raises
    ------
    RefusedError
        If it is none.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise RefusedError(errno.EINVAL)
    return float(found[1])


def number_within(text: str, low: float, high: float) -> float:
    """The number of a text, between two limits.

    Raises
    ------
    RefusedError
        If it is none, or outside.
    """
    value = number(text)
    if not low <= value <= high:
        raise RefusedError(errno.EINVAL)
    return value


def integers(low: int, high: int) -> Callable[[str], str]:
    """What `stored` accepts: whole numbers between two limits."""
    return lambda text: str(int(number_within(text, low, high)))


def one_of(*choices: str) -> Callable[[str], str]:
    """What `stored` accepts: one of some words."""

    def accepted(text: str) -> str:
        word = text.strip()
        if word not in choices:
            raise RefusedError(errno.EINVAL)
        return word

    return accepted
