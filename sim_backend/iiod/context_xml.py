"""The description of an IIO context that clients ask for first."""

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import quoteattr

from sim_backend.iiod.attributes import Attribute, Channel, Device

# Clients parse the document against no external file; the type definition stands inside, as the
# daemon sends it.
_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE context ['
    "<!ELEMENT context (device | context-attribute)*>"
    "<!ELEMENT context-attribute EMPTY>"
    "<!ELEMENT device (channel | attribute | debug-attribute | buffer-attribute)*>"
    "<!ELEMENT channel (scan-element?, attribute*)>"
    "<!ELEMENT attribute EMPTY><!ELEMENT scan-element EMPTY>"
    "<!ELEMENT debug-attribute EMPTY><!ELEMENT buffer-attribute EMPTY>"
    "<!ATTLIST context name CDATA #REQUIRED description CDATA #IMPLIED>"
    "<!ATTLIST context-attribute name CDATA #REQUIRED value CDATA #REQUIRED>"
    "<!ATTLIST device id CDATA #REQUIRED name CDATA #IMPLIED>"
    "<!ATTLIST channel id CDATA #REQUIRED type (input|output) #REQUIRED name CDATA #IMPLIED>"
    "<!ATTLIST scan-element index CDATA #REQUIRED format CDATA #REQUIRED scale CDATA #IMPLIED>"
    "<!ATTLIST attribute name CDATA #REQUIRED filename CDATA #IMPLIED>"
    "<!ATTLIST debug-attribute name CDATA #REQUIRED>"
    "<!ATTLIST buffer-attribute name CDATA #REQUIRED>]>"
)


def context_xml(description: str, about: Mapping[str, str], devices: Sequence[Device]) -> str:
    """The document: attributes of the context with their values, everything else by name."""
    inside = [_element("context-attribute", name=n, value=v) for n, v in about.items()]
    inside += [_device(device) for device in devices]
    return _HEAD + _element("context", inside, name="local", description=description)


def _device(device: Device) -> str:
    inside = [_channel(channel) for channel in device.channels]
    for tag, attributes in (
        ("attribute", device.attributes),
        ("buffer-attribute", device.buffer_attributes),
        ("debug-attribute", device.debug_attributes),
    ):
        inside += [_element(tag, name=name) for name in attributes or ()]
    return _element("device", inside, id=device.device_id, name=device.name)


def _channel(channel: Channel) -> str:
    inside = []
    if channel.scan_index is not None:
        index = str(channel.scan_index)
        inside.append(_element("scan-element", index=index, format=channel.scan_format))
    inside += [
        _element("attribute", name=a.name, filename=a.filename or _filename(channel, a))
        for a in channel.attributes.values()
    ]
    way = "output" if channel.is_output else "input"
    return _element("channel", inside, id=channel.channel_id, type=way, name=channel.name)


def _filename(channel: Channel, attribute: Attribute) -> str:
    """As Linux names the file: direction, channel, its name, attribute."""
    parts = ("out" if channel.is_output else "in", channel.channel_id, channel.name)
    return "_".join([*(part for part in parts if part), attribute.name])


def _element(tag: str, inside: Sequence[str] = (), **values: str) -> str:
    shown = "".join(f" {name}={quoteattr(value)}" for name, value in values.items() if value)
    return f"<{tag}{shown}>{''.join(inside)}</{tag}>" if inside else f"<{tag}{shown} />"
