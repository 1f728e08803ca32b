"""The short form of `python -m tests.paper.lasting_dictionary`: a node that was replaced."""

from contextlib import ExitStack
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from calibration.exchanged_elements import ExchangedElements
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.node_calibration import node_calibration_of
from testbed.site import Site
from tests.paper.coherence import LAB, Bench, site_with
from tests.paper.lasting_dictionary import opened_session, replaced

TO_FIRST = [("b", "a"), ("c", "a"), ("d", "a")]


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    """Floor in decibels of links to a node that was replaced, by whose elements are assumed."""
    site = site_with(LAB, "lab", None)
    raw = msgspec.to_builtins(site)
    raw["nodes"] = raw["nodes"][:4]
    site = msgspec.convert(raw, Site)
    with ExitStack() as opened, threadpool_limits(limits=1):
        before = opened_session(site, 0, 0, opened)
        dictionary = open_dictionary(tmp_path_factory.mktemp("lasting") / "d", before.source, 5)
        learning = LearnedBackgrounds(before.source, dictionary, radios=before.radios)
        for link in TO_FIRST:
            learning.learn(*link)
        later = replaced(site)
        now = opened_session(later, 0, 1, opened)
        calibration = node_calibration_of(now, dictionary)
        same = ExchangedElements(np.ones(8), np.zeros(8))
        nothing = replace(calibration, exchanged=dict.fromkeys(calibration.exchanged, same))
        bench = Bench(later, now.source, 0)
        index = {node.node_id: n for n, node in enumerate(now.source.nodes)}
        return {
            name: [
                figure.floor_db
                for tx, rx in TO_FIRST
                for figure in bench.link(index[tx], index[rx], backgrounds(tx, rx))
            ]
            for name, backgrounds in (
                ("found", _backgrounds(now, dictionary, calibration)),
                ("as before", _backgrounds(now, dictionary, nothing)),
            )
        }


def _backgrounds(setup, dictionary, calibration):
    return LearnedBackgrounds(
        setup.source, dictionary, calibration=calibration, radios=setup.radios, can_learn=False
    )


def test_entries_of_a_replaced_node_leave_captures_at_their_noise(figures):
    assert 0.0 < np.median(figures["found"]) < 1.0
    assert max(figures["found"]) < 2.0


def test_and_would_not_if_the_elements_were_taken_for_those_that_listened(figures):
    assert np.median(figures["as before"]) > 6.0
