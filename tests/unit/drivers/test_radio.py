"""The radio contract's data: limits, powers, errors; a radio that remembers, and its clocks."""

import threading
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import radio_errors
from drivers.radio import IqBlock, Radio, RadioHealth, RadioInfo, RadioSpec, TransmitReport
from drivers.radio_errors import (
    BurstRefusedError,
    LateCommandError,
    RadioError,
    RadioLostError,
    TransmitForbiddenError,
    TuningError,
)
from drivers.tuning import Tuning, changes_epoch, check_samples, transmit_power_dbm
from tests.unit.drivers.test_grids import ANY

# Full scale is 10 dBm at the highest gain, 60 dB.
ABLE = replace(
    ANY, carrier_range_hz=(70e6, 6e9), sample_rate_range_hz=(1e6, 61.44e6),
    rx_gain_range_db=(0.0, 76.0), tx_gain_range_db=(-10.0, 60.0), max_transmit_samples=1000,
    pps=False, external_clock=False,
)  # fmt: skip
TUNING = Tuning(5.8e9, 30.72e6, 40.0, 50.0)


class Told:
    """A radio that remembers what it was told."""

    info = RadioInfo("told", "1", "test", ANY)

    def __init__(self) -> None:
        self.sent: list[float] = []
        self.stopped = threading.Event()
        self.closed = 0

    def configure(self, tuning: Tuning) -> Tuning:
        ANY.check(tuning)
        return tuning

    def time_ticks(self) -> int:
        return 0

    def transmit(
        self, samples: np.ndarray, at_tick: int | None = None, repeat_s: float = 0.0
    ) -> None:
        self.stopped.clear()
        self.sent.append(repeat_s)

    def stop_transmit(self) -> None:
        self.stopped.set()

    def transmit_report(self) -> TransmitReport:
        return TransmitReport()

    def arm_receive(self, num_samples: int, at_tick: int | None = None) -> None:
        pass

    def fetch(self) -> IqBlock:
        raise NotImplementedError

    def health(self) -> RadioHealth:
        return RadioHealth()

    def close(self) -> None:
        self.closed += 1


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class WatchedClock(Clock):
    """A clock that knows how often the watchdog looked at it."""

    def __init__(self) -> None:
        super().__init__()
        self._looks = 0
        self._looked = threading.Condition()

    def __call__(self) -> float:
        if threading.current_thread().name == "transmit-watchdog":
            with self._looked:
                self._looks += 1
                self._looked.notify_all()
        return super().__call__()

    def wait_for_the_watchdog(self) -> None:
        """Until it has looked anew, and acted on that."""
        with self._looked:
            enough = self._looks + 2
            assert self._looked.wait_for(lambda: self._looks >= enough, 10.0)


def let_fail(radio: Told, call: str, *errors: Exception) -> None:
    """Have the next calls fail, as when the device is busy or its link is."""
    proper, left = getattr(radio, call), list(errors)

    def failing(*arguments: object) -> object:
        if left:
            raise left.pop()
        return proper(*arguments)

    setattr(radio, call, failing)


def test_the_fake_has_every_member_of_the_contract():
    members = {name for name in vars(Radio) if not name.startswith("_")}
    assert members == {
        "info", "configure", "time_ticks", "transmit", "stop_transmit", "transmit_report",
        "arm_receive", "fetch", "health", "close",
    }  # fmt: skip
    assert all(hasattr(Told(), name) for name in members)


@pytest.mark.parametrize(
    ("name", "low", "high", "below", "above"),
    [
        ("carrier_hz", 70e6, 6e9, 69_999_999.0, 6_000_000_001.0),
        ("sample_rate_hz", 1e6, 61.44e6, 999_999.0, 61_440_001.0),
        ("rx_gain_db", 0.0, 76.0, -0.01, 76.01),
        ("tx_gain_db", -10.0, 60.0, -10.01, 60.01),
    ],
)
def test_a_tuning_may_be_at_its_limits_and_not_beyond(name, low, high, below, above):
    for value in (low, high):
        ABLE.check(replace(TUNING, **{name: value}))
    for value in (below, above, float("nan"), float("inf"), -float("inf")):
        with pytest.raises(TuningError) as refused:
            ABLE.check(replace(TUNING, **{name: value}))
        assert str(refused.value).startswith(f"{name} must be between {low:.12g} and {high:.12g} ")
        assert f"got {value:.12g}; ask for what" in str(refused.value)
        assert ", and " not in str(refused.value)


def test_all_broken_limits_are_named_at_once():
    wrong = Tuning(1.0, 2.0, 77.0, 61.0, "external", "pps")
    with pytest.raises(TuningError) as refused:
        ABLE.check(wrong)
    text = str(refused.value)
    names = "carrier_hz", "sample_rate_hz", "rx_gain_db", "tx_gain_db", "clock_source"
    places = [text.index(name) for name in (*names, "time_source")]
    assert places == sorted(places)
    assert text.count(", and ") == 5


