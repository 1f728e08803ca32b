"""One board in a process of its own, and a radio of it, for the tests of this folder."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from drivers.radio import Radio
from tests.vendor.usrp.emulated import EmulatedUsrps, emulated_usrps
from tests.vendor.usrp.one_board import TUNING, open_on


@pytest.fixture
def usrps() -> Iterator[EmulatedUsrps]:
    with emulated_usrps(1) as one:
        yield one


@pytest.fixture
def radio(usrps) -> Iterator[Radio]:
    with closing(open_on(usrps)) as radio:
        radio.configure(TUNING)
        yield radio
