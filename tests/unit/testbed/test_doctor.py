"""The doctor looks at everything, says what it saw, and how to mend it."""

import json
import socket
import threading
from contextlib import contextmanager

import pytest

from testbed.doctor.addresses import addresses_of, is_local
from testbed.doctor.host import socket_buffers, transmitting
from testbed.doctor.software import software_of
from testbed.site import RadioSection
from tests.unit.testbed.sites import as_site, call, changed, tiny, write_site

E320 = b"USRP-MPM;type=e3xx;product=e320;serial=SN7;name=left;fpga=XG;claimed="


@contextmanager
def serving(answering):
    """A thread that answers until the block ends; ``answering`` returns when its socket closes."""
    thread = threading.Thread(target=answering)
    thread.start()
    try:
        yield
    finally:
        thread.join()


@contextmanager
def iiod(answer):
    """Address of a TCP server that gives one answer to one line."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answering():
            connection, _ = listening.accept()
            with connection:
                assert connection.recv(64) == b"VERSION\r\n"
                connection.sendall(answer)

        with serving(answering):
            yield f"ip:127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def mpm(answer, hosts=("127.0.0.2",)):
    """Device arguments of motherboards on one port, each of which answers once."""
    bound = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in hosts]
    bound[0].bind((hosts[0], 0))
    port = bound[0].getsockname()[1]
    for other, host in zip(bound[1:], hosts[1:], strict=True):
        other.bind((host, port))

    def answering():
        for each in bound:
            question, asker = each.recvfrom(64)
            assert question == b"MPM-DISC"
            each.sendto(answer, asker)

    with serving(answering):
        yield f"{','.join(f'addr{n}={h}' for n, h in enumerate(hosts))},discovery_port={port}"
    for each in bound:
        each.close()


def closed_port(kind):
    """A port of this host that nobody listens at."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def findings(kind, address):
    return list(addresses_of("a", RadioSection(kind=kind, address=address)))


def test_a_pluto_that_answers_is_there_with_its_version():
    with iiod(b"0.24.v0.24  \n") as address:
        (found,) = findings("pluto", address)
    assert (found.state, found.remedy) == ("ok", None)
    assert found.found == f"{address}: IIOD 0.24 answers"


def test_something_else_at_a_pluto_s_address_is_told():
    with iiod(b"SSH-2.0-dropbear\r\n") as address:
        (found,) = findings("pluto", address)
    assert found.state == "missing"
    assert "'SSH-2.0-dropbear', not as IIOD" in found.found


def test_a_pluto_that_is_off_is_missing_and_on_loopback_was_not_emulated():
    (found,) = findings("pluto", f"ip:127.0.0.1:{closed_port(socket.SOCK_STREAM)}")
    assert found.state == "missing"
    assert "refused" in found.found
    assert "testbed emulate" in found.remedy


def test_a_pluto_that_accepts_and_says_nothing_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (found,) = findings("pluto", f"ip:127.0.0.1:{silent.getsockname()[1]}")
    assert found.state == "missing"
    assert "no answer within 1 s" in found.found


def test_a_name_that_cannot_be_resolved_is_missing_like_a_device():
    (found,) = findings("pluto", "ip:no-such-host.invalid")
    assert found.state == "missing"
    assert "emulate" not in found.remedy


def test_a_pluto_that_is_not_on_a_network_is_not_asked():
    (found,) = findings("pluto", "usb:1.2.5")
    assert found.state == "unchecked"


@pytest.mark.parametrize("kind", ["pluto", "usrp"])
def test_a_radio_without_an_address_needs_one(kind):
    (found,) = findings(kind, None)
    assert (found.state, found.found) == ("missing", "the site file has none")
    assert f"kind: {kind}, address: " in found.remedy


def test_each_motherboard_of_a_usrp_is_asked():
    with mpm(E320 + b"False", ("127.0.0.2", "127.0.0.3")) as address:
        found = findings("usrp", address)
    assert [(f.state, f.found) for f in found] == [
        ("ok", "127.0.0.2: e320 SN7 answers"),
        ("ok", "127.0.0.3: e320 SN7 answers"),
    ]


def test_a_motherboard_that_is_missing_does_not_hide_the_next():
    with mpm(E320 + b"False") as address:
        found = findings("usrp", address.replace("addr0=", "addr0=127.0.0.9,addr1="))
    assert [f.state for f in found] == ["missing", "ok"]


def test_a_usrp_that_another_program_holds_is_told():
    with mpm(E320 + b"True") as address:
        (found,) = findings("usrp", address)
    assert found.state == "advice"
    assert "another program holds it" in found.found


def test_an_emulated_usrp_is_called_so():
    with mpm(E320.replace(b"XG", b"emulated") + b"False") as address:
        (found,) = findings("usrp", address)
    assert found.found == "127.0.0.2: e320 SN7 (emulated) answers"


def test_something_else_at_a_usrp_s_address_is_told():
    with mpm(b"hello") as address:
        (found,) = findings("usrp", address)
    assert found.state == "missing"
    assert "'hello', not as MPM" in found.found


@pytest.mark.parametrize("address", ["type=b200,serial=31A", "addr=192.168.10.2,type=x300"])
def test_a_usrp_that_is_found_in_another_way_is_not_asked(address):
    (found,) = findings("usrp", address)
    assert found.state == "unchecked"
    assert "uhd_find_devices" in found.remedy


