"""Rules across the fields of a site file."""

import math
from collections import Counter
from collections.abc import Iterator

from testbed.site import ArraySection, PatternSection, Site

# An OFDM symbol of more tones than this is beyond any transform a radio or this project makes.
_MAX_SUBCARRIERS = 1 << 17
_MAX_CARRIER_MHZ = 300_000.0
_MIN_SEPARATION_M = 0.01


def site_problems(site: Site) -> list[str]:
    """Every broken rule of a site, one line each; empty if it is sound."""
    return [
        *_not_finite(site), *_waveform(site), *_area(site), *_nodes(site), *_arrays(site),
        *_sensing(site), *_simulation(site),
    ]  # fmt: skip


def num_nodes(site: Site) -> int:
    """Nodes that the site has, drawn or listed."""
    return site.uniform_nodes.num_nodes if site.uniform_nodes else len(site.nodes)


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
            f"{waveform.carrier_mhz:g} MHz; is carrier_mhz given in GHz?"
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
    sections: list[tuple[str, ArraySection | None, PatternSection | None]] = [
        ("$.node_defaults", site.node_defaults.array, site.node_defaults.receive_pattern),
        *((f"$.nodes[{n}]", x.array, x.receive_pattern) for n, x in enumerate(site.nodes)),
    ]
    for place, array, _ in sections:
        if array and array.num_elements > 1 and array.spacing_wavelengths > 0.5:
            yield (
                f"{place}.array.spacing_wavelengths: at most 0.5, or one echo has several "
                f"angles (grating lobes), got {array.spacing_wavelengths:g}"
            )


def _sensing(site: Site) -> Iterator[str]:
    count = num_nodes(site)
    if site.sensing.num_receivers >= count:
        yield (
            f"$.sensing.num_receivers: must leave one of the {count} nodes to transmit, so at "
            f"most {count - 1}, got {site.sensing.num_receivers}"
        )


def _simulation(site: Site) -> Iterator[str]:
    target = site.simulation.target_m
    x_min, y_min, x_max, y_max = site.area_m
    if target and not (x_min <= target[0] <= x_max and y_min <= target[1] <= y_max):
        yield (
            f"$.simulation.target_m: must lie inside area_m {list(site.area_m)}, got {list(target)}"
        )
