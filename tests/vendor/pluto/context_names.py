"""Names of a context: ``python -m tests.vendor.pluto.context_names NAME=FILE ...``.

Prints, as JSON, what the contexts of real boards have, for each of the given names. The files are
those that the package pytest-libiio 0.2.0 (BSD-3) brings, ``pluto=.../pluto.xml``,
``fmcomms2=.../fmcomms2-3.xml`` and ``fmcomms5=.../fmcomms5.xml``; ``real_contexts.json`` was made
of them. The settings of the device tree, whose names begin with ``adi,``, are left out, as they
are in the software devices.
"""

import json
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

LEFT_OUT = "adi,"


def context_names(document: str) -> list[str]:
    """Names of everything a client can ask for, sorted: devices, channels and attributes."""
    names = set()
    for device in ET.fromstring(document).iter("device"):  # noqa: S314  our own files
        where = device.get("name") or str(device.get("id"))
        names.add(where)
        for kind in ("attribute", "buffer-attribute", "debug-attribute"):
            names |= {f"{where} {kind} {a.get('name')}" for a in device.findall(kind)}
        for channel in device.findall("channel"):
            scan = channel.find("scan-element")
            of = f"{where} {channel.get('type')} {channel.get('id')} {channel.get('name') or ''}"
            names.add(f"{of} {'' if scan is None else sorted(scan.attrib.items())}")
            names |= {f"{of} {a.get('name')}" for a in channel.findall("attribute")}
    return sorted(name for name in names if LEFT_OUT not in name)


if __name__ == "__main__":
    given = [argument.partition("=") for argument in sys.argv[1:]]
    found = {name: context_names(Path(file).read_text()) for name, _, file in given}
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
