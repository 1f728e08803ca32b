"""Cases of calibration and simulation: the median, a link's channel, the links of a study."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from calibration.background import BackgroundLearner
from drivers.geometry import ComplexArray
from drivers.link_budget import channel_noise_var
from drivers.waveform import pilot_symbols
from sim_backend.channel import background_channel
from sim_backend.scene import Scene, SceneStatistics, draw_scene
from sim_backend.source import complex_noise
from testbed.bench.case import Counts, Work
from testbed.bench.literal import literal_module
from testbed.bench.receiving import map_counts
from testbed.bench.workload import Workload
from testbed.runs.study import run_study
from testbed.runs.trial import TrialResult

_STUDY_JOBS = 2


def median(load: Workload) -> Work:
    """Eq. (8) over captures that lie alike."""
    literal = literal_module("background")
    captures = load.channels
    learner = BackgroundLearner(len(captures))
    for channel in captures:
        learner.add(channel)
    return Work(
        run=learner.entry,
        literal=None if literal is None else lambda: literal.complex_median(captures),
        error=_largest_difference,
        counts=Counts(memory_bytes=float(captures.nbytes + captures[0].nbytes)),
    )


def _largest_difference(found: ComplexArray, expected: ComplexArray | None) -> float | None:
    return None if expected is None else float(np.abs(found - expected).max())


def scene_of_scatterers(load: Workload, count: int) -> Scene:
    """The hall with so many scatterers on every link, and nothing else that is static."""
    like = load.simulation.source.nodes
    others = len(like) - 2
    with_nodes = count >= others
    statistics = SceneStatistics(
        load.site.area_m, num_clutter=count - others if with_nodes else count,
        nodes_are_clutter=with_nodes, direct_path=False,
    )  # fmt: skip
    return draw_scene(load.seed, like, statistics)


def channel(load: Workload) -> Work:
    """Eqs. (3) to (7), summed over the scatterers of a link."""
    scene = scene_of_scatterers(load, load.sizes.num_scatterers)
    tx, rx = load.link
    size = load.grid.num_subcarriers * load.nodes[rx].array.num_elements

    def error(found: ComplexArray, expected: ComplexArray | None) -> float | None:
        if expected is None:
            return None
        return float(np.abs(found - expected).max() / np.abs(expected).max())

    return Work(
        run=lambda: background_channel(scene, load.grid, tx, rx),
        literal=_literal_channel(load, scene),
        error=error,
        counts=Counts(
            memory_bytes=16.0 * size, product_flop=8.0 * size * load.sizes.num_scatterers
        ),
    )


def _literal_channel(load: Workload, scene: Scene) -> Callable[[], ComplexArray] | None:
    literal = literal_module("background")
    if literal is None:
        return None
    tx, rx = load.link
    sender, receiver = scene.nodes[tx], scene.nodes[rx]
    points_m, rcs_m2 = scene.clutter_of_link(tx, rx)

    def evaluated() -> ComplexArray:
        found: ComplexArray = literal.half_plane_channel(
            sender.pose.position, receiver.pose.position, receiver.pose.boresight_rad, points_m,
            rcs_m2, load.grid.frequency_hz, receiver.array.num_elements, receiver.array.spacing_m,
        )  # fmt: skip
        return found

    return evaluated


def study(load: Workload) -> Work:
    """Time per link of a study on two processes, after their start."""
    sizes = load.sizes
    together: list[TrialResult] = []

    def times_s() -> Sequence[float]:
        finished: list[tuple[float, int]] = []

        def note(chunk: Sequence[TrialResult]) -> None:
            finished.append((time.perf_counter(), sum(result.num_links for result in chunk)))

        started_s = time.perf_counter()
        together[:], _ = run_study(
            load.site, sizes.num_trials, load.seed, "learned", _STUDY_JOBS, note
        )
        return [_time_per_link_s(started_s, finished)]

    def run() -> list[TrialResult]:
        return run_study(load.site, sizes.num_compared, load.seed, "learned", 1)[0]

    def unlike(alone: list[TrialResult], _literal: object) -> float:
        """Trials whose result depends on the number of processes."""
        return float(sum(a != b for a, b in zip(alone, together, strict=False)))

    lower = map_counts(load)
    size = load.residual.size
    return Work(
        run=run,
        literal=_literal_link(load),
        error=unlike,
        counts=Counts(
            cache_bytes=lower.cache_bytes / _STUDY_JOBS,
            product_flop=lower.product_flop / _STUDY_JOBS,
            fft_flop=lower.fft_flop / _STUDY_JOBS,
            normals=4.0 * size / _STUDY_JOBS,
        ),
        times_s=times_s,
        literal_share=_STUDY_JOBS,
    )


def _time_per_link_s(started_s: float, finished: Sequence[tuple[float, int]]) -> float:
    """Seconds a link, from when each process has had one chunk of trials.

    Parameters
    ----------
    finished
        When each chunk was there, and its links.
    """
    first = _STUDY_JOBS - 1
    if len(finished) > _STUDY_JOBS:
        started_s, finished = finished[first][0], finished[first + 1 :]
    return (finished[-1][0] - started_s) / sum(links for _, links in finished)


def _literal_link(load: Workload) -> Callable[[], object] | None:
    """One link of a study by the literal functions: whole channel, noise, entry, chain."""
    chain: Any = load.chain()
    tx, rx = load.link
    scene = scene_of_scatterers(load, load.sizes.num_scatterers)
    synthesized = _literal_channel(load, scene)
    if chain is None or synthesized is None:
        return None
    rng = np.random.default_rng(load.seed)
    noise_var = channel_noise_var(load.nodes[tx], load.nodes[rx], load.grid)
    pilots = pilot_symbols(load.grid)

    def evaluated() -> object:
        static = synthesized()
        shape = (static.shape[0], static.shape[1])
        received = (static + complex_noise(rng, shape, noise_var)) * pilots[:, None]
        entry_var = noise_var * np.pi / (2.0 * load.sizes.num_captures)
        entry = static + complex_noise(rng, shape, entry_var)
        return chain.report(received, entry, load.delay_limits_s)

    return evaluated
