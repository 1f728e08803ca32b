"""All that can be said about the radios of a site, from this host."""

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from testbed.build import build_nodes, radio_sections
from testbed.doctor.addresses import addresses_of, is_local
from testbed.doctor.finding import Finding
from testbed.doctor.host import socket_buffers, transmitting
from testbed.doctor.software import software_of
from testbed.site import Site

# Radios that send nothing of their own.
_SILENT = {"sim", "replay"}


def examine(site: Site, node_ids: Collection[str]) -> list[Finding]:
    """Findings about some nodes' radios, their software and this host; nothing is left out.

    Devices are asked all at once, a second each, so that a dead lab is told as fast as a live one.
    """
    nodes = [node for node in build_nodes(site, 0) if node.node_id in node_ids]
    sections = radio_sections(site, nodes)
    kinds = sorted({section.kind for section in sections.values()})
    with ThreadPoolExecutor(max_workers=32) as pool:
        software = pool.map(software_of, kinds)
        addresses = pool.map(lambda item: list(addresses_of(*item)), sections.items())
        findings = [*software, *(finding for found in addresses for finding in found)]
    if "usrp" in kinds:
        findings.append(socket_buffers())
    sending = [section for section in sections.values() if section.kind not in _SILENT]
    if sending:
        findings.append(transmitting(site, all_local=all(map(is_local, sending))))
    return findings
