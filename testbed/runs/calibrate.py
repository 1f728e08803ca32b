"""A calibration campaign over all links of a site."""

from collections.abc import Callable
from pathlib import Path

from calibration.campaign_lock import campaign_lock
from calibration.dictionary_survey import refuse_damaged
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.node_calibration import node_calibration_of
from testbed.runs.setup import Setup
from testbed.site import Site


def calibrate(
    site: Site, setup: Setup, out: Path, progress: Callable[[int, int], None] = lambda _d, _t: None
) -> tuple[int, int]:
    """Learn every entry that is not there yet; how many were learned, and how many there are.

    Radios are calibrated first, by what their nodes hear of each other.
    Transmitters take turns, all other nodes listen, as in section III-A. A campaign that was
    stopped goes on where it was: whole entries are kept.

    Parameters
    ----------
    progress
        Called with the entries that are done and the entries in all.

    Raises
    ------
    DictionaryError
        If the directory is of something else, another campaign writes there now, or an entry is
        damaged.
    """
    with campaign_lock(out):
        return _calibrate(site, setup, out, progress)


def _calibrate(
    site: Site, setup: Setup, out: Path, progress: Callable[[int, int], None]
) -> tuple[int, int]:
    nodes = setup.source.nodes
    dictionary = open_dictionary(out, setup.source, site.calibration.num_captures)
    refuse_damaged(dictionary)  # before hours of learning, not after
    node_calibration_of(setup, out, site.calibration.num_captures)
    backgrounds = LearnedBackgrounds(setup.source, dictionary, radios=setup.radios)
    links = [(tx, rx) for tx in nodes for rx in nodes if tx is not rx]
    learned = 0
    for done, (tx, rx) in enumerate(links):
        progress(done, len(links))
        if (tx.location_id, rx.location_id) not in dictionary:
            backgrounds.learn(tx.node_id, rx.node_id)
            learned += 1
    progress(len(links), len(links))
    return learned, len(links)
