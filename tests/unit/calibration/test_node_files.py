"""Calibrations of nodes on disk: the same comes back, and what is not one is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from calibration.array_response import ArrayResponse, ideal_response
from calibration.dictionary import DictionaryError
from calibration.exchanged_elements import ExchangedElements
from calibration.node_calibration import NodeCalibration
from calibration.node_files import FILE_NAME, load_node_calibration, save_node_calibration
from drivers.array import UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node, SurveyUncertainty
from drivers.node_errors import NodeErrors

NODES = tuple(
    Node(
        name, f"at-{name}", Pose((10.0 * n, 1.0), 0.1 * n), UniformLinearArray(size, 0.025),
        tx_power_dbm=20.0, survey=SurveyUncertainty(0.05, 0.01),
    )
    for n, (name, size) in enumerate([("a", 2), ("b", 4), ("c", 1)])
)  # fmt: skip

NO_CALIBRATION = r"not a calibration of nodes: .*delete it"


def calibration(seed: int = 0) -> NodeCalibration:
    """Every number at full precision; node c has no time."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((18, 18))
    gain = 1.0 + 0.1 * rng.standard_normal((4, 2)).view(np.complex128)[:, 0]
    pair = 1.0 + 0.1 * rng.standard_normal((2, 2)).view(np.complex128)[:, 0]
    found = [
        replace(
            node,
            pose=Pose((float(rng.normal()), float(rng.normal())), float(rng.normal())),
            tx_power_dbm=float(rng.normal()),
            noise_figure_db=float(rng.normal()),
        )
        for node in NODES
    ]
    return NodeCalibration(
        nodes=tuple(found),
        errors=NodeErrors(("a", "b", "c"), root @ root.T),
        responses={
            "a": ArrayResponse(pair, 1e-9 * rng.standard_normal(2), 0.01),
            "b": ArrayResponse(gain, 1e-9 * rng.standard_normal(4), 0.02),
            "c": ideal_response(1),
        },
        time_s={"a": 1.0 / 3.0 * 1e-9, "b": -2e-9},
        epochs={("a", "b"): 2, ("b", "a"): 3},
        power_db={"a": (0.5, -1.0 / 3.0), "b": (0.0, 2.0), "c": (-1.0, 0.0)},
        range_scale=1.1,
        sine_scale=0.9,
        exchanged={
            ("b", "usrp 30F"): ExchangedElements(gain[::-1], 1e-12 * rng.standard_normal(4))
        },
    )


def contents(root: Path) -> Any:
    return msgspec.json.decode((root / FILE_NAME).read_bytes())


def rewrite(root: Path, content: object) -> None:
    (root / FILE_NAME).write_bytes(msgspec.json.encode(content))


def test_what_is_kept_comes_back_to_the_last_bit(tmp_path):
    kept = calibration()
    save_node_calibration(tmp_path, kept)
    back = load_node_calibration(tmp_path, NODES)
    assert back is not None
    assert back.nodes == kept.nodes
    assert back.errors.node_ids == kept.errors.node_ids
    np.testing.assert_array_equal(back.errors.covariance, kept.errors.covariance)
    assert set(back.responses) == {"a", "b", "c"}
    for name, response in kept.responses.items():
        np.testing.assert_array_equal(back.responses[name].gain, response.gain)
        np.testing.assert_array_equal(back.responses[name].delay_s, response.delay_s)
        assert back.responses[name].error_var == response.error_var
    assert (back.time_s, back.epochs) == (kept.time_s, kept.epochs)
    assert (back.range_scale, back.sine_scale) == (1.1, 0.9)
    assert back.exchanged.keys() == kept.exchanged.keys()
    for key, found in kept.exchanged.items():
        np.testing.assert_array_equal(back.exchanged[key].gain, found.gain)
        np.testing.assert_array_equal(back.exchanged[key].delay_s, found.delay_s)
    for link in (("a", "b", 2), ("a", "b", 3), ("b", "a", 3), ("a", "c", 2)):
        assert back.late_s(*link) == kept.late_s(*link)