def test_radios_of_others_are_asked_by_their_drivers_alone():
    assert findings("sim", None) == []
    assert [f.state for f in findings("mine", "tty0")] == ["unchecked"]


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("ip:127.0.0.1:30431", True), ("ip:localhost", True),
        ("addr=127.0.0.2", True), ("addr0=127.0.0.2,addr1=127.0.0.3", True),
        ("addr0=127.0.0.2,addr1=192.168.10.2", False), ("ip:192.168.2.1", False),
        ("ip:pluto.local", False), ("type=b200", False), (None, False),
    ],
)  # fmt: skip
def test_loopback_addresses_are_known(address, local):
    assert is_local(RadioSection(kind="x", address=address)) == local


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Writes a module that shadows an installed one, in processes that start from here on."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return lambda module, text: (tmp_path / f"{module}.py").write_text(text)


def test_software_that_is_there_is_told_with_versions(environment):
    environment("iio", "version = (0, 24, 'v0.24')")
    environment("adi", "")
    found = software_of("pluto")
    assert found.state == "ok"
    assert found.found.startswith("libiio 0.24, ")


def test_a_missing_module_is_named_with_the_line_that_brings_it(environment):
    environment("adi", "import a_module_that_is_missing")
    environment("iio", "version = (0, 24, 'v0.24')")
    found = software_of("pluto")
    assert found.state == "missing"
    assert "a_module_that_is_missing" in found.found
    assert found.remedy == "pip install 'isac-testbed[pluto]'"


def test_a_binding_whose_library_is_missing_is_not_asked_for_again(environment):
    environment("iio", "import ctypes; ctypes.CDLL(None).iio_get_backends_count")
    found = software_of("pluto")
    assert "undefined symbol" in found.found
    assert found.remedy.endswith("apt-get install libiio0")


def test_a_uhd_that_is_built_for_an_older_numpy_needs_its_environment(environment):
    environment(
        "uhd", "import sys; sys.stderr.write('... was compiled using NumPy 1.x cannot ...')"
    )
    found = software_of("usrp")
    assert found.state == "missing"
    assert "crashes with numpy" in found.found
    assert found.remedy.startswith("make usrp-env")


def test_a_library_that_crashes_takes_nobody_with_it(environment):
    environment("uhd", "import os; os.abort()")
    found = software_of("usrp")
    assert (found.state, found.found) == ("missing", "loading it ended with signal 6")


def test_kinds_that_need_nothing_and_kinds_that_nobody_provides():
    assert software_of("sim").state == "ok"
    assert software_of("replay").found == "part of isac-testbed"
    assert software_of("plutto").state == "missing"


def test_small_socket_buffers_are_told_with_the_line_that_grows_them(tmp_path):
    (tmp_path / "net/core").mkdir(parents=True)
    (tmp_path / "net/core/rmem_max").write_text("212992\n")
    (tmp_path / "net/core/wmem_max").write_text("2500000\n")
    found = socket_buffers(tmp_path)
    assert found.state == "advice"
    assert found.found == "rmem_max 0.21 MB, wmem_max 2.50 MB"
    assert found.remedy.startswith("sysctl -w net.core.rmem_max=33554432 (")
    (tmp_path / "net/core/rmem_max").write_text("33554432\n")
    assert socket_buffers(tmp_path).state == "ok"


def test_a_transmit_configuration_is_held_against_the_site(tmp_path):
    site, place = as_site(tiny()), tmp_path / "transmit.yaml"
    assert transmitting(site, [place]).state == "advice"
    assert transmitting(site, [place], all_local=True).state == "ok"
    written_for = {
        "bands: [{low_mhz: 1, high_mhz: 9000, max_power_dbm: 0}]": "ok",
        "bands: [{low_mhz: 1, high_mhz: 2, max_power_dbm: 0}]": "advice",
        "cabled: true": "ok",
        "bands: 3": "missing",
    }
    for text, state in written_for.items():
        place.write_text(text)
        place.chmod(0o600)
        assert transmitting(site, [place]).state == state, text


def site_with(first, second):
    """Four nodes, two of them with these radios and two with simulated ones."""
    return changed(tiny(), {"nodes.0.radio": first, "nodes.1.radio": second})


def test_the_command_tells_of_every_radio_and_ends_with_status_1_for_what_is_missing(
    tmp_path, environment
):
    environment("uhd", "import missing_on_purpose")
    environment("iio", "version = (0, 24, 'v0.24')")
    environment("adi", "")
    with iiod(b"0.24.v0.24  \n") as address:
        pluto = {"kind": "pluto", "address": address}
        path = write_site(tmp_path, site_with(pluto, {"kind": "usrp", "address": "addr=127.0.0.9"}))
        outcome = call("doctor", path, "--json")
    told = json.loads(outcome.out)
    assert outcome.code == 1
    assert not told["ready"]
    assert {(f["subject"], f["check"]): f["state"] for f in told["findings"]} == {
        ("pluto", "software"): "ok",
        ("sim", "software"): "ok",
        ("usrp", "software"): "missing",
        ("a", "address"): "ok",
        ("b", "address"): "missing",
        ("this host", "socket buffers"): told["findings"][-2]["state"],
        ("this host", "transmitting"): "ok",
    }


def test_the_command_ends_well_where_nothing_is_missing_and_keeps_a_line_to_type_whole(
    tmp_path, environment
):
    environment("iio", "version = (0, 24, 'v0.24')")
    environment("adi", "")
    usb = {"kind": "pluto", "address": "usb:1.2.5"}
    path = write_site(tmp_path, site_with(usb, {"kind": "plutto"}))
    outcome = call("doctor", path, "--node", "a")
    assert outcome.code == 0, outcome.out
    assert "nothing missing" in outcome.out
    assert "a, address: iio_info -S lists what is there\n" in outcome.out
    assert call("doctor", path).code == 1
    assert call("doctor", path, "--node", "z").code == 2
