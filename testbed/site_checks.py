"""Rules across the fields of a site file, and how a broken rule within a field reads."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

import msgspec

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S
from testbed.site import ArraySection, Site, drawn_node_id
from testbed.site_services import services_problems

# An OFDM symbol of more tones than this is beyond any transform a radio or this project makes.
_MAX_SUBCARRIERS = 1 << 17
_MAX_CARRIER_MHZ = 300_000.0
_MAX_SYMBOL_S = 0.01  # in a longer one, everything that moves has moved
_MIN_SEPARATION_M = 0.01
_MIN_TARGET_DISTANCE_M = 0.1
_MIN_SIDE_M = 0.1


def site_problems(site: Site) -> list[str]:
    """Every broken rule of a site, one line each; empty if it is sound."""
    return list(_not_finite(site)) or [
        *_names(site), *_waveform(site), *_area(site), *_nodes(site), *_arrays(site),
        *_echoes(site), *_sensing(site), *_simulation(site),
        *services_problems(site.services, node_ids(site)),
    ]  # fmt: skip


def num_nodes(site: Site) -> int:
    """Nodes that the site has, drawn or listed."""
    return site.uniform_nodes.num_nodes if site.uniform_nodes else len(site.nodes)


def node_ids(site: Site) -> list[str]:
    """Ids of the site's nodes, drawn or listed."""
    if site.uniform_nodes:
        return [drawn_node_id(n) for n in range(site.uniform_nodes.num_nodes)]
    return [node.node_id for node in site.nodes]


