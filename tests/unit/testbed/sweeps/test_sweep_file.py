"""Sweep files: what is mistyped, missing or without effect is refused with its place."""

import pytest
import yaml

from testbed.sweeps.sweep_file import SweepError, load_sweep
from tests.unit.testbed.sites import DELETED, changed

ELEMENTS = "node_defaults.array.num_elements"
SWEEP = {
    "schema": 1,
    "site": "site.yaml",
    "trials": 3,
    "vary": [
        {"parameter": ELEMENTS, "values": [2, 4]},
        {"parameter": "sensing.num_receivers", "values": [1, 2, 3]},
    ],
}


def read(folder, changes):
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(changed(SWEEP, changes)), encoding="utf-8")
    return load_sweep(path)


def problems(folder, changes):
    with pytest.raises(SweepError) as caught:
        read(folder, changes)
    assert str(caught.value).startswith(str(folder / "sweep.yaml"))
    return caught.value.problems


def test_what_is_left_out_is_what_a_study_does(tmp_path):
    found = read(tmp_path, {})
    assert (found.seed, found.fidelity, found.background) == (0, "pilot", "learned")
    assert (found.policies, found.literal) == (("proposed",), (False,))
    assert found.num_cases == 6


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"trails": 5}, "$: unknown key 'trails'; did you mean 'trials'?"),
        ({"vary.0.value": [1]}, "$.vary[0]: unknown key 'value'; did you mean 'values'?"),
        ({"trials": DELETED}, "$: the key 'trials' is missing"),
        ({"fidelity": "iqq"}, "$.fidelity: must be iq or pilot, got 'iqq'"),
        ({"vary": []}, "$.vary: must be a list of length >= 1, got a list of 0"),
        ({"vary.0.values": []}, "$.vary[0].values: must be a list of length >= 1, got a list of 0"),
        ({"vary.0.values": 4}, "$.vary[0].values: must be a list, got 4"),
        (
            {"vary.0.values": [4, [8]]},
            "$.vary[0].values[1]: must be a number, text, or true or false, got a list",
        ),
        (
            {"vary.0.values.1": None},
            "$.vary[0].values[1]: must be a number, text, or true or false, got nothing",
        ),
        ({"vary.0.values": [4, 4]}, "$.vary[0].values: 4 is given 2 times"),
        ({"vary.1.parameter": ELEMENTS}, f"$.vary: {ELEMENTS} is given 2 times"),
        ({"vary.0.parameter": DELETED}, "$.vary[0]: give either parameter or parameters"),
        ({"vary.0.parameters": ["a"]}, "$.vary[0]: give either parameter or parameters"),
        ({"policies": ["rsa", "rsa"]}, "$.policies: rsa is given 2 times"),
        ({"literal": [True, True]}, "$.literal: true is given 2 times"),
        (
            {"fidelity": "iq", "background": "perfect"},
            "$.background: perfect needs fidelity pilot: radios' captures are never perfect",
        ),
        ({"vary.0.values": list(range(200))}, "$: at most 500 combinations, got 600"),
    ],
)
def test_a_broken_rule_is_named_with_its_place(tmp_path, changes, problem):
    assert problems(tmp_path, changes) == [problem]


def test_an_unknown_policy_is_refused_with_what_was_meant(tmp_path):
    (problem,) = problems(tmp_path, {"policies": ["proposed", "rsaa"]})
    assert problem.startswith("$.policies[1]: no installed package provides a policy 'rsaa'")
    assert problem.endswith("did you mean 'rsa'?")


@pytest.mark.parametrize(
    ("parameter", "elsewhere"),
    [
        ("simulation.impairments.preset", {"fidelity": "iq"}),
        ("simulation.num_clutter", {"background": "none"}),
        ("simulation.num_clutter", {"fidelity": "iq"}),
        ("calibration.num_symbols", {"fidelity": "iq"}),
    ],
)
def test_what_would_change_nothing_here_is_refused(tmp_path, parameter, elsewhere):
    (problem,) = problems(tmp_path, {"vary.0.parameter": parameter})
    assert f"$.vary[0]: {parameter} changes nothing at fidelity pilot" in problem
    assert read(tmp_path, {"vary.0.parameter": parameter, **elsewhere})


@pytest.mark.parametrize("parameter", ["name", "services.agents", "waveform.symbols_per_frame"])
def test_what_never_changes_anything_is_refused(tmp_path, parameter):
    (problem,) = problems(tmp_path, {"vary.0.parameter": parameter, "fidelity": "iq"})
    assert problem == f"$.vary[0]: {parameter} changes nothing that a sweep shows"


def test_captures_of_no_background_are_refused(tmp_path):
    captures = {"vary.0.parameter": "calibration.num_captures"}
    assert read(tmp_path, captures)
    (problem,) = problems(tmp_path, {**captures, "background": "perfect"})
    assert problem.endswith("changes nothing with background perfect")
