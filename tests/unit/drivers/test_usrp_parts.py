"""Parts of `drivers.usrp` that need no UHD, and what it says where UHD is not as it must be."""

import socket
import subprocess
import sys
import time
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.loopback import is_loopback, is_this_host
from drivers.radio import RadioSpec
from drivers.radio_errors import BurstRefusedError, RadioError, RadioLostError, RadioNotFoundError
from drivers.usrp import messages, open_usrp_radio
from drivers.usrp.address import address_of, board_addresses, discovery_of
from drivers.usrp.library import check_numpy, vendor_errors
from drivers.usrp.options import UsrpOptions, usrp_options
from drivers.usrp.pulse import Pulse
from drivers.usrp.ticks import ticks_of, time_of

SYSTEM_UHD = Path("/usr/lib/python3/dist-packages/uhd")


@given(
    st.integers(0, 2**57),
    st.sampled_from([61.44e6, 30.72e6, 20e6, 200e6 / 3, 25e6 / 48, 1e6]),
)
def test_a_tick_survives_the_way_through_seconds(tick, rate_hz):
    full_s, fraction_s = time_of(tick, rate_hz)
    assert 0.0 <= fraction_s < 1.0
    assert ticks_of(full_s, fraction_s, rate_hz) == tick


def test_a_whole_second_is_a_whole_number_of_ticks():
    assert ticks_of(1_800_000_000, 0.0, 61.44e6) == 1_800_000_000 * 61_440_000
    assert time_of(1_800_000_000 * 61_440_000 + 1, 61.44e6) == (
        1_800_000_000,
        float(Fraction(1, 61_440_000)),
    )


def test_an_address_names_one_board_or_several():
    assert board_addresses("addr=10.0.0.2") == [{"addr": "10.0.0.2"}]
    assert board_addresses("serial=ABC") == [{"serial": "ABC"}]
    assert board_addresses("addr0=10.0.0.2, addr1=10.0.0.3,fpga=XG") == [
        {"addr": "10.0.0.2", "fpga": "XG"},
        {"addr": "10.0.0.3", "fpga": "XG"},
    ]
    assert address_of({"addr": "10.0.0.2", "fpga": "XG"}) == "addr=10.0.0.2,fpga=XG"
    assert is_loopback("127.3.4.5")
    assert not is_loopback("10.0.0.2")
    assert not is_loopback("usrp.local")
    assert not is_loopback("localhost")
    assert is_this_host("localhost")


def test_boards_are_in_the_order_of_their_numbers_and_asked_where_they_are_managed():
    boards = board_addresses("type=e3xx, addr1=127.0.0.3,addr0=127.0.0.2")
    assert [discovery_of(board) for board in boards] == [
        ("127.0.0.2", 49600), ("127.0.0.3", 49600)
    ]  # fmt: skip
    (board,) = board_addresses("mgmt_addr=10.0.0.1,addr=10.1.0.1,discovery_port=5000")
    assert discovery_of(board) == ("10.0.0.1", 5000)
    assert discovery_of({"type": "b200"}) is None


def test_options_are_checked():
    assert usrp_options(RadioSpec("a", 3)).rx_channels == (0, 1, 2)
    chosen = usrp_options(RadioSpec("a", 2, None, {"rx_channels": [3, 1], "otw": "sc8"}))
    assert chosen.rx_channels == (3, 1)
    assert chosen.pps_std_s == pytest.approx(30e-9)
    for options, said in (
        ({"rx_chanels": [1]}, "unknown field `rx_chanels`"),
        ({"otw": "sc32"}, "otw"),
        ({"rx_channels": [1, 1]}, "a channel for each of its 2 elements"),
    ):
        with pytest.raises(RadioError, match=said):
            usrp_options(RadioSpec("a", 2, None, options))


@pytest.mark.parametrize(
    "error", [RadioError("p"), RadioLostError("p"), BurstRefusedError("p", "r")]
)
def test_errors_survive_the_way_between_the_processes(error):
    sent = msgspec.msgpack.encode(messages.failure_of(error))
    came = messages.error_of(msgspec.msgpack.decode(sent, type=messages.Failed))
    assert type(came) is type(error)
    assert str(came) == str(error)
    assert came.remedy == error.remedy


