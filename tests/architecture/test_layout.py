"""The six packages have general names: they must be ours, typed, and made of small files."""

import importlib
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("testbed", "drivers", "calibration", "processing", "fusion", "sim_backend")
MAX_LINES = 300


@pytest.mark.parametrize("name", PACKAGES)
def test_package_is_this_project_s(name):
    module = importlib.import_module(name)
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / name


@pytest.mark.parametrize("name", PACKAGES)
def test_package_is_typed(name):
    assert (ROOT / name / "py.typed").is_file()


@pytest.mark.parametrize("name", PACKAGES)
def test_source_files_are_small(name):
    num_lines = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / name).rglob("*.py")
    }
    too_long = {path: count for path, count in num_lines.items() if count > MAX_LINES}
    assert num_lines
    assert not too_long, f"over {MAX_LINES} lines: {too_long}"


def test_build_and_tools_name_the_same_packages():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert set(tool["hatch"]["build"]["targets"]["wheel"]["packages"]) == set(PACKAGES)
    assert set(tool["importlinter"]["root_packages"]) == set(PACKAGES)
    assert set(PACKAGES) <= set(tool["mypy"]["packages"])


def test_imports_are_held_by_contracts():
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    contracts = {contract["id"]: contract for contract in tool["importlinter"]["contracts"]}
    assert contracts["layers"]["layers"] == [
        "testbed",
        "fusion | calibration",
        "processing | sim_backend",
        "drivers",
    ]
    forbidden = {
        module
        for contract in contracts.values()
        if contract["type"] == "forbidden" and set(contract["source_modules"]) == set(PACKAGES)
        for module in contract["forbidden_modules"]
    }
    assert forbidden == {
        "uhd", "adi", "iio", "msgpack", "zmq", "matplotlib", "sigmf", "jsonschema", "distributed",
    }  # fmt: skip
