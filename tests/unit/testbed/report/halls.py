"""Calibrated halls to report on, and faults planted into copies of them."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from calibration.dictionary import BackgroundDictionary
from calibration.node_files import save_node_calibration
from drivers.capture import CaptureSource
from drivers.geometry import ComplexArray, Pose
from testbed.report.report import Report
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.node_calibration import calibrate_nodes
from testbed.runs.setup import simulate
from tests.unit.testbed.sites import as_site, changed, lab

SITE = as_site(changed(lab(), {"node_defaults.survey.position_std_m": 0.0}))


class Surveyed:
    """A source whose nodes are not where the site file has them."""

    def __init__(self, source: CaptureSource, moved_m: dict[str, tuple[float, float]]) -> None:
        self._source = source
        self.nodes = tuple(
            replace(
                node,
                pose=Pose(
                    tuple(np.add(node.pose.position_m, moved_m.get(node.node_id, 0.0))),
                    node.pose.boresight_rad,
                ),
            )
            for node in source.nodes
        )

    def __getattr__(self, name):
        return getattr(self._source, name)


def learn(root: Path, source: CaptureSource) -> None:
    """Calibrate nodes and learn all entries, as a campaign with radios does."""
    num_captures = SITE.calibration.num_captures
    dictionary = open_dictionary(root, source, num_captures)
    save_node_calibration(root, calibrate_nodes(source, num_captures))
    backgrounds = LearnedBackgrounds(source, dictionary)
    for tx in source.nodes:
        others = [rx.node_id for rx in source.nodes if rx is not tx]
        assert not backgrounds.learn_together(tx.node_id, others)


def hall(root: Path, seed: int) -> None:
    """Six nodes of four elements that have sounded each other."""
    learn(root, simulate(SITE, seed).source)


def replaced(root: Path, link: tuple[str, str], change: Callable[[ComplexArray], ComplexArray],
             **said: object) -> None:  # fmt: skip
    """Put a changed entry in place of one."""
    dictionary = BackgroundDictionary.existing(root)
    entry = dictionary.get(*link)
    header = entry.header
    known = {
        name: said.pop(name, getattr(header, name))
        for name in ("delay_is_absolute", "delay_var_s2", "geometry", "learned_with")
    }
    dictionary.put(*link, change(entry.channel), header.config_epoch, **known)


def copied(root: Path, folder: Path) -> Path:
    """A copy to plant a fault into."""
    return Path(shutil.copytree(root, folder / "copy"))


def kinds(report: Report) -> dict[tuple[str, str], set[str]]:
    """Kinds of suspicions by link."""
    found: dict[tuple[str, str], set[str]] = {}
    for suspicion in report.suspicions:
        found.setdefault(suspicion.link, set()).add(suspicion.kind)
    return found
