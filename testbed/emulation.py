"""From a site's radio sections to software radios at their addresses."""

from collections.abc import Iterator

from drivers.loopback import is_this_host
from drivers.node import Node
from drivers.pluto.options import host_and_port
from drivers.usrp.address import board_addresses, discovery_of
from sim_backend.iiod.personalities import Personality
from sim_backend.impairments import Impairments
from sim_backend.live_ether import LiveEther
from testbed.build import build_impairments, build_nodes, build_scene, radio_sections
from testbed.errors import UsageError
from testbed.services.hall import SoftwareRadio
from testbed.site import Site

_ELEMENTS_PER_E320 = 2
# Receive channels of a context, and its name in `sim_backend.iiod`.
_PERSONALITIES: dict[int, Personality] = {1: "pluto", 2: "fmcomms2", 4: "fmcomms5"}


def live_ether(site: Site, seed: int) -> LiveEther:
    """The scene of a seed in the host's time."""
    return LiveEther(build_scene(site, build_nodes(site, seed), seed))


def software_radios(site: Site, ether: LiveEther) -> list[SoftwareRadio]:
    """One for each device of the site, at the address that the site gives it; close them.

    Raises
    ------
    UsageError
        All nodes named whose radio cannot be emulated, and why.
    """
    radios: list[SoftwareRadio] = []
    problems: list[str] = []
    for node in build_nodes(site, ether.scene.seed):
        try:
            # One by one, so that those before one that fails are known, and closed.
            for radio in radios_of_node(site, ether, node.node_id):
                radios.append(radio)  # noqa: PERF402
        except UsageError as error:
            problems.append(f"node {node.node_id!r}: {error}")
        except OSError as error:
            problems.append(f"node {node.node_id!r}: its address cannot be had: {error.strerror}")
    if problems:
        for radio in radios:
            radio.close()
        raise UsageError("\n".join(problems))
    return radios


def radios_of_node(site: Site, ether: LiveEther, node_id: str) -> Iterator[SoftwareRadio]:
    """The devices of one node, one after the other.

    Raises
    ------
    UsageError
        If one cannot be emulated.
    OSError
        If its address cannot be had.
    """
    impairments = build_impairments(site)
    nodes = build_nodes(site, ether.scene.seed)
    index = [node.node_id for node in nodes].index(node_id)
    node, section = nodes[index], radio_sections(site, nodes)[node_id]
    address = section.address or ""
    if section.kind == "pluto":
        yield _pluto(ether, index, node, address, impairments)
    elif section.kind == "usrp":
        yield from _usrps(ether, index, node, address, impairments)
    else:
        msg = f"radios of kind {section.kind!r} cannot be emulated; pluto and usrp can"
        raise UsageError(msg)


def _pluto(
    ether: LiveEther, index: int, node: Node, address: str, impairments: Impairments
) -> SoftwareRadio:
    from sim_backend.iiod import SoftwarePluto

    place = host_and_port(address)
    if place is None:
        msg = f"a software Pluto needs an address ip:HOST:PORT on this machine, got {address!r}"
        raise UsageError(msg)
    size = node.array.num_elements
    if size not in _PERSONALITIES:
        msg = f"a software Pluto has {', '.join(map(str, _PERSONALITIES))} channels, not {size}"
        raise UsageError(msg)
    return SoftwarePluto(
        ether, index, impairments, _local(place[0]), place[1],
        personality=_PERSONALITIES[size], serial=f"emu-{ether.scene.seed}-{node.node_id}",
    )  # fmt: skip


def _usrps(
    ether: LiveEther, index: int, node: Node, address: str, impairments: Impairments
) -> Iterator[SoftwareRadio]:
    try:
        from sim_backend.mpm import SoftwareUsrp
    except ImportError as error:
        msg = f"software USRPs need {error.name}: pip install 'isac-testbed[emulate]'"
        raise UsageError(msg) from error
    hosts = _board_hosts(address)
    if len(hosts) * _ELEMENTS_PER_E320 < node.array.num_elements:
        msg = (
            f"{len(hosts)} E320 have {len(hosts) * _ELEMENTS_PER_E320} receive channels, the "
            f"node's array {node.array.num_elements} elements"
        )
        raise UsageError(msg)
    for board, host in enumerate(hosts):
        first = board * _ELEMENTS_PER_E320
        yield SoftwareUsrp(
            ether, index, impairments, _local(host),
            elements=slice(first, first + _ELEMENTS_PER_E320), board=board,
            serial=f"EMU{ether.scene.seed:04d}{index:02d}{board}",
        )  # fmt: skip


def _board_hosts(address: str) -> list[str]:
    """Hosts of the motherboards in UHD's device arguments, in their order."""
    places = [discovery_of(arguments) for arguments in board_addresses(address)]
    hosts = [place[0] for place in places if place is not None]
    if not hosts or len(hosts) < len(places):
        msg = f"a USRP needs an address like addr=192.168.10.2, got {address!r}"
        raise UsageError(msg)
    return hosts


def _local(host: str) -> str:
    """A host, if it is this machine."""
    if not is_this_host(host):
        msg = f"{host} is not this machine: software radios are emulated on 127.0.0.0/8 only"
        raise UsageError(msg)
    return "127.0.0.1" if host == "localhost" else host
