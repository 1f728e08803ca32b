"""Simulated radios of a site file: which hardware a node has, and options that it has not."""

import numpy as np
import pytest

from drivers.radio_errors import RadioError
from sim_backend.ether import Ether
from testbed.build import build_scene
from testbed.radios import RadiosError, open_radios, simulated_identities, simulated_radios
from testbed.runs.setup import simulate
from tests.unit.testbed.sites import as_site, changed, tiny


def opened(site):
    nodes = simulate(site, 5).source.nodes
    ether = Ether(build_scene(site, nodes, 5))
    return nodes, open_radios(site, nodes, {"sim": simulated_radios(site, ether)})


def response(radio):
    return radio._radio._transceiver.hardware.element_response


def with_options(options):
    return as_site(
        changed(
            tiny(),
            {
                "simulation.impairments": {"preset": "lab"},
                "nodes.1.radio": {"kind": "sim", "options": options},
            },
        )
    )


def test_a_node_that_was_replaced_has_other_hardware_and_another_serial():
    nodes, before = opened(with_options({}))
    site = with_options({"unit": 100})
    _, after = opened(site)
    for node in nodes:
        same = np.array_equal(response(before[node.node_id]), response(after[node.node_id]))
        assert same == (node.node_id != "b")
    serials = {name: radio.info.serial for name, radio in after.items()}
    assert serials["b"] == "sim-5-unit-100"
    assert serials["a"] == before["a"].info.serial == "sim-5-a"
    known = simulated_identities(site, nodes, 5)
    assert {name: (radio.kind, radio.serial) for name, radio in known.items()} == {
        name: ("sim", serial) for name, serial in serials.items()
    }


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"unti": 3}, "unknown field `unti`"),
        ({"unit": -1}, ">= 0"),
        ({"unit": "x"}, "int"),
        ({"boards": 0}, ">= 1"),
    ],
)
def test_options_that_no_simulated_radio_has_are_named(options, words):
    site = with_options(options)
    with pytest.raises(RadiosError, match=rf"node 'b': radio options: .*{words}"):
        opened(site)
    with pytest.raises(RadioError, match="correct them in the site file"):
        simulated_identities(site, simulate(site, 5).source.nodes, 5)


def test_boards_share_the_elements():
    _, radios = opened(with_options({"boards": 2}))
    assert radios["b"].info.capabilities.coherent_groups == ((0,), (1,))
    assert radios["a"].info.capabilities.coherent_groups == ((0, 1),)


def test_boards_that_cannot_share_the_elements_are_refused():
    with pytest.raises(RadiosError, match="node 'b': 3 boards cannot share 2 elements evenly"):
        opened(with_options({"boards": 3}))


def test_boards_without_a_reference_in_common_are_refused():
    raw = changed(
        tiny(),
        {
            "simulation.impairments": {"preset": "pluto"},
            "nodes.1.radio": {"kind": "sim", "options": {"boards": 2}},
        },
    )
    with pytest.raises(RadiosError, match="2 boards without a reference in common have no time"):
        opened(as_site(raw))
