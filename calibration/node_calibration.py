"""Calibration of nodes: arrays, times, poses, powers and noise, from soundings of each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from calibration.array_response import (
    ArrayResponse,
    array_response,
    element_delay_s,
    ideal_response,
)
from calibration.direct_path import (
    DirectPath,
    DirectPathWindow,
    direct_path_window,
    find_direct_path,
)
from calibration.exchanged_elements import (
    ComparedElements,
    ExchangedElements,
    compared_elements,
    exchanged_elements,
)
from calibration.link_power import Link, LinkPowers, known_powers, link_powers
from calibration.timing import Reading, solve_nodes
from drivers.capture import Capture
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, ComplexArray
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.node_errors import SINE, TIME_M, NodeErrors, node_with
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.alignment import Groups, align
from processing.channel import channel_estimate

# Relative change of an amplitude for a decibel.
_PER_DB = float(np.log(10.0)) / 20.0


@dataclass(frozen=True)
class NodeCalibration:
    """What soundings between nodes tell of them.

    Attributes
    ----------
    nodes
        With poses, element spacings, powers and noise figures as found.
    errors
        What is still unknown of them.
    responses
        Of each receiver's elements, by node id.
    time_s
        How far each node's time is ahead, by node id; empty where nodes share no time.
    epochs
        Config epoch of each link that was sounded: a retune sets times anew.
    power_db
        Power of each node as a transmitter, and gain as a receiver, over nominal.
    range_scale, sine_scale
        See `calibration.timing.SolvedNodes`.
    exchanged
        By receiver, and by whose elements heard the entries of its links: how its own differ.
    """

    nodes: tuple[Node, ...]
    errors: NodeErrors
    responses: Mapping[str, ArrayResponse]
    time_s: Mapping[str, float]
    epochs: Mapping[Link, int]
    power_db: Mapping[str, tuple[float, float]]
    range_scale: float
    sine_scale: float
    exchanged: Mapping[tuple[str, str], ExchangedElements] = field(default_factory=dict)

    def node(self, node_id: str) -> Node:
        """One node as calibrated."""
        return next(node for node in self.nodes if node.node_id == node_id)

    def as_expected(self, link: Link, path: DirectPath) -> DirectPath:
        """A link's direct path, its variances as its amplitude makes them."""
        powers = known_powers(self.power_db, list(self.epochs), path.scattered / _PER_DB)
        return _as_expected(powers, link, path)

    def late_s(self, tx_id: str, rx_id: str, epoch: int) -> float | None:
        """How much too late a link's common time shows delays; ``None`` if that is not known.

        Unknown where nodes share no time, or where one was retuned since it was calibrated.
        """
        if tx_id not in self.time_s or rx_id not in self.time_s:
            return None
        same = self.is_of_tuning(tx_id, rx_id, epoch)
        return self.time_s[rx_id] - self.time_s[tx_id] if same else None

    def is_of_tuning(self, tx_id: str, rx_id: str, epoch: int) -> bool:
        """Whether a link's radios have not been tuned anew since they were calibrated."""
        usual = set(self.epochs.values())
        known = self.epochs.get((tx_id, rx_id), usual.pop() if len(usual) == 1 else None)
        return known == epoch