def test_a_later_calibration_takes_the_place_of_an_earlier_one(tmp_path):
    save_node_calibration(tmp_path, calibration(0))
    save_node_calibration(tmp_path, calibration(1))
    back = load_node_calibration(tmp_path, NODES)
    assert back is not None
    assert back.nodes == calibration(1).nodes
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_what_the_survey_says_otherwise_is_taken_from_the_survey(tmp_path):
    save_node_calibration(tmp_path, calibration())
    moved = tuple(replace(node, location_id=f"now-{node.node_id}") for node in NODES)
    back = load_node_calibration(tmp_path, moved)
    assert back is not None
    assert [node.location_id for node in back.nodes] == ["now-a", "now-b", "now-c"]
    assert [node.array for node in back.nodes] == [node.array for node in NODES]


def test_where_there_is_none_there_is_none(tmp_path):
    assert load_node_calibration(tmp_path, NODES) is None


@pytest.mark.parametrize(
    "nodes",
    [
        NODES[:2],
        (*NODES, replace(NODES[0], node_id="d")),
        tuple(reversed(NODES)),
        (replace(NODES[0], node_id="x"), *NODES[1:]),
    ],
    ids=["fewer", "more", "other order", "other name"],
)
def test_a_calibration_of_other_nodes_is_refused(tmp_path, nodes):
    save_node_calibration(tmp_path, calibration())
    with pytest.raises(DictionaryError, match="of nodes a, b, c; calibrate again") as refused:
        load_node_calibration(tmp_path, nodes)
    assert str(refused.value).startswith(f"{tmp_path / FILE_NAME}: ")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda text: b"", "input data was truncated"),
        (lambda text: text[: len(text) // 2], ""),
        (lambda text: b"\xff" + text, ""),
        (lambda text: b"[]", "object"),
    ],
    ids=["empty", "half", "no text", "a list"],
)
def test_a_file_that_is_damaged_is_refused(tmp_path, damage: Callable[[bytes], bytes], words):
    save_node_calibration(tmp_path, calibration())
    path = tmp_path / FILE_NAME
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DictionaryError, match=NO_CALIBRATION) as refused:
        load_node_calibration(tmp_path, NODES)
    assert str(refused.value).startswith(f"{path}: ")
    assert words in str(refused.value).lower()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found.update(schema=2), "schema"),
        (lambda found: found.pop("schema"), "schema"),
        (lambda found: found.update(scheme=1), "unknown field `scheme`"),
        (lambda found: found.pop("range_scale"), "range_scale"),
        (lambda found: found.update(sine_scale=None), "$.sine_scale"),
        (lambda found: found["nodes"][1].update(gain=1.0), "$.nodes[1]"),
        (lambda found: found["nodes"][1].update(time_s="now"), "$.nodes[1].time_s"),
        (lambda found: found["covariance"].pop(), "shape (17, 18)"),
        (lambda found: found["covariance"][3].pop(), "inhomogeneous"),
        (lambda found: found["covariance"][3].__setitem__(0, None), "$.covariance[3][0]"),
        (lambda found: found["nodes"].append(found["nodes"][0]), "(18, 18), (24, 24) are needed"),
        (lambda found: found["nodes"][1]["element_gain"].pop(), "node 'b': 3 gains and 4 delays"),
        (lambda found: found["nodes"][0]["element_delay_s"].append(0.0), "node 'a': 2 gains and 3"),
    ],
)
def test_a_file_that_is_no_calibration_is_refused_with_the_place(tmp_path, change, words):
    save_node_calibration(tmp_path, calibration())
    found = contents(tmp_path)
    change(found)
    rewrite(tmp_path, found)
    with pytest.raises(DictionaryError, match=NO_CALIBRATION) as refused:
        load_node_calibration(tmp_path, NODES)
    assert words in str(refused.value)


def test_a_node_that_is_there_twice_is_refused(tmp_path):
    save_node_calibration(tmp_path, calibration())
    found = contents(tmp_path)
    found["nodes"].append(found["nodes"][0])
    found["covariance"] = np.eye(24).tolist()
    rewrite(tmp_path, found)
    with pytest.raises(DictionaryError, match="of nodes a, b, c, a; calibrate again"):
        load_node_calibration(tmp_path, NODES)


def test_a_calibration_of_another_array_is_refused(tmp_path):
    save_node_calibration(tmp_path, calibration())
    larger = replace(NODES[1], array=UniformLinearArray(8, 0.025))
    with pytest.raises(DictionaryError, match="node 'b' with 4 elements, not 8; calibrate again"):
        load_node_calibration(tmp_path, (NODES[0], larger, NODES[2]))
