"""How time and memory grow with the sizes of the problem, over a decade each where that fits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import comb, log
from typing import Any

import msgspec
import numpy as np

from fusion.belief import Belief
from fusion.planning import best_configuration
from processing.detect import detect
from processing.report import LinkReport
from testbed.bench.fusing import drawn_network, hypothesis_of, information_about
from testbed.bench.measuring import peak_memory_bytes, timed
from testbed.bench.simulating import median
from testbed.bench.workload import Sizes, Workload
from testbed.build import Overrides, overridden
from testbed.site import Site

_REPEATS = 5
_DETECTION_SNR = 18.0
_LINK_SNR = 1e3


@dataclass(frozen=True)
class Curve:
    """Time and memory of one piece of work against one size.

    Attributes
    ----------
    sizes
        Ascending.
    time_s, peak_memory_bytes
        At each size.
    expected_exponent
        What the mathematics grows with at most: FFTs count as linear.
    """

    work: str
    against: str
    sizes: tuple[int, ...]
    time_s: tuple[float, ...]
    peak_memory_bytes: tuple[int, ...]
    expected_exponent: float

    @property
    def time_exponent(self) -> float:
        """Slope of time over size, both in logarithms."""
        return fitted_exponent(self.sizes, self.time_s)

    @property
    def memory_exponent(self) -> float | None:
        """The same of memory, ``None`` where some size shows none."""
        if min(self.peak_memory_bytes) <= 0:
            return None
        return fitted_exponent(self.sizes, self.peak_memory_bytes)


def fitted_exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Exponent of the power of size that fits values best, by least squares in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


@dataclass(frozen=True)
class Sweep:
    """One piece of work at several sizes; `prepare` makes it ready for one."""

    work: str
    against: str
    sizes: tuple[int, ...]
    expected_exponent: float
    prepare: Callable[[Site, int], Callable[[], Any]]


def _at(site: Site, *, num_tones: int | None = None, num_elements: int | None = None) -> Workload:
    if num_elements is not None:
        site = overridden(site, Overrides(num_elements=num_elements))
    if num_tones is not None:
        waveform = msgspec.structs.replace(site.waveform, num_subcarriers=num_tones)
        site = msgspec.structs.replace(site, waveform=waveform)
    return Workload(site)


def _map(load: Workload) -> Callable[[], Any]:
    residual, processor = load.residual, load.processor
    return lambda: processor.map_of(residual)


def _detection(load: Workload) -> Callable[[], Any]:
    found, cfar, (low_s, high_s) = load.found, load.processor.cfar, load.delay_limits_s
    return lambda: detect(found, cfar, min_delay_s=low_s, max_delay_s=high_s, max_candidates=5)


def _report(load: Workload) -> Callable[[], Any]:
    capture = load.capture
    load.report(capture)
    return lambda: load.report(capture)


def _median(load: Workload) -> Callable[[], Any]:
    return median(Workload(load.site, Sizes(num_captures=10))).run


def _median_of(site: Site, count: int) -> Callable[[], Any]:
    site = msgspec.structs.replace(
        site, waveform=msgspec.structs.replace(site.waveform, num_subcarriers=660)
    )
    return median(Workload(site, Sizes(num_captures=count))).run


def _planning(site: Site, num_nodes: int, num_receivers: int) -> Callable[[], Any]:
    load = Workload(site)
    network = drawn_network(load, num_nodes)
    information = information_about(network, load.simulation.target_m)
    return lambda: best_configuration(network, information, np.zeros(3), num_receivers)


def _belief(site: Site, num_links: int) -> Callable[[], Any]:
    """An update with the reports of so many links that all see the target."""
    load = Workload(site)
    network = drawn_network(load, 40)
    target_m = load.simulation.target_m
    snr = network.snr(target_m[None], np.ones(1))[0]
    tx = int(np.argmax(np.sum(snr > _LINK_SNR, axis=1)))
    receivers = np.argsort(-snr[tx], kind="stable")[:num_links]
    sender = network.nodes[tx]
    reports = []
    for rx in receivers:
        receiver = network.nodes[int(rx)]
        seen = hypothesis_of(sender, receiver, network, target_m, max(snr[tx, rx], _LINK_SNR))
        reports.append(
            LinkReport(
                sender.node_id, receiver.node_id, 0, (seen,), _DETECTION_SNR, 1e-12, True, 0, None
            )
        )

    def update() -> None:
        Belief(network, site.area_m, 1.0).update(reports)

    return update


def _sweeps(site: Site) -> list[Sweep]:
    tones, elements = site.waveform.num_subcarriers, site.node_defaults.array.num_elements
    over_tones = _steps(tones)
    over_elements = _steps(elements)
    found = []
    for work, prepare, flat in (
        ("range-angle map", _map, False), ("CFAR and suppression", _detection, True),
        ("report", _report, False), ("median", _median, False),
    ):  # fmt: skip
        along_tones = _prepared(prepare, "num_tones")
        along_elements = _prepared(prepare, "num_elements")
        found.append(Sweep(work, "tones K", over_tones, 1.0, along_tones))
        found.append(Sweep(work, "elements M", over_elements, 0.0 if flat else 1.0, along_elements))
    # Ordered merges take n log^2 n comparisons; a selection alone could do with n.
    captures = (7, 14, 28, 70)
    merging = 1.0 + 2.0 * log(log(captures[-1]) / log(captures[0])) / log(10.0)
    found.append(Sweep("median", "captures N_BG", captures, merging, _median_of))
    for receivers, nodes in ((1, (40, 80, 160, 400)), (3, (10, 20, 40, 100))):
        prepare_planning = _planning_of(receivers)
        name = f"P2, N_r = {receivers}"
        found.append(Sweep(name, "nodes N", nodes, receivers + 1.0, prepare_planning))
    sets = {40 * comb(39, count): count for count in (1, 2, 3)}
    found.append(
        Sweep("P2, N_r = 1, 2, 3", "sets", tuple(sets), 1.0, lambda s, n: _planning(s, 40, sets[n]))
    )
    found.append(Sweep("belief", "links", (1, 2, 4, 10), 2.0, _belief))
    return found


def _steps(largest: int) -> tuple[int, ...]:
    """Four sizes over a decade, the largest last."""
    return tuple(sorted({max(1, round(largest / part)) for part in (10, 5, 2.5, 1)}))


def _prepared(
    prepare: Callable[[Workload], Callable[[], Any]], size: str
) -> Callable[[Site, int], Callable[[], Any]]:
    def at(site: Site, value: int) -> Callable[[], Any]:
        return prepare(_at(site, **{size: value}))

    return at


def _planning_of(num_receivers: int) -> Callable[[Site, int], Callable[[], Any]]:
    return lambda site, num_nodes: _planning(site, num_nodes, num_receivers)


def num_curves(site: Site) -> int:
    """How many `measured_curves` yields."""
    return len(_sweeps(site))


def measured_curves(site: Site) -> Iterator[Curve]:
    """Curves of everything that grows, one after the other."""
    for sweep in _sweeps(site):
        times_s, memory = [], []
        for size in sweep.sizes:
            run = sweep.prepare(site, size)
            run()
            times_s.append(float(np.median([timed(run)[0] for _ in range(_REPEATS)])))
            memory.append(peak_memory_bytes(run))
        yield Curve(
            sweep.work, sweep.against, sweep.sizes, tuple(times_s), tuple(memory),
            sweep.expected_exponent,
        )  # fmt: skip
