"""The hall of software radios: its target, and all radios on or none."""

import pytest
import yaml

from testbed.bus.hall_messages import HallAsked
from testbed.emulation import live_ether, software_radios
from testbed.errors import UsageError
from testbed.services.hall import Hall, hall_address
from testbed.site import load_site
from tests.unit.testbed.sites import ROOT, changed, lab, loaded


class Plug:
    """A radio that is on or off, or cannot be switched on."""

    def __init__(self, *, broken: bool = False) -> None:
        self.is_on = False
        self._broken = broken

    def start(self) -> None:
        if self._broken:
            raise OSError(98, "Address already in use")
        self.is_on = True

    def close(self) -> None:
        self.is_on = False


@pytest.fixture
def ether(tmp_path):
    return live_ether(loaded(tmp_path, lab()), 3)


def test_the_target_comes_moves_and_goes(ether):
    hall = Hall(ether, [])
    assert hall.answer(HallAsked(request_id=1)).target_is_present is False
    moved = hall.answer(HallAsked(request_id=2, target_is_present=True, target_m=(4.0, 5.0)))
    assert (moved.request_id, moved.target_is_present, moved.target_m) == (2, True, (4.0, 5.0))
    assert ether.scene.target_m.tolist() == [4.0, 5.0]
    assert ether.target_is_present
    gone = hall.answer(HallAsked(request_id=3, target_is_present=False))
    assert (gone.target_is_present, gone.target_m) == (False, (4.0, 5.0))


def test_a_target_outside_the_area_stays_where_it_is(ether):
    hall = Hall(ether, [])
    before = hall.answer(HallAsked(request_id=1))
    refused = hall.answer(HallAsked(request_id=2, target_is_present=True, target_m=(99.0, 5.0)))
    assert "within x 0 to 30 m and y 0 to 20 m, got (99, 5) m" in (refused.problem or "")
    assert (refused.target_is_present, refused.target_m) == (False, before.target_m)


def test_all_radios_are_on_or_none(ether):
    radios = [Plug(), Plug(), Plug(broken=True)]
    hall = Hall(ether, radios)
    with pytest.raises(OSError, match="already in use"):
        hall.start()
    assert not any(radio.is_on for radio in radios)
    hall = Hall(ether, radios[:2])
    hall.start()
    assert all(radio.is_on for radio in radios[:2])
    hall.close()
    assert not any(radio.is_on for radio in radios)


def test_what_cannot_be_emulated_is_all_named(tmp_path):
    raw = changed(
        lab(),
        {
            "nodes.0.radio": {"kind": "pluto", "address": "ip:192.168.2.1"},
            "nodes.1.radio": {"kind": "pluto", "address": "usb:1.2.3"},
            "nodes.2.radio": {"kind": "usrp", "address": "serial=1"},
            "nodes.3.radio": {"kind": "usrp", "address": "addr=127.0.0.2"},
        },
    )
    site = loaded(tmp_path, raw)
    with pytest.raises(UsageError) as refused:
        software_radios(site, live_ether(site, 0))
    message = str(refused.value)
    for part in (
        "node 'a': 192.168.2.1 is not this machine",
        "node 'b': a software Pluto needs an address ip:HOST:PORT",
        "node 'c': a USRP needs an address like addr=192.168.10.2",
        "node 'd': 1 E320 have 2 receive channels, the node's array 4 elements",
        "node 'e': radios of kind 'sim' cannot be emulated",
    ):
        assert part in message


def test_each_node_of_the_example_has_a_software_pluto(tmp_path):
    raw = yaml.safe_load((ROOT / "examples" / "three_plutos.yaml").read_text(encoding="utf-8"))
    for node in raw["nodes"]:
        node["radio"]["address"] = "ip:127.0.0.1:0"
    site = loaded(tmp_path, raw)
    radios = software_radios(site, live_ether(site, 1))
    assert len(radios) == len(site.nodes)
    for radio in radios:
        radio.close()


def test_examples_run_side_by_side():
    addresses = {
        hall_address(load_site(ROOT / "examples" / f"{name}.yaml").services)
        for name in ("three_plutos", "usrp_array")
    }
    assert len(addresses) == 2
