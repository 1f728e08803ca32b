"""Attributes of an AD936x that all channels of one direction, or both, have in common."""

import errno
from collections.abc import Callable, Iterable
from dataclasses import replace

from sim_backend.iiod import rates
from sim_backend.iiod.attributes import (
    Attribute,
    RefusedError,
    constant,
    integers,
    number,
    number_within,
    stored,
)
from sim_backend.iiod.board import Board
from sim_backend.iiod.chip import Chip
from sim_backend.iiod.fir import Fir


def refuse(_: str) -> None:
    """Refuse a value, whichever it is.

    Raises
    ------
    RefusedError
    """
    raise RefusedError(errno.EINVAL)


def switch(name: str, is_on: Callable[[], bool], turn: Callable[[bool], None]) -> Attribute:
    """An attribute that is 0 or 1."""
    return Attribute(name, lambda: str(int(is_on())), lambda text: turn(number(text) != 0.0))


def shared(attributes: Iterable[Attribute], direction: str) -> list[Attribute]:
    """Attributes with the file names of those that belong to all channels of a direction."""
    return [replace(a, filename=f"{direction}_voltage_{a.name}") for a in attributes]


def rate_attributes(board: Board, chip: Chip) -> list[Attribute]:
    """Rate of the samples, and whether the filters (FIR) are in; one setting for both ways."""

    def set_rate(text: str) -> None:
        lowest, highest = rates.lowest_rate_hz(active_fir(chip)), rates.HIGHEST_RATE_HZ
        rate_hz = float(int(number_within(text, lowest, highest)))
        if chip.fir_on:
            rates.check_filter(rate_hz, chip.loaded_firs[1])
        with board.rate_change():
            chip.rate_hz = rate_hz

    def available() -> str:
        return f"[{rates.lowest_rate_hz(active_fir(chip))} 1 {rates.HIGHEST_RATE_HZ}]"

    return [
        filter_switch(board, chip, "filter_fir_en"),
        Attribute("sampling_frequency", lambda: str(int(chip.rate_hz)), set_rate),
        Attribute("sampling_frequency_available", available),
    ]


def filter_switch(board: Board, chip: Chip, name: str) -> Attribute:
    """Whether the loaded filters are in.

    Refused if none is loaded, or the rate leaves no time for it, or is too low without.
    """

    def turn(on: bool) -> None:
        if on:
            rates.check_filter(chip.rate_hz, chip.loaded_firs[1])
        elif chip.rate_hz < rates.lowest_rate_hz(Fir()):
            raise RefusedError(errno.EINVAL)
        with board.rate_change():
            chip.fir_on = on

    return switch(name, lambda: chip.fir_on, turn)


def active_fir(chip: Chip) -> Fir:
    """The transmit filter that is in; its ratio is the receive filter's, too."""
    return chip.loaded_firs[1] if chip.fir_on else Fir()


def bandwidth_attributes(widest_hz: int) -> list[Attribute]:
    """Bandwidth of the analogue filters; kept, without effect."""
    return [
        stored("rf_bandwidth", "18000000", integers(200_000, widest_hz)),
        constant("rf_bandwidth_available", f"[200000 1 {widest_hz}]"),
    ]