class NodeCalibrator:
    """Collects soundings between nodes and solves for what they tell.

    Parameters
    ----------
    nodes
        As surveyed.
    grid
        The waveform.
    spacing_std
        Of each array's relative error of the element spacing, which surveys do not state.
    """

    def __init__(self, nodes: Sequence[Node], grid: OfdmGrid, spacing_std: float = 0.0) -> None:
        self._nodes = {node.node_id: node for node in nodes}
        self._grid = grid
        self._spacing_var = dict.fromkeys(self._nodes, spacing_std**2)
        self._pilots = pilot_symbols(grid)
        self._windows: dict[Link, DirectPathWindow] = {}
        self._timed: dict[Link, tuple[bool, float]] = {}
        self._epochs: dict[Link, int] = {}
        self._groups: dict[str, Groups] = {}
        self._noise_db: dict[str, list[float]] = {}
        self._compared: dict[tuple[str, str], list[ComparedElements]] = {}

    def add(self, capture: Capture) -> bool:
        """Take one sounding in; whether its direct path could be used."""
        tx, rx = self._nodes[capture.tx_id], self._nodes[capture.rx_id]
        noise_var = channel_noise_var(tx, rx, self._grid) / capture.num_averaged
        channel = channel_estimate(capture.rx_pilots, self._pilots)
        window = direct_path_window(channel, tx, rx, self._grid, noise_var)
        if window is None:
            return False
        link = capture.tx_id, capture.rx_id
        self._windows[link] = window
        self._timed[link] = capture.delay_is_absolute, capture.delay_var_s2
        self._epochs[link] = capture.config_epoch
        self._groups[capture.rx_id] = capture.coherent_groups
        return True

    def add_pair(self, first: Capture, second: Capture) -> None:
        """Take two soundings of one link in, whose difference is noise."""
        tx, rx = self._nodes[first.tx_id], self._nodes[first.rx_id]
        nominal = channel_noise_var(tx, rx, self._grid) / first.num_averaged
        one, other = (channel_estimate(c.rx_pilots, self._pilots) for c in (first, second))
        measured = repetition_var(one, other, self._grid, first.coherent_groups)
        self._noise_db.setdefault(first.rx_id, []).append(10.0 * np.log10(measured / nominal))

    def compare(self, capture: Capture, entry: ComplexArray, learned_by: str) -> None:
        """Take in how one sounding lies to an entry that other elements heard."""
        channel = channel_estimate(capture.rx_pilots, self._pilots)
        if (found := compared_elements(channel, entry, self._grid)) is not None:
            self._compared.setdefault((capture.rx_id, learned_by), []).append(found)

    def solved(self) -> NodeCalibration:
        """Everything that the soundings tell."""
        responses = {name: self._response(name) for name in self._nodes}
        paths = {link: self._direct_path(link, responses[link[1]]) for link in self._windows}
        scattered = [path.scattered for path in paths.values()]
        powers = link_powers(
            list(self._nodes), {link: _level_db(path) for link, path in paths.items()},
            float(np.sqrt(np.mean(np.square(scattered)))) / _PER_DB if scattered else 0.0,
        )  # fmt: skip
        power_db = powers.by_node()
        readings = [
            Reading(*link, _as_expected(powers, link, path), self._timed[link][0])
            for link, path in paths.items()
        ]
        solved = solve_nodes(
            tuple(self._nodes.values()), readings, self._time_var_s2(),
            {name: self._sine_var(name, response) for name, response in responses.items()},
            self._spacing_var,
        )  # fmt: skip
        placed = {
            name: node_with(node, mean)
            for (name, node), mean in zip(self._nodes.items(), solved.mean, strict=True)
        }
        shared = all(timed for timed, _ in self._timed.values()) and bool(self._timed)
        time_m = solved.mean[:, TIME_M]
        return NodeCalibration(
            nodes=tuple(self._calibrated(node, power_db[name]) for name, node in placed.items()),
            errors=solved.errors,
            responses={
                name: self._turned(response, placed, name, mean[SINE])
                for (name, response), mean in zip(responses.items(), solved.mean, strict=True)
            },
            time_s={
                name: float(late_m) / SPEED_OF_LIGHT_M_PER_S
                for name, late_m in zip(self._nodes, time_m, strict=True)
                if shared
            },
            epochs=self._epochs,
            power_db=power_db,
            range_scale=solved.range_scale,
            sine_scale=solved.sine_scale,
            exchanged={key: exchanged_elements(found) for key, found in self._compared.items()},
        )

    def _heard(self, rx_id: str) -> list[DirectPathWindow]:
        return [window for (_, rx), window in self._windows.items() if rx == rx_id]

    def _response(self, rx_id: str) -> ArrayResponse:
        heard = self._heard(rx_id)
        if not heard:
            return ideal_response(self._nodes[rx_id].array.num_elements)
        return array_response(heard, self._groups[rx_id])

    def _direct_path(self, link: Link, response: ArrayResponse) -> DirectPath:
        return find_direct_path(self._windows[link].corrected(response.gain, response.delay_s))

    def _time_var_s2(self) -> dict[str, float]:
        """Variance of each node's own time: half of the largest that a link states of both."""
        stated = [var for timed, var in self._timed.values() if timed]
        return dict.fromkeys(self._nodes, max(stated, default=0.0) / 2.0)

    def _sine_var(self, node_id: str, response: ArrayResponse) -> float:
        array = self._nodes[node_id].array
        return response.sine_var(array.spacing_m / self._grid.wavelength_m)

    def _calibrated(self, node: Node, power_db: tuple[float, float]) -> Node:
        noise_db = float(np.median(self._noise_db.get(node.node_id, self._all_noise_db())))
        return replace(
            node,
            tx_power_dbm=node.tx_power_dbm + power_db[0],
            # What counts is noise over received power: a gain that is too high has more of both.
            noise_figure_db=node.noise_figure_db + noise_db - power_db[1],
        )

    def _all_noise_db(self) -> list[float]:
        found = [value for values in self._noise_db.values() for value in values]
        return found or [0.0]

    def _turned(
        self, response: ArrayResponse, placed: Mapping[str, Node], name: str, sine: float
    ) -> ArrayResponse:
        """A response with the slopes over the elements that the poses do not explain."""
        cycles = self._nodes[name].array.element_offset_m / self._grid.wavelength_m
        gain = response.gain * np.exp(-2j * np.pi * cycles * sine)
        heard = [
            window.about(placed[window.tx.node_id], placed[name]) for window in self._heard(name)
        ]
        delay_s = response.delay_s
        if heard:
            delay_s = element_delay_s(heard, self._groups[name])
        return replace(response, gain=gain, delay_s=delay_s)


def _level_db(path: DirectPath) -> float:
    return float(20.0 * np.log10(path.amplitude))


def _as_expected(powers: LinkPowers, link: Link, path: DirectPath) -> DirectPath:
    added_db, std_db = powers.scattered_db(link, _level_db(path))
    return path.expected_at(path.amplitude * 10.0 ** (-added_db / 20.0), std_db * _PER_DB)


def repetition_var(
    first: ComplexArray,
    second: ComplexArray,
    grid: OfdmGrid,
    groups: Sequence[Sequence[int]] | None = None,
) -> float:
    """Noise variance of a channel's entries from two captures of it, brought onto each other."""
    aligned, lay = align(second, first, grid, groups or None)
    # The second is scaled to the first, and its noise with it.
    scale = float(np.mean(1.0 / np.abs(lay.gain) ** 2))
    return float(np.mean(np.abs(aligned - first) ** 2)) / (1.0 + scale)
