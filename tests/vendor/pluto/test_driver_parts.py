"""Parts of the Pluto driver that need no vendor library: options, errors, filters, the thread."""

import errno
import os
import threading
import time
from contextlib import nullcontext
from functools import partial

import pytest

from drivers.pluto import open_pluto_radio
from drivers.pluto.connection import Connection
from drivers.pluto.facts import capabilities_of, chosen_channels, coherent_groups, said_range
from drivers.pluto.filters import filter_delays
from drivers.pluto.options import PlutoOptions, is_loopback, read_options, read_uri
from drivers.pluto.vendor_errors import error_in_opening, error_in_use
from drivers.pluto.vendor_thread import VendorThread
from drivers.radio import RadioSpec
from drivers.radio_errors import (
    RadioError,
    RadioLostError,
    RadioNotFoundError,
    RadioTimeoutError,
)

PATIENCE_S = 20.0
NAME = "ip:a"


@pytest.fixture
def thread():
    made = VendorThread(NAME, partial(error_in_use, NAME))
    yield made
    made.end(lambda: None)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timeouts": 1}, "unknown field `timeouts`"),
        ({"timeout_s": 0.0}, r"timeout_s"),
        ({"rx_channels": [1, 0]}, "must ascend"),
        ({"rx_channels": []}, "must ascend"),
        ({"kernel_buffers": 1}, "kernel_buffers"),
        ({"tdd": "on"}, r"\$\.tdd"),
    ],
)
def test_wrong_options_are_refused_by_name(options, says):
    with pytest.raises(RadioError, match=f"node 'a'.*{says}.*site file"):
        read_options(RadioSpec("a", 1, "ip:a", options))


@pytest.mark.parametrize("address", [None, "", "192.168.2.1", "ip:", "ip: a", "addr=127.0.0.1"])
def test_what_is_no_address_is_refused_with_what_one_is(address):
    with pytest.raises(RadioNotFoundError, match="'ip:HOST', 'ip:HOST:PORT' or 'usb:"):
        open_pluto_radio(RadioSpec("a", 1, address))


@pytest.mark.parametrize("address", ["ip:pluto.local", "ip:127.0.0.1:30431", "usb:1.4.5", "usb:"])
def test_addresses_are_those_of_libiio(address):
    if address == "usb:":
        with pytest.raises(RadioNotFoundError):
            read_uri(RadioSpec("a", 1, address))
    else:
        assert read_uri(RadioSpec("a", 1, address)) == address


@pytest.mark.parametrize(
    ("uri", "loopback"),
    [
        ("ip:127.0.0.1:30431", True),
        ("ip:127.3.2.1", True),
        ("ip:localhost", True),
        ("ip:::1", True),
        ("ip:192.168.2.1", False),
        ("ip:pluto.local", False),
        ("ip:localhost.example", False),
        ("usb:127.0.0", False),
    ],
)
def test_loopback_is_this_host_only(uri, loopback):
    assert is_loopback(uri) == loopback


def able(uri: str, attributes: dict[str, str], **options):
    return capabilities_of(
        uri=uri, attributes=attributes, channels=(0, 1, 2, 3), options=PlutoOptions(**options),
        carrier_range_hz=(70e6, 6e9), max_bandwidth_hz=40e6, has_tdd=False, has_status=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("uri", "attributes", "radiates"),
    [
        ("ip:127.0.0.1", {"isac_emulated": "1"}, False),
        ("ip:127.0.0.1", {}, True),
        ("ip:127.0.0.1", {"isac_emulated": "0"}, True),
        ("ip:192.168.2.1", {"isac_emulated": "1"}, True),
        ("usb:1.2.3", {"isac_emulated": "1"}, True),
    ],
)
def test_a_device_radiates_unless_it_is_emulated_here(uri, attributes, radiates):
    assert able(uri, attributes).radiates == radiates


def test_channels_of_one_chip_are_coherent_and_those_of_two_only_with_one_oscillator():
    assert able("ip:a", {}).coherent_groups == ((0, 1), (2, 3))
    assert able("ip:a", {}, shared_external_lo=True).coherent_groups == ((0, 1, 2, 3),)
    assert coherent_groups((1, 2, 3), shared_external_lo=False) == ((0,), (1, 2))


def test_a_node_gets_as_many_channels_as_it_has_elements():
    assert chosen_channels(PlutoOptions(), 1, 2, 2) == (0,)
    assert chosen_channels(PlutoOptions(), 8, 2, 2) == (0, 1)
    assert chosen_channels(PlutoOptions(rx_channels=(1,)), 1, 2, 2) == (1,)
    for wrong in (PlutoOptions(rx_channels=(0, 2)), PlutoOptions(tx_channel=2)):
        with pytest.raises(RadioError, match="2 receive and 2 transmit channels"):
            chosen_channels(wrong, 2, 2, 2)


def test_ranges_are_the_device_s_as_far_as_they_are_nominal():
    assert said_range("[325000000 1 3800000000]", (70e6, 6e9)) == (325e6, 3.8e9)
    assert said_range("[46875001 1 6000000000]", (70e6, 6e9)) == (70e6, 6e9)
    assert said_range("[-89.75 0.25 0]", (-100.0, 10.0)) == (-89.75, 0.0)
    assert said_range(None, (1.0, 2.0)) == said_range("", (1.0, 2.0)) == (1.0, 2.0)


@pytest.mark.parametrize(
    ("config", "rx_samples"),
    [
        ("FIR Rx: 128,4 Tx: 128,4", 15.875),
        ("FIR Rx: 128,2 Tx: 128,2", 31.5),
        ("FIR Rx: 96,2 Tx: 96,2\n", 23.5),
        ("FIR Rx: 64,2 Tx: 64,2", 15.5),
    ],
)
def test_filter_delays_are_the_centres_of_the_taps(config, rx_samples):
    delays = filter_delays(config)
    assert delays.rx_samples == delays.tx_samples == rx_samples


