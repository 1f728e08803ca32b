"""From a site's radio sections to open radios, each behind this host's transmit interlock."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated

import msgspec

from calibration.dictionary_entry import RadioIdentity
from drivers.interlock import TransmitBand, TransmitLimits
from drivers.interlocked_radio import InterlockedRadio
from drivers.node import Node
from drivers.radio import Radio, RadioSpec
from drivers.radio_errors import RadioError
from drivers.registry import RadioFactory, open_radio
from sim_backend.ether import Ether
from sim_backend.faults import FaultKind
from sim_backend.radio import SimRadio, simulated_serial
from testbed.build import build_impairments, radio_sections
from testbed.host import load_transmit_limits
from testbed.site import Site

# What makes no wave needs nobody's permission.
_NOTHING_RADIATED = TransmitLimits(
    bands=(TransmitBand(0.0, float("inf"), float("inf")),),
    max_transmission_s=60.0,
    duty_cycle=float("inf"),
    lease_s=float("inf"),
)


class _SimulatedOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Options of a simulated radio in a site file.

    Attributes
    ----------
    unit
        Which piece of hardware the node has, whose errors it has; its own, if left out. Another
        number is a node that was replaced.
    boards
        Motherboards that share the elements, each with oscillators and a time of its own.
    """

    unit: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] | None = None
    boards: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1


class RadiosError(RadioError):
    """Radios of a site that could not be opened, one line each, each with its remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        lines = list(dict.fromkeys(problems))
        super().__init__(
            "\n".join(lines), "or add --simulate, to replace every radio by a simulated one"
        )


def open_radios(
    site: Site, nodes: Sequence[Node], provided: Mapping[str, RadioFactory]
) -> dict[str, Radio]:
    """Open the radio of every node, or none: what cannot be opened is all named.

    Parameters
    ----------
    provided
        Factories beside those of installed packages, by kind.

    Raises
    ------
    RadiosError
    """
    sections = radio_sections(site, nodes)
    opened: dict[str, Radio] = {}
    problems: list[str] = []
    for node in nodes:
        section = sections[node.node_id]
        spec = RadioSpec(
            node.node_id, node.array.num_elements, section.address, dict(section.options)
        )
        try:
            opened[node.node_id] = interlocked(open_radio(section.kind, spec, provided))
        except RadioError as error:
            problems.append(str(error))
    if problems:
        close_radios(opened)
        raise RadiosError(problems)
    return opened


def interlocked(radio: Radio) -> InterlockedRadio:
    """A radio behind the limits of this host; those that radiate nothing behind none."""
    radiates = radio.info.capabilities.radiates
    return InterlockedRadio(radio, load_transmit_limits() if radiates else _NOTHING_RADIATED)


def close_radios(radios: Mapping[str, Radio]) -> None:
    """Close all, whatever one of them says to it."""
    for radio in radios.values():
        with suppress(RadioError):
            radio.close()


def simulated_radios(site: Site, ether: Ether) -> RadioFactory:
    """Factory of a site's simulated radios, all in one ether."""
    impairments = build_impairments(site)
    index = {node.node_id: n for n, node in enumerate(ether.scene.nodes)}

    def make(spec: RadioSpec) -> Radio:
        probability: dict[FaultKind, float] = {
            fault.kind: fault.probability
            for fault in site.simulation.faults
            if fault.node_id in (None, spec.node_id)
        }
        options = _simulated_options(spec.node_id, spec.options)
        return SimRadio(
            ether, index[spec.node_id], impairments, probability, options.unit, options.boards
        )

    return make


def simulated_identities(site: Site, nodes: Sequence[Node], seed: int) -> dict[str, RadioIdentity]:
    """Which simulated radios a site's nodes have, by node id."""
    sections = radio_sections(site, nodes)
    return {
        name: RadioIdentity(
            "sim", simulated_serial(seed, name, _simulated_options(name, section.options).unit)
        )
        for name, section in sections.items()
    }


def _simulated_options(node_id: str, options: Mapping[str, object]) -> _SimulatedOptions:
    try:
        return msgspec.convert(dict(options), _SimulatedOptions)
    except msgspec.ValidationError as error:
        msg = f"node {node_id!r}: radio options: {error}"
        raise RadioError(msg, "correct them in the site file") from error
