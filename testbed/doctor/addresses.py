"""Whether radios answer at their addresses, by the first words of their own protocols."""

import re
import socket
from collections.abc import Iterator

from drivers.loopback import is_this_host
from drivers.pluto.options import IIOD_PORT, host_and_port
from drivers.usrp.address import board_addresses, discovery_of
from testbed.doctor.finding import Finding
from testbed.site import RadioSection

_ANSWER_S = 1.0
_WITH_MPM = {"n3xx", "e3xx", "x4xx", "mpmd"}
_EMULATE = "if its radios are emulated: testbed emulate SITE.yaml"
_ADDRESS_REMEDIES = {
    "pluto": "radio: {kind: pluto, address: 'ip:HOST'}; iio_info -S lists what is there",
    "usrp": "radio: {kind: usrp, address: 'addr=HOST'}; uhd_find_devices lists what is there",
}


def addresses_of(node_id: str, section: RadioSection) -> Iterator[Finding]:
    """A finding for each device of a node's radio; none for radios that have no address."""
    remedy = _ADDRESS_REMEDIES.get(section.kind)
    if remedy is not None and not section.address:
        yield Finding(node_id, "address", "missing", "the site file has none", remedy)
    elif section.kind == "pluto":
        yield _pluto(node_id, section.address or "")
    elif section.kind == "usrp":
        yield from _usrp(node_id, section.address or "")
    elif section.address is not None:
        found = f"{section.address}: only the driver of {section.kind!r} knows how to ask"
        yield Finding(node_id, "address", "unchecked", found)


def _pluto(node_id: str, address: str) -> Finding:
    place = host_and_port(address)
    if place is None:
        found = f"{address}: not on a network, so it is not asked"
        return Finding(node_id, "address", "unchecked", found, "iio_info -S lists what is there")
    try:
        with socket.create_connection(place, timeout=_ANSWER_S) as connection:
            connection.settimeout(_ANSWER_S)
            connection.sendall(b"VERSION\r\n")
            answer = connection.recv(64).decode("ascii", "replace").strip()
    except OSError as error:
        remedy = "check power, cable and address"
        return _no_answer(node_id, address, place[0], _reason(error), remedy)
    if not re.match(r"\d+\.\d+\.", answer):
        remedy = f"check the port; a Pluto's is {IIOD_PORT}"
        found = f"answers {answer[:20]!r}, not as IIOD"
        return _no_answer(node_id, address, place[0], found, remedy)
    major, minor = answer.split(".")[:2]
    return Finding(node_id, "address", "ok", f"{address}: IIOD {major}.{minor} answers")


def _usrp(node_id: str, address: str) -> Iterator[Finding]:
    for arguments in board_addresses(address):
        place = discovery_of(arguments)
        # Others are found in other ways: B200 on USB, N200 and X300 with their own broadcasts.
        if place is None or arguments.get("type", "n3xx") not in _WITH_MPM:
            found = f"{address}: no USRP that MPM answers for, so it is not asked"
            yield Finding(node_id, "address", "unchecked", found, "uhd_find_devices tells")
        else:
            yield _mpm(node_id, *place)


def _mpm(node_id: str, host: str, port: int) -> Finding:
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(_ANSWER_S)
            asking.connect((host, port))
            asking.send(b"MPM-DISC")
            answer = asking.recv(4096).decode("utf-8", "replace")
    except OSError as error:
        remedy = (
            "check power, cable, address and that the host's own address is in its network; N200, "
            "X300 and B200 do not answer this question: uhd_find_devices"
        )
        return _no_answer(node_id, f"{host}, UDP {port}", host, _reason(error), remedy)
    magic, *pairs = answer.split(";")
    if magic != "USRP-MPM":
        found = f"answers {answer[:20]!r}, not as MPM"
        return _no_answer(node_id, f"{host}, UDP {port}", host, found, "check the address")
    known = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    device = f"{known.get('product', 'USRP')} {known.get('serial', '')}".strip()
    device += " (emulated)" if known.get("fpga") == "emulated" else ""
    if known.get("claimed") == "True":
        found = f"{host}: {device} answers, and another program holds it"
        return Finding(node_id, "address", "advice", found, "end the other one, unless it is yours")
    return Finding(node_id, "address", "ok", f"{host}: {device} answers")


def _no_answer(node_id: str, address: str, host: str, reason: str, remedy: str) -> Finding:
    remedy = _EMULATE if is_this_host(host) else remedy
    return Finding(node_id, "address", "missing", f"{address}: {reason}", remedy)


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_ANSWER_S:g} s"
    return error.strerror or str(error)


def is_local(section: RadioSection) -> bool:
    """Whether all devices of a radio are on loopback addresses, as emulated ones are."""
    address = section.address or ""
    if (place := host_and_port(address)) is not None:
        return is_this_host(place[0])
    places = [discovery_of(arguments) for arguments in board_addresses(address)]
    return all(place is not None and is_this_host(place[0]) for place in places)