@pytest.mark.parametrize("config", ["FIR Rx: 0,0 Tx: 0,0", "FIR Rx: 48,4 Tx: 48,4", "", "RX 3"])
def test_filters_that_nobody_knows_have_no_delay(config):
    assert filter_delays(config) is None


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (errno.EBUSY, RadioError, "somebody else uses the device.*end the other program"),
        (errno.EPIPE, RadioLostError, "gone, or stopped answering"),
        (errno.ENODEV, RadioLostError, "No such device"),
        (errno.ETIMEDOUT, RadioTimeoutError, "in time"),
        (errno.EINVAL, RadioError, "Invalid argument"),
        (errno.ENOSPC, RadioError, "No space left"),
    ],
)
def test_errors_in_use_say_what_happened_to_which_device(number, kind, says):
    error = error_in_use(NAME, OSError(number, os.strerror(number)))
    assert type(error) is kind
    with pytest.raises(kind, match=f"(?s)^{NAME}.*{says}"):
        raise error


def test_errors_in_opening_name_the_address():
    refused = error_in_opening(NAME, OSError(errno.ECONNREFUSED, "Connection refused"))
    assert isinstance(refused, RadioNotFoundError)
    assert "'ip:a': Connection refused; check power" in str(refused)


def test_everything_runs_on_one_thread_in_order(thread):
    ran: list[tuple[int, int]] = []
    for n in range(20):
        thread.tell(lambda n=n: ran.append((n, threading.get_ident())))
    ident = thread.ask(threading.get_ident, PATIENCE_S)
    assert ran == [(n, ident) for n in range(20)]
    assert ident != threading.get_ident()


def test_a_call_that_is_stuck_costs_its_caller_the_time_it_gave(thread):
    release = threading.Event()
    before_s = time.monotonic()
    with pytest.raises(RadioTimeoutError, match="ip:a: the device did not answer within"):
        thread.ask(release.wait, 0.05)
    assert time.monotonic() - before_s < PATIENCE_S
    release.set()
    assert thread.ask(lambda: "still there", PATIENCE_S) == "still there"


def failing(error: Exception):
    raise error


def test_errors_arrive_as_radio_errors_and_end_nothing(thread):
    with pytest.raises(RadioError, match="somebody else"):
        thread.ask(lambda: failing(OSError(errno.EBUSY, "busy")), PATIENCE_S)
    with pytest.raises(RadioError, match="ip:a: Exception: TX device not found") as raised:
        thread.ask(lambda: failing(Exception("TX device not found")), PATIENCE_S)
    assert isinstance(raised.value.__cause__, Exception)
    with pytest.raises(RadioNotFoundError, match="as it is"):
        thread.ask(lambda: failing(RadioNotFoundError("as it is")), PATIENCE_S)
    assert thread.ask(lambda: 1, PATIENCE_S) == 1


def test_a_lost_device_is_asked_no_more_but_let_go(thread):
    asked: list[str] = []
    thread.tell(lambda: failing(OSError(errno.EPIPE, "Broken pipe")))
    with pytest.raises(RadioLostError, match="Broken pipe"):
        thread.ask(lambda: asked.append("more"), PATIENCE_S)
    thread.wait(thread.end(lambda: asked.append("last")), PATIENCE_S)
    assert asked == ["last"]


def test_what_a_failed_call_held_is_let_go_on_the_thread(thread):
    """libiio crashes if a buffer is destroyed after its context, wherever an error went."""

    class Buffer:
        def __del__(self):
            destroyed.append(threading.get_ident())

        def refill(self):
            raise OSError(errno.EBUSY, "busy")

    destroyed: list[int] = []
    held = [Buffer()]

    def fail() -> None:
        held[0].refill()

    with pytest.raises(RadioError) as raised:
        thread.ask(fail, PATIENCE_S)
    ident = thread.ask(lambda: held.clear() or threading.get_ident(), PATIENCE_S)
    assert destroyed == [ident]
    assert raised.value is not None  # and with it all that it refers to


def test_an_action_runs_later_unless_it_is_forgotten(thread):
    ran = threading.Event()
    thread.ask(lambda: thread.run_in(0.02, ran.set), PATIENCE_S)
    assert ran.wait(PATIENCE_S)
    never = threading.Event()
    thread.ask(lambda: thread.run_in(0.02, never.set), PATIENCE_S)
    thread.ask(thread.forget_due, PATIENCE_S)
    thread.ask(lambda: thread.run_in(0.05, ran.clear), PATIENCE_S)
    while ran.is_set():
        thread.ask(lambda: None, PATIENCE_S)  # calls do not hold it up
    assert not never.is_set()


def test_a_later_action_that_fails_does_not_end_the_thread(thread):
    failed = threading.Event()

    def fail() -> None:
        failed.set()
        raise OSError(errno.EBUSY, "busy")

    thread.ask(lambda: thread.run_in(0.0, fail), PATIENCE_S)
    assert failed.wait(PATIENCE_S)
    assert thread.ask(lambda: 1, PATIENCE_S) == 1


@pytest.mark.parametrize(("closing_s", "is_frozen"), [(0.0, False), (0.11, True)])
def test_a_buffer_that_closes_only_after_the_timeout_was_never_answered(closing_s, is_frozen):
    class Context:
        def set_timeout(self, timeout_ms):
            assert timeout_ms == 100

    connection = Connection(Context(), 0.1)
    with pytest.raises(OSError, match="closing") if is_frozen else nullcontext():
        connection.close_buffer(partial(time.sleep, closing_s))