def test_requests_survive_the_way_between_the_processes():
    request = messages.Open("addr=10.0.0.2", UsrpOptions(rx_channels=(1, 0), shared_lo=True))
    sent = msgspec.msgpack.encode(request)
    assert msgspec.msgpack.decode(sent, type=messages.Request) == request


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("RfnocError: OpTimeout: Control operation timed out waiting for ACK", RadioLostError),
        ("rpc::timeout: Timeout of 2000ms while calling RPC function 'x'", RadioLostError),
        ("EnvironmentError: IOError: send error on socket: Connection refused", RadioLostError),
        ("ValueError: no such antenna", RadioError),
    ],
)
def test_what_uhd_says_of_a_device_that_is_gone(words, kind):
    with pytest.raises(RadioError, match="UHD says: ") as caught, vendor_errors():
        raise RuntimeError(f"RuntimeError: {words}")
    assert type(caught.value) is kind


def test_a_board_that_stops_echoing_is_silent_and_one_that_never_did_is_not_judged():
    with (
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as board,
        closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as mute,
    ):
        board.bind(("127.0.0.1", 0))
        mute.bind(("127.0.0.2", 0))
        board.settimeout(5.0)
        boards = [
            {"addr": host, "discovery_port": str(server.getsockname()[1])}
            for host, server in (("127.0.0.1", board), ("127.0.0.2", mute))
        ]
        with Pulse([*boards, {"serial": "of a USB device"}]) as pulse:
            assert pulse.silent(0.0) == []
            for _ in range(2):
                said, sender = board.recvfrom(512)
                board.sendto(said, sender)
                assert pulse.silent(60.0) == []
            deadline_s = time.monotonic() + 5.0
            while pulse.silent(0.05) != [f"127.0.0.1:{board.getsockname()[1]}"]:
                assert time.monotonic() < deadline_s
            pulse.rest()
            assert pulse.silent(60.0) == []


def test_without_uhd_it_says_how_to_get_it(tmp_path, monkeypatch):
    """The process's own words come through, whatever is installed here."""
    (tmp_path / "uhd.py").write_text("raise ImportError('no libuhd here')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RadioNotFoundError, match=r"no libuhd here; .*make usrp-env"):
        open_usrp_radio(RadioSpec("a", 1, "addr=127.0.0.1"))


def test_without_an_address_it_says_so():
    with pytest.raises(RadioNotFoundError, match="needs an address"):
        open_usrp_radio(RadioSpec("a", 1))


def test_a_process_that_dies_is_named(tmp_path, monkeypatch):
    """A crash in libuhd, a segmentation fault for one, ends its process and no other."""
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    (tmp_path / "uhd.py").write_text(crash)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RadioLostError, match="runs UHD died of SIGSEGV"):
        open_usrp_radio(RadioSpec("a", 1, "addr=127.0.0.1"))


@pytest.mark.skipif(not SYSTEM_UHD.exists(), reason="needs the system's python3-uhd")
def test_bindings_built_for_another_numpy_are_refused_before_they_crash(tmp_path):
    """Run in a process of its own, because only it may have the module on its path."""
    (tmp_path / "uhd").symlink_to(SYSTEM_UHD)
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from drivers.usrp.library import check_numpy\n"
        "check_numpy('1.26.4')\n"
        "check_numpy(sys.argv[2])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, tmp_path, "2.1.0"],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    built_for_2 = any(
        b"numpy._core._multiarray_umath" in module.read_bytes()
        for module in SYSTEM_UHD.glob("libpyuhd*.so")
    )
    assert built_for_2 == (ran.returncode == 0)
    assert built_for_2 or "would crash with NumPy 2.1.0; make usrp-env" in ran.stderr


def test_an_absent_uhd_is_not_judged():
    check_numpy("1.26.4")
