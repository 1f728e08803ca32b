"""Soundings between a site's nodes, and the calibration that comes of them."""

from collections.abc import Callable, Sequence

from calibration.dictionary import BackgroundDictionary
from calibration.direct_path import usable_direct_path
from calibration.node_calibration import NodeCalibration, NodeCalibrator
from calibration.node_files import load_node_calibration, save_node_calibration
from drivers.capture import CaptureSource
from drivers.geometry import distance_m
from drivers.node import Node
from testbed.runs.setup import Setup
from testbed.runs.site_entries import SiteEntries

# Each node hears so many others: clutter pulls at each direct path another way.
_NUM_NEIGHBOURS = 6


def calibrate_nodes(
    source: CaptureSource,
    first_index: int = 0,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    entries: SiteEntries | None = None,
) -> NodeCalibration:
    """Let every node sound its neighbours, and solve for what that tells of all of them.

    Parameters
    ----------
    first_index
        Of the bursts: backgrounds use those before.
    progress
        Called with the bursts that are done and the bursts in all.
    entries
        Backgrounds, with those of links that other elements heard than are there now.
    """
    calibrator = NodeCalibrator(source.nodes, source.grid)
    plan = _soundings(source.nodes)
    for done, (tx_id, rx_ids) in enumerate(plan):
        progress(done, len(plan) + len(source.nodes))
        for capture in source.sense_background(tx_id, rx_ids, first_index, brief=True):
            if capture.quality.usable:
                calibrator.add(capture)
                link = capture.tx_id, capture.rx_id
                learned_by = None if entries is None else entries.learned_by.get(link)
                if entries is not None and learned_by is not None:
                    calibrator.compare(capture, entries.entry(link).channel, learned_by)
    for done, rx in enumerate(source.nodes):
        progress(len(plan) + done, len(plan) + len(source.nodes))
        if sender := _weakest_link(rx, source.nodes):
            pair = [
                source.sense_background(sender, (rx.node_id,), first_index + n, brief=True)[0]
                for n in (1, 2)
            ]
            if all(capture.quality.usable for capture in pair):
                calibrator.add_pair(*pair)
    progress(len(plan) + len(source.nodes), len(plan) + len(source.nodes))
    return calibrator.solved()


def _soundings(nodes: Sequence[Node]) -> list[tuple[str, tuple[str, ...]]]:
    """Who sends, and who listens: each receiver's nearest transmitters in view."""
    listeners: dict[str, list[str]] = {node.node_id: [] for node in nodes}
    for rx in nodes:
        for tx in _heard(rx, nodes)[:_NUM_NEIGHBOURS]:
            listeners[tx.node_id].append(rx.node_id)
    return [(tx_id, tuple(rx_ids)) for tx_id, rx_ids in listeners.items() if rx_ids]


def _weakest_link(rx: Node, nodes: Sequence[Node]) -> str | None:
    """The furthest of a receiver's neighbours: what noise there is shows best where it is weak."""
    heard = _heard(rx, nodes)[:_NUM_NEIGHBOURS]
    return heard[-1].node_id if heard else None


def _heard(rx: Node, nodes: Sequence[Node]) -> list[Node]:
    """Nodes whose direct path a receiver has in view, nearest first."""
    usable = [tx for tx in nodes if tx is not rx and usable_direct_path(tx, rx)]
    return sorted(usable, key=lambda tx: float(distance_m(rx.pose.position_m, tx.pose.position_m)))


def node_calibration_of(
    setup: Setup,
    dictionary: BackgroundDictionary,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> NodeCalibration | None:
    """The nodes as radios hear each other now, or as a recorded run heard them; else ``None``.

    Made anew in every run, and kept beside the dictionary: times and phases do not outlast a
    session, and a sounding is short.

    Raises
    ------
    DictionaryError
        If the one that is there cannot be read.
    """
    if not setup.has_radios:
        return load_node_calibration(dictionary.root, setup.source.nodes)
    calibration = calibrate_nodes(
        setup.source, dictionary.provenance.num_captures, progress,
        SiteEntries(dictionary, setup.source, setup.radios),
    )  # fmt: skip
    save_node_calibration(dictionary.root, calibration)
    return calibration
