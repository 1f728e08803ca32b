"""The Pluto driver keeps the contract of all radios, on boards of one, two and four channels."""

from contextlib import ExitStack, closing

import pytest

from drivers.contract import Bench, NotApplicableError, verdict_of
from drivers.contract_checks import CHECKS
from drivers.interlock import TransmitBand, TransmitLimits
from drivers.interlocked_radio import InterlockedRadio
from drivers.tuning import Tuning
from tests.vendor.pluto import driving
from tests.vendor.pluto.serve import NUM_CHANNELS, boards

TUNING = Tuning(2.45e9, 4e6, 30.0, -20.0)
EVERYTHING = TransmitLimits(
    bands=(TransmitBand(0.0, 1e12, 100.0),), max_transmission_s=1.0, duty_cycle=10.0
)
# It has no time, and says so.
LEFT_OUT = {"starts on time", "reports late blocks", "sends on time"}


@pytest.fixture(scope="module", params=NUM_CHANNELS)
def board(request):
    """What a board is, and where."""
    with ExitStack() as stack:
        yield request.param, boards(stack, request.param)[0].uri


def opened(board):
    personality, uri = board
    return driving.opened(uri, NUM_CHANNELS[personality])


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_board_keeps_the_contract(board, check):
    with closing(opened(board)) as radio:
        try:
            check(Bench(radio, TUNING))
        except NotApplicableError:
            assert check.__name__.replace("_", " ") in LEFT_OUT


def test_the_whole_suite_runs_on_one_radio(board):
    with closing(opened(board)) as radio:
        verdicts = [verdict_of(check, Bench(radio, TUNING)) for check in CHECKS]
    assert [v for v in verdicts if v.outcome == "broken"] == []
    assert {v.check for v in verdicts if v.outcome == "not applicable"} == LEFT_OUT


def test_the_whole_suite_runs_behind_the_interlock(board):
    with closing(InterlockedRadio(opened(board), EVERYTHING)) as radio:
        verdicts = [verdict_of(check, Bench(radio, TUNING)) for check in CHECKS]
    assert [v for v in verdicts if v.outcome == "broken"] == []


def test_channels_and_groups_are_the_board_s(board):
    with closing(opened(board)) as radio:
        able = radio.info.capabilities
    expected = {"pluto": ((0,),), "fmcomms2": ((0, 1),), "fmcomms5": ((0, 1), (2, 3))}
    assert able.num_rx_channels == NUM_CHANNELS[board[0]]
    assert able.coherent_groups == expected[board[0]]
    assert not able.radiates
    assert not able.timed_bursts
    assert not able.hardware_trigger
