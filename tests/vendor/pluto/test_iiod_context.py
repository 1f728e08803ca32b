"""The software Pluto's description beside those of real boards."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from sim_backend.iiod.board import Board
from sim_backend.iiod.context_xml import context_xml
from sim_backend.iiod.personalities import (
    CHANNELS,
    PERSONALITIES,
    Personality,
    devices,
    identity,
)
from sim_backend.live_ether import LiveEther
from tests.vendor.pluto.context_names import context_names
from tests.vendor.pluto.software import IDEAL, free_space

REAL = json.loads((Path(__file__).parent / "real_contexts.json").read_text())
# What is plugged into one real board, or what only its system has.
NOT_OURS = ("adf4351", "iio_sysfs_trigger")
# What Pluto's cores, or a board's first channels, have and ours has everywhere.
OURS_EVERYWHERE = (
    "sampling_frequency_available", "calibbias", "calibphase", "calibscale", "samples_pps",
)  # fmt: skip


def document(personality: Personality) -> str:
    board = Board(LiveEther(free_space()), 0, IDEAL, CHANNELS[personality])
    about = identity(personality, "1234")
    return context_xml(about.description, about.about, devices(personality, board))


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_a_context_has_what_the_real_one_has(personality: Personality) -> None:
    ours, real = set(context_names(document(personality))), set(REAL[personality])
    missing = {name for name in real - ours if not name.startswith(NOT_OURS)}
    assert missing == set()
    assert {name for name in ours - real if not name.endswith(OURS_EVERYWHERE)} == set()


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_values_stand_only_where_a_daemon_sends_them(personality: Personality) -> None:
    root = ET.fromstring(document(personality))  # noqa: S314  our own document
    about = {e.get("name"): e.get("value") for e in root.findall("context-attribute")}
    assert about["isac_emulated"] == "1"
    assert about["hw_serial"] == "1234"
    for tag in ("attribute", "buffer-attribute", "debug-attribute"):
        assert all(element.get("value") is None for element in root.iter(tag))
