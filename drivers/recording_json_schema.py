"""JSON schema of the ``isac`` namespace, with what its docstrings say of each field."""

import inspect
import re
from typing import Any

import msgspec

from drivers.recording_parts import (
    BurstFields,
    DemodulationFields,
    GridFields,
    NodeFields,
    PatternFields,
    TransmissionFields,
    TuningFields,
)
from drivers.recording_schema import NAMESPACE, IqFields, PilotsFields


def namespace_schema() -> dict[str, Any]:
    """JSON schema of the namespace (of the ``isac:`` fields of one global object)."""
    schema = msgspec.json.schema(IqFields | PilotsFields)
    records = (IqFields, PilotsFields)
    parts = (
        BurstFields, DemodulationFields, GridFields, NodeFields, PatternFields,
        TransmissionFields, TuningFields,
    )  # fmt: skip
    for structure in (*records, *parts):
        definition = schema["$defs"][structure.__name__]
        definition["description"] = (inspect.getdoc(structure) or "").partition("\n")[0]
        described = {"record_type": "Whether it is a block or a capture."}
        described |= _field_descriptions(structure)
        for name, field in definition["properties"].items():
            text = described.get(name.removeprefix(f"{NAMESPACE}:"))
            if text:
                field["description"] = text
    return schema


def _field_descriptions(structure: type) -> dict[str, str]:
    """Text of each field in the docstrings of a structure and its bases, by name."""
    found: dict[str, str] = {}
    for base in reversed(structure.__mro__):
        entries = (base.__doc__ or "").partition("----------\n")[2]
        for names, text in re.findall(r"^    (\w.*)\n((?:        .*\n)+)", entries, re.MULTILINE):
            found.update(dict.fromkeys(names.split(", "), " ".join(text.split())))
    return found
