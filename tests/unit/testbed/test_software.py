"""Which code computes, and what differs."""

from importlib.metadata import version

import numpy as np

from testbed.runs import software
from testbed.runs.software import differences, software_identity


def test_code_and_what_computes_for_it_are_named():
    found = software_identity()
    assert found["version"] == f"isac-testbed {version('isac-testbed')}"
    assert found["numpy"] == np.__version__
    assert set(found) == {"version", "code", "numba", "numpy", "scipy"}


def test_other_code_has_another_hash(tmp_path, monkeypatch):
    monkeypatch.setattr(software, "_folders_of", lambda package: [tmp_path / package])
    module = tmp_path / "fusion" / "below" / "solving.py"
    module.parent.mkdir(parents=True)
    hashes = [software._code_hash()]
    for content in ("x = 1\n", "x = 2\n"):
        module.write_text(content)
        hashes.append(software._code_hash())
    module.rename(module.with_name("moved.py"))
    hashes.append(software._code_hash())
    (module.parent / "notes.txt").write_text("not code")
    assert len(set(hashes)) == 4
    assert software._code_hash() == hashes[-1]


def test_differences_have_their_place():
    found = {"site": {"nodes": [{"x": 1.0}, {"x": 2.0}], "name": "lab", "gone": None}, "seed": 1}
    needed = {"site": {"nodes": [{"x": 1.0}, {"x": 2.5}], "name": "lab", "more": []}, "seed": 1}
    assert differences(found, needed) == [
        "site.gone: None, needed nothing",
        "site.more: nothing, needed []",
        "site.nodes.1.x: 2.0, needed 2.5",
    ]
    assert differences(found, found) == []
