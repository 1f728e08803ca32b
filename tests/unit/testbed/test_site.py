"""Site files: what is read, and how what cannot be read is refused."""

import copy
import math
from datetime import date

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.build import Overrides, build_fusion, build_nodes, build_processing, overridden
from testbed.site import Site, SiteError, load_site
from tests.unit.testbed.sites import EXAMPLES, changed, hall, lab, loaded, write_site

LAB_TEXT = yaml.safe_dump(lab(), sort_keys=False)
SHARED_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def problems(folder, text):
    """What `load_site` has against a text, each line without the file's name."""
    path = folder / "site.yaml"
    if isinstance(text, bytes):
        path.write_bytes(text)
    else:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(SiteError) as refused:
        load_site(path)
    lines = str(refused.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    assert [line.removeprefix(f"{path}: ") for line in lines] == refused.value.problems
    return refused.value.problems


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_loads(path):
    site = load_site(path)
    assert site.name == path.stem
    assert site.schema == 1


def test_what_is_left_out_has_its_documented_default(tmp_path):
    site = loaded(
        tmp_path,
        {
            "schema": 1,
            "name": "bare",
            "waveform": {
                "carrier_mhz": 5800.0, "subcarrier_spacing_khz": 30.0, "num_subcarriers": 600
            },
            "area_m": [0, 0, 30, 20],
            "uniform_nodes": {"num_nodes": 4},
        },
    )  # fmt: skip
    assert site.node_defaults.radio.kind == "sim"
    assert site.node_defaults.array.spacing_wavelengths == 0.5
    assert site.sensing.num_receivers == 1
    assert site.calibration.num_captures == 70
    assert site.simulation.target_m is None
    assert site.area_m == (0.0, 0.0, 30.0, 20.0)  # whole numbers count as numbers


@pytest.mark.parametrize(
    ("written", "value"),
    [("1e-6", 1e-6), ("1.0e-6", 1e-6), (".5e-3", 5e-4), ("1E-4", 1e-4), ("0.25", 0.25)],
)
def test_numbers_with_exponents_are_numbers(tmp_path, written, value):
    """YAML 1.1 takes ``1e-6`` for text; a site file does not."""
    path = tmp_path / "site.yaml"
    path.write_text(f"{LAB_TEXT}processing: {{false_alarm_probability: {written}}}\n")
    assert load_site(path).processing.false_alarm_probability == value


def test_infinite_front_to_back_is_allowed(tmp_path):
    raw = changed(lab(), {"node_defaults.receive_pattern.front_to_back_db": math.inf})
    assert loaded(tmp_path, raw).node_defaults.receive_pattern.front_to_back_db == math.inf


def test_a_merged_mapping_may_be_overridden(tmp_path):
    text = LAB_TEXT.replace("node_defaults:\n", "node_defaults: &defaults\n")
    first = "- node_id: a\n"
    assert first in text
    arrays = (
        "- node_id: a\n  receive_pattern: &p {kind: sector, gain_dbi: 3.0}\n"
        "  transmit_pattern: {<<: *p, gain_dbi: 5.0}\n"
    )
    path = tmp_path / "site.yaml"
    path.write_text(text.replace(first, arrays))
    node = load_site(path).nodes[0]
    assert node.receive_pattern.gain_dbi == 3.0
    assert (node.transmit_pattern.kind, node.transmit_pattern.gain_dbi) == ("sector", 5.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["$", "must be a mapping", "got nothing"]),
        ("# only a comment\n", ["$", "must be a mapping", "got nothing"]),
        ("- a\n- b\n", ["$", "must be a mapping", "got a list of 2"]),
        ("hello\n", ["$", "must be a mapping", "got 'hello'"]),
        ("42\n", ["$", "must be a mapping", "got 42"]),
        (bytes(range(256)), ["UTF-8", "0x80"]),
        (b"\x00\x01\x02", ["not YAML", "special characters"]),
        (LAB_TEXT.encode("utf-16"), ["UTF-8", "0xff"]),
        ("schema: 1\n\tname: x\n", ["line 2", r"'\t'"]),
        ("schema: 1\n---\nschema: 1\n", ["line 2", "another document"]),
        ("[" * 1000, ["nested too deeply"]),
        ("a: &a [*a]\n", ["line 1", "recursive"]),
        ("!!python/object:os.system x\n", ["line 1", "python/object"]),
        ("schema: 1\n? [a]\n: 1\n", ["line 2", "key must be text", "sequence"]),
        ("schema: 1\n? {a: 1}\n: 1\n", ["line 2", "key must be text", "mapping"]),
        ("schema: 1\n5: 6\n", ["line 2", "key must be text", "5", "quotes"]),
        ("schema: 1\nnull: 6\n", ["line 2", "key must be text", "null"]),
        ("schema: 1\nno: 6\n", ["line 2", "key must be text", "no", "quotes"]),
        ("schema: 1\nname: 2020-99-99\n", ["line 2", "2020-99-99", "month"]),
        ("schema: 1\nname: !!int x\n", ["line 2", "'x' cannot be read"]),
        ("schema: 1\nname: !!timestamp x\n", ["line 2", "'x' cannot be read"]),
        ("schema: 1\nname: !!bool x\n", ["line 2", "'x' cannot be read"]),
        ("schema: 1\nname: 0x_\n", ["line 2", "'0x_' cannot be read"]),
        ('schema: 1\nname: "\\ud800"\n', ["line 2", "cannot be read", "surrogates"]),
        ("schema: " + "9" * 5000, ["line 1", "cannot be read", "digits"]),
    ],
)
def test_what_is_no_site_is_refused(tmp_path, text, words):
    (problem,) = problems(tmp_path, text)
    assert all(word in problem for word in words), problem
    assert len(problem) < 400


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("name: lab\n", "name: lab\nname: other\n", "name"),
        ("  tx_power_dbm: 10.0\n", "  tx_power_dbm: 10.0\n  tx_power_dbm: 20.0\n", "tx_power_dbm"),
        ("- node_id: a\n", "- node_id: a\n  node_id: z\n", "node_id"),
    ],
)
def test_a_key_given_twice_is_refused_with_its_line(tmp_path, old, new, key):
    assert old in LAB_TEXT
    text = LAB_TEXT.replace(old, new)
    line = text[: text.index(new)].count("\n") + 2
    (problem,) = problems(tmp_path, text)
    assert problem.startswith(f"line {line}, ")
    assert f"the key {key!r} is given twice" in problem


