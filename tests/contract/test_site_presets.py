"""What every preset has to be: the example of its name, written whole, and of the schema."""

import json
import operator
import os
from importlib.resources import files

import pytest
import yaml

from testbed.site import load_site
from tests.unit.testbed.sites import EXAMPLES, PRESETS, ROOT, call, contents


@pytest.fixture(scope="module")
def schema():
    outcome = call("schema")
    assert (outcome.code, outcome.err) == (0, "")
    return json.loads(outcome.out)


def resolved(schema, part):
    """A part of the schema without its reference, and of alternatives the one that is no null."""
    while "$ref" in part or "anyOf" in part:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
        else:
            (part,) = (p for p in part["anyOf"] if p != {"type": "null"})
    return part


def violations(schema, part, value, place="$"):
    """Where a value leaves the schema; of the words that this schema uses, all but formats."""
    part = resolved(schema, part)
    if "enum" in part:
        return [] if value in part["enum"] else [place]
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}
    if part["type"] != "boolean" and not isinstance(value, kinds[part["type"]]):
        return [place]
    found = []
    if part["type"] == "object":
        found += [f"{place}.{key}" for key in part.get("required", ()) if key not in value]
        for key, item in value.items():
            known = key in part["properties"]
            here = f"{place}.{key}"
            found += violations(schema, part["properties"][key], item, here) if known else [here]
    elif part["type"] == "array":
        items = part.get("prefixItems") or [part["items"]] * len(value)
        found += [place] * (len(items) != len(value))
        for n, (item, each) in enumerate(zip(value, items, strict=False)):
            found += violations(schema, each, item, f"{place}[{n}]")
    elif part["type"] in ("integer", "number"):
        limits = (
            ("minimum", operator.lt), ("exclusiveMinimum", operator.le),
            ("maximum", operator.gt), ("exclusiveMaximum", operator.ge),
        )  # fmt: skip
        found += [place for name, beyond in limits if name in part and beyond(value, part[name])]
    return found


def test_schema_names_what_a_site_needs(schema):
    site = resolved(schema, schema)
    assert site["required"] == ["schema", "name", "waveform", "area_m"]
    assert site["additionalProperties"] is False
    waveform = resolved(schema, site["properties"]["waveform"])
    assert waveform["required"] == [
        "carrier_mhz", "subcarrier_spacing_khz", "num_subcarriers"
    ]  # fmt: skip
    assert all(
        section["additionalProperties"] is False
        for section in schema["$defs"].values()
        if section["type"] == "object"
    )


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_schema_takes_every_example_and_refuses_a_misspelt_one(schema, path):
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert violations(schema, schema, raw) == []
    assert violations(schema, schema, raw | {"seeed": 1}) == ["$.seeed"]
    assert violations(schema, schema, raw | {"schema": 2}) == ["$.schema"]
    assert violations(schema, schema, raw | {"area_m": [0, 0, 1]}) == ["$.area_m"]
    without = {key: value for key, value in raw.items() if key != "waveform"}
    assert violations(schema, schema, without) == ["$.waveform"]


def test_every_example_is_a_preset():
    assert {path.stem for path in EXAMPLES} == set(PRESETS)


@pytest.mark.parametrize("preset", PRESETS)
def test_init_writes_the_example_byte_for_byte(tmp_path, monkeypatch, preset):
    monkeypatch.chdir(tmp_path)
    outcome = call("init", "--preset", preset)
    assert outcome.code == 0
    assert list(contents(tmp_path)) == [f"{preset}.yaml"]
    written = (tmp_path / f"{preset}.yaml").read_bytes()
    assert written == (ROOT / "examples" / f"{preset}.yaml").read_bytes()
    assert written == (files("testbed") / "presets" / f"{preset}.yaml").read_bytes()
    assert f"testbed localize {preset}.yaml" in outcome.out
    assert call("init", "other.yaml", "--preset", preset).code == 0
    assert (tmp_path / "other.yaml").read_bytes() == written


@pytest.mark.parametrize("preset", PRESETS)
def test_every_section_of_a_preset_is_commented(preset):
    lines = (ROOT / "examples" / f"{preset}.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert sum("#" in line for line in lines) >= 8


def test_init_writes_the_factory_unless_told_otherwise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("init").code == 0
    assert load_site(tmp_path / "factory.yaml").name == "factory"


def test_init_does_not_overwrite_unless_told_to(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_text("precious", encoding="utf-8")
    outcome = call("init", path)
    assert outcome.code == 2
    assert outcome.err == f"error: {path}: is there already; name another file, or add --force\n"
    assert contents(tmp_path) == {"site.yaml": b"precious"}
    assert call("init", path, "--force").code == 0
    assert load_site(path).name == "factory"


def test_init_never_replaces_a_folder_or_a_device(tmp_path):
    for path in (tmp_path, os.devnull):
        outcome = call("init", path, "--force")
        assert outcome.code == 2
        assert outcome.err == f"error: {path}: is there already; name another file\n"
    assert contents(tmp_path) == {}