@pytest.mark.parametrize(
    ("field", "wanted", "capability"),
    [("clock_source", "external", "external_clock"), ("time_source", "pps", "pps")],
)
def test_references_need_their_connectors(field, wanted, capability):
    tuning = replace(TUNING, **{field: wanted})
    with pytest.raises(TuningError, match=f"{field}: this radio takes no"):
        ABLE.check(tuning)
    replace(ABLE, **{capability: True}).check(tuning)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"carrier_hz": 5.8e9 + 0.9}, False),  # a synthesizer's step
        ({"carrier_hz": 5.8e9 - 1.0}, True),
        ({"sample_rate_hz": 30.72e6 + 0.9}, False),
        ({"sample_rate_hz": 30.72e6 + 1.0}, True),
        ({"rx_gain_db": 40.25}, True),
        ({"tx_gain_db": 49.75}, True),
        ({"clock_source": "external"}, True),
        ({"time_source": "pps"}, True),
    ],
)
def test_what_invalidates_phases_is_a_new_epoch_both_ways(changes, expected):
    assert changes_epoch(TUNING, replace(TUNING, **changes)) is expected
    assert changes_epoch(replace(TUNING, **changes), TUNING) is expected


@pytest.mark.parametrize(
    "samples",
    [
        np.ones(1000, dtype=np.complex64),  # as many, and as large, as may be
        np.zeros(1, dtype=np.complex64),
        np.array([0.6 + 0.8j, -1.0, 1.0j]),
    ],
)
def test_samples_of_full_scale_are_sent(samples):
    check_samples(samples, ABLE)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(0, dtype=np.complex64), "1 to 1000 samples in one dimension, got shape (0,)"),
        (np.zeros(1001, dtype=np.complex64), "got shape (1001,)"),
        (np.zeros((10, 1), dtype=np.complex64), "got shape (10, 1)"),
        (np.complex64(0.5), "got shape ()"),
        (np.array([0.0, 0.8 + 0.7j]), "the largest is 1.06301"),  # sqrt(0.64 + 0.49)
        (np.array([1.0, 1.001]), "the largest is 1.001"),
        (np.array([0.0, np.nan]), "the largest is nan"),
        (np.array([0.5, complex(0.0, np.nan)]), "the largest is nan"),
        (np.array([np.inf, np.nan]), "finite"),
        (np.array([0.5, -np.inf]), "the largest is inf"),
    ],
)
def test_samples_that_nothing_can_send_are_refused_with_what_is_wrong(samples, words):
    with pytest.raises(BurstRefusedError) as refused:
        check_samples(samples, ABLE)
    assert words in str(refused.value)
    assert str(refused.value).endswith("; scale or shorten the burst")


def test_a_tone_of_full_scale_is_sent():
    check_samples(np.exp(0.1j * np.arange(1000)).astype(np.complex64), ABLE)


@pytest.mark.parametrize(
    ("gain_db", "mean_square", "power_dbm"),
    [
        (60.0, 1.0, 10.0),
        (50.0, 1.0, 0.0),
        (60.0, 0.5, 6.98970),  # 10 - 10 log10(2)
        (-10.0, 0.01, -80.0),  # 70 dB of gain and 20 dB of signal less
        (60.0, 0.0, -np.inf),
    ],
)
def test_transmit_power_golden(gain_db, mean_square, power_dbm):
    assert transmit_power_dbm(ABLE, gain_db, mean_square) == pytest.approx(power_dbm, abs=1e-5)


@given(gain_db=st.floats(-10.0, 60.0), loss_db=st.floats(0.0, 100.0))
def test_gain_and_amplitude_are_worth_the_same(gain_db, loss_db):
    quiet = transmit_power_dbm(ABLE, gain_db, 10.0 ** (-loss_db / 10.0))
    assert quiet == pytest.approx(transmit_power_dbm(ABLE, gain_db - loss_db, 1.0), abs=1e-9)


FAMILY = [
    value
    for value in vars(radio_errors).values()
    if isinstance(value, type) and issubclass(value, RadioError) and value is not RadioError
]


@pytest.mark.parametrize("kind", FAMILY)
def test_every_error_ends_with_its_own_remedy(kind):
    given_kind = ("a rule",) if kind is TransmitForbiddenError else ()
    plain = kind(*given_kind, "something is wrong")
    assert plain.remedy == kind.default_remedy != RadioError.default_remedy
    assert str(plain).endswith(f"something is wrong; {kind.default_remedy}")
    assert str(kind(*given_kind, "wrong", "mend it")).endswith("wrong; mend it")


def test_errors_are_told_apart():
    assert len(FAMILY) >= 10
    assert len({kind.default_remedy for kind in FAMILY}) == len(FAMILY)
    assert not issubclass(LateCommandError, RadioLostError)
    refusal = TransmitForbiddenError("band", "too wide")
    assert refusal.rule == "band"
    assert str(refusal).startswith("transmission refused by the rule 'band': too wide; ")


def test_what_is_not_known_is_none_and_defaults_are_nobodys_shared_state():
    block = IqBlock(np.zeros((4, 2)), None, 1e6, TUNING, -10.0, 3)
    assert (block.clock_locked, block.pps_locked, block.temperature_c) == (None, None, None)
    assert (block.overflow, block.late, block.discontinuity) == (False, False, False)
    assert TransmitReport().first_sample_tick is None
    assert RadioHealth().clock_locked is None
    first, second = RadioSpec("a", 1), RadioSpec("b", 1)
    first.options["gain"] = 3
    assert second.options == {}
    with pytest.raises(FrozenInstanceError):
        block.overflow = True