def _numbers(value: object, place: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield place, value
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _numbers(item, f"{place}[{index}]")
    elif hasattr(value, "__struct_fields__"):
        for field in value.__struct_fields__:
            yield from _numbers(getattr(value, field), f"{place}.{field}")


def _not_finite(site: Site) -> Iterator[str]:
    for place, number in _numbers(site, "$"):
        infinite_allowed = place.endswith("front_to_back_db") and number > 0.0
        if math.isnan(number) or (math.isinf(number) and not infinite_allowed):
            yield f"{place}: must be a finite number, got {number}"


def _names(site: Site) -> Iterator[str]:
    names = [("$.name", site.name)]
    names += [
        (f"$.locations[{n}].location_id", x.location_id) for n, x in enumerate(site.locations)
    ]
    names += [(f"$.nodes[{n}].node_id", x.node_id) for n, x in enumerate(site.nodes)]
    for place, name in names:
        if not name.isprintable():
            yield f"{place}: must be printable characters on one line, got {name!r}"


def _waveform(site: Site) -> Iterator[str]:
    waveform = site.waveform
    bandwidth_mhz = waveform.num_subcarriers * waveform.subcarrier_spacing_khz / 1e3
    if waveform.num_subcarriers > _MAX_SUBCARRIERS:
        yield (
            f"$.waveform.num_subcarriers: no radio sends more than {_MAX_SUBCARRIERS} tones in "
            f"one symbol, got {waveform.num_subcarriers}"
        )
    if bandwidth_mhz >= waveform.carrier_mhz:
        yield (
            f"$.waveform: the band must lie above 0 Hz, but {waveform.num_subcarriers} tones of "
            f"{waveform.subcarrier_spacing_khz:g} kHz are {bandwidth_mhz:g} MHz about a carrier of "
            f"{waveform.carrier_mhz:g} MHz; is carrier_mhz given in GHz, or "
            "subcarrier_spacing_khz in Hz?"
        )
    least_khz = 1e-3 / _MAX_SYMBOL_S
    if waveform.subcarrier_spacing_khz < least_khz:
        yield (
            f"$.waveform.subcarrier_spacing_khz: at least {least_khz:g} kHz, or a symbol lasts "
            f"longer than {1e3 * _MAX_SYMBOL_S:g} ms, got {waveform.subcarrier_spacing_khz:g}; is "
            "it given in MHz?"
        )
    if waveform.carrier_mhz > _MAX_CARRIER_MHZ:
        yield (
            f"$.waveform.carrier_mhz: at most {_MAX_CARRIER_MHZ:g} MHz, got "
            f"{waveform.carrier_mhz:g}; is it given in Hz or kHz?"
        )


def _area(site: Site) -> Iterator[str]:
    x_min, y_min, x_max, y_max = site.area_m
    if x_min >= x_max or y_min >= y_max:
        yield (
            "$.area_m: must be [x_min, y_min, x_max, y_max] with x_min < x_max and "
            f"y_min < y_max, got {list(site.area_m)}"
        )
    elif min(x_max - x_min, y_max - y_min) < _MIN_SIDE_M:
        yield (
            f"$.area_m: each side must be at least {_MIN_SIDE_M:g} m long, got {list(site.area_m)}"
        )


def _nodes(site: Site) -> Iterator[str]:
    if site.uniform_nodes and (site.nodes or site.locations):
        yield "$: give either uniform_nodes or locations and nodes, not both"
        return
    if not site.uniform_nodes and len(site.nodes) < 2:
        yield (
            "$.nodes: at least two nodes are needed, a transmitter and a receiver, got "
            f"{len(site.nodes)} (or give uniform_nodes)"
        )
    yield from _duplicates("$.locations", "location_id", [x.location_id for x in site.locations])
    yield from _duplicates("$.nodes", "node_id", [x.node_id for x in site.nodes])
    yield from _duplicates("$.nodes", "location_id", [x.location_id for x in site.nodes])
    known = {location.location_id for location in site.locations}
    for index, node in enumerate(site.nodes):
        if node.location_id not in known:
            yield (
                f"$.nodes[{index}].location_id: must be one of $.locations, got "
                f"{node.location_id!r}"
            )
    for n, first in enumerate(site.locations):
        for m in range(n):
            second = site.locations[m]
            if math.dist(first.position_m, second.position_m) < _MIN_SEPARATION_M:
                yield (
                    f"$.locations[{n}].position_m: {first.location_id!r} and "
                    f"{second.location_id!r} are at one place, {list(first.position_m)}"
                )


def _duplicates(place: str, field: str, names: list[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{place}: {field} must be unique, {name!r} is given {count} times"


def _arrays(site: Site) -> Iterator[str]:
    sections: list[tuple[str, ArraySection | None]] = [
        ("$.node_defaults", site.node_defaults.array),
        *((f"$.nodes[{n}]", node.array) for n, node in enumerate(site.nodes)),
    ]
    for place, array in sections:
        if array and array.num_elements > 1 and array.spacing_wavelengths > 0.5:
            yield (
                f"{place}.array.spacing_wavelengths: at most 0.5, or one echo has several "
                f"angles (grating lobes), got {array.spacing_wavelengths:g}"
            )


def _echoes(site: Site) -> Iterator[str]:
    """Rule that the delay of every echo is told apart from its aliases, ``1 / spacing`` away."""
    x_min, y_min, x_max, y_max = site.area_m
    corners = [(x_min, y_min), (x_min, y_max), (x_max, y_min), (x_max, y_max)]
    stands = [location.position_m for location in site.locations] or corners
    longest_m = 2.0 * max(math.dist(stand, corner) for stand in stands for corner in corners)
    spacing_khz = site.waveform.subcarrier_spacing_khz
    alias_m = SPEED_OF_LIGHT_M_PER_S / (1e3 * spacing_khz)
    if longest_m > alias_m:
        yield (
            f"$.waveform.subcarrier_spacing_khz: tones {spacing_khz:g} kHz apart cannot tell paths "
            f"that differ by {alias_m:.4g} m, but echoes from area_m travel up to {longest_m:.4g} "
            "m; is subcarrier_spacing_khz given in Hz, or a position not in metres?"
        )


def _sensing(site: Site) -> Iterator[str]:
    count = num_nodes(site)
    if count < 2:
        return  # said already
    if site.sensing.num_receivers >= count:
        yield (
            f"$.sensing.num_receivers: must leave one of the {count} nodes to transmit, so at "
            f"most {count - 1}, got {site.sensing.num_receivers}"
        )
    patterns = [site.node_defaults.receive_pattern, *(n.receive_pattern for n in site.nodes)]
    if site.sensing.bearing == "angle" and any(
        p and (p.kind != "sector" or p.field_of_view_deg > 180.0) for p in patterns
    ):
        yield (
            "$.sensing.bearing: must be 'sine' where an array hears from behind (its angle is "
            "known to within front and back only), got 'angle' with a receive_pattern that is "
            "not a sector of at most 180 degrees"
        )


def _simulation(site: Site) -> Iterator[str]:
    target = site.simulation.target_m
    x_min, y_min, x_max, y_max = site.area_m
    if target and not (x_min <= target[0] <= x_max and y_min <= target[1] <= y_max):
        yield (
            f"$.simulation.target_m: must lie inside area_m {list(site.area_m)}, got {list(target)}"
        )
    for location in site.locations:
        if target and math.dist(target, location.position_m) < _MIN_TARGET_DISTANCE_M:
            yield (
                f"$.simulation.target_m: must be at least {_MIN_TARGET_DISTANCE_M} m from every "
                f"node (a point echo has no strength there), got {list(target)} at location "
                f"{location.location_id!r}"
            )


_KINDS = {
    "object": "a mapping of keys to values", "array": "a list", "str": "text",
    "bool": "true or false", "int": "a whole number", "float": "a number",
}  # fmt: skip


def readable(message: str, raw: object, structure: type = Site) -> str:
    """A broken rule within a field as one line in a site file's words: place, rule and value.

    Parameters
    ----------
    message
        Of the ``msgspec.ValidationError`` from converting `raw` to a `Site`.
    raw
        What was converted.
    structure
        To what.
    """
    rule, _, place = message.rpartition(" - at `")
    rule, place = (rule, place.rstrip("`")) if rule else (message, "$")
    kind, value = _found_at(place, raw, structure)
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", rule, re.DOTALL):
        known = [field.name for field in getattr(kind, "fields", ())]
        close = get_close_matches(match[1], known, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}"
        return f"{place}: unknown key {match[1][:60]!r}; {remedy}"
    if match := re.fullmatch(r"Object missing required field `(.*)`", rule):
        return f"{place}: the key {match[1]!r} is missing"
    match = re.fullmatch(r"Expected `(\w+)[^`]*`([^,]*).*", rule)
    if isinstance(kind, msgspec.inspect.LiteralType):
        needed = "must be " + " or ".join(str(choice) for choice in kind.values)
    elif match:
        needed = f"must be {_KINDS.get(match[1], match[1])}{match[2]}"
    else:
        needed = rule
    quotes = "; put it in quotes" if match and match[1] == "str" and value is not None else ""
    return f"{place}: {needed}, got {_shown(value)}{quotes if not isinstance(value, str) else ''}"


def _found_at(place: str, raw: object, structure: type) -> tuple[msgspec.inspect.Type, object]:
    """What a site holds at a place such as ``$.nodes[0].radio``: its type, and the value."""
    kind: Any = msgspec.inspect.type_info(structure)
    value: Any = raw
    for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", place):
        kind = _not_none(kind)
        value = value[key] if key else value[int(index)]
        if key:
            kind = next(field.type for field in kind.fields if field.name == key)
        else:
            kind = getattr(kind, "item_type", None) or kind.item_types[int(index)]
    return _not_none(kind), value


def _not_none(kind: Any) -> Any:
    """A type without its ``None``."""
    if not isinstance(kind, msgspec.inspect.UnionType):
        return kind
    return next(t for t in kind.types if not isinstance(t, msgspec.inspect.NoneType))


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value!r:.60}" if isinstance(value, str) else f"{value!s:.60}"