def test_an_alias_bomb_costs_nothing(tmp_path):
    """Ten to the twelfth elements if it were written out."""
    bomb = ["&a0 [x, x, x, x, x, x, x, x, x, x]"]
    bomb += [f"&a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (problem,) = problems(tmp_path, LAB_TEXT.replace("name: lab", f"name: [{', '.join(bomb)}]"))
    assert problem.startswith("$.name: must be text, got a list of 12")
    bombed = LAB_TEXT.replace("name: lab", f"? [{', '.join(bomb)}]\n: 1\nname: lab")
    assert "a key must be text, got a sequence" in problems(tmp_path, bombed)[0]


@pytest.mark.parametrize("name", ["missing.yaml", "folder", "site.yaml/below"])
def test_what_is_no_file_is_refused(tmp_path, name):
    (tmp_path / "folder").mkdir()
    write_site(tmp_path, lab())
    with pytest.raises(SiteError) as refused:
        load_site(tmp_path / name)
    assert str(refused.value).startswith(f"{tmp_path / name}: ")
    assert len(refused.value.problems) == 1


# Nonsense that a value, or a whole section, may be replaced by.
NONSENSE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 10**30, -(10**30), 10**400]),
    st.floats(),
    st.sampled_from([-0.0, 5e-324, 1e-300, 1e300, math.nan, math.inf, -math.inf]),
    st.text(max_size=80),
    st.dates(min_value=date(1900, 1, 1)),
    st.lists(st.one_of(st.floats(), st.integers(), st.text(max_size=3)), max_size=5),
    st.dictionaries(st.text(max_size=5), st.floats(), max_size=2),
)


def places(raw, prefix=""):
    """Every place in a tree, as `changed` takes them."""
    items = raw.items() if isinstance(raw, dict) else enumerate(raw)
    for key, value in items:
        yield f"{prefix}{key}"
        if isinstance(value, dict | list):
            yield from places(value, f"{prefix}{key}.")


def section_and_key(raw, place):
    """What holds a place, and its key or index there."""
    *parents, last = (int(key) if key.isdigit() else key for key in place.split("."))
    for key in parents:
        raw = raw[key]
    return raw, last


def mutated(draw, raw):
    """A copy with one key taken out, renamed, pointed elsewhere, or given a nonsense value."""
    found = copy.deepcopy(raw)
    everywhere = list(places(raw))
    section, key = section_and_key(found, draw(st.sampled_from(everywhere)))
    kind = draw(st.sampled_from(["taken out", "renamed", "pointed", "replaced"]))
    if kind == "replaced":
        section[key] = draw(NONSENSE)
    elif kind == "pointed":
        other, other_key = section_and_key(raw, draw(st.sampled_from(everywhere)))
        section[key] = other[other_key]
    else:
        value = section.pop(key)
        if kind == "renamed" and isinstance(section, dict):
            section[draw(st.text(max_size=12))] = value
    return found


def loads_or_says_why(path) -> Site | None:
    """A site that can be built, or ``None`` where each problem names a place and is short."""
    try:
        site = load_site(path)
    except SiteError as refused:
        reasons = refused.problems
    else:
        assert overridden(site, Overrides()) == site
        build_nodes(site, 0)
        build_fusion(site)
        build_processing(site)
        return site
    assert reasons
    for reason in reasons:
        assert reason.startswith(("$", "line ", "not ")), reason
        assert len(reason) < 600
    return None


@pytest.mark.parametrize("preset", [lab, hall], ids=["lab", "hall"])
def test_a_changed_site_loads_or_says_why(tmp_path, preset):
    raw = preset()
    outcomes = set()

    @settings(parent=SHARED_FOLDER, max_examples=100)
    @given(st.data())
    def hold(data):
        path = write_site(tmp_path, mutated(data.draw, raw))
        outcomes.add(loads_or_says_why(path) is not None)

    hold()
    assert outcomes == {True, False}


@settings(parent=SHARED_FOLDER, max_examples=100)
@given(
    st.integers(0, len(LAB_TEXT) - 1),
    st.integers(0, 12),
    st.one_of(
        st.text(max_size=6),
        st.sampled_from(
            ["\t", ":", "- ", "{", "[", "]", "&a ", "*a", "!!", "<<: ", "? ", "|", "\x00", "'", '"']
        ),
    ),
)
def test_a_misspelt_text_loads_or_says_why(tmp_path, start, length, text):
    path = tmp_path / "site.yaml"
    path.write_text(LAB_TEXT[:start] + text + LAB_TEXT[start + length :], encoding="utf-8")
    loads_or_says_why(path)
