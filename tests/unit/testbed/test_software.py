"""Which code computes, and what differs."""

import re
import shutil
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

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


def test_code_that_only_shows_is_no_part_of_it(tmp_path, monkeypatch):
    """So that a page may be changed while its study runs; what a trial passes through may not."""
    root = tmp_path / "above" / "report"  # where the packages are does not matter
    monkeypatch.setattr(software, "_folders_of", lambda package: [root / package])
    for package in software._PACKAGES:
        own = Path(find_spec(package).submodule_search_locations[0])
        shutil.copytree(own, root / package, ignore=shutil.ignore_patterns("__pycache__"))
    real = software._code_hash()

    def changes(path):
        before = path.read_text()
        path.write_text(f"{before}\nx = 1\n")
        changed = software._code_hash() != real
        path.write_text(before)
        return changed

    testbed = root / "testbed"
    for shows in (
        "commands/study_paper.py", "figures/worth.py", "paper/page.py", "report/html.py",
        "sweeps/page.py",
    ):  # fmt: skip
        assert not changes(testbed / shows)
    for computes in ("runs/trial.py", "runs/study.py", "build.py", "site.py", "bus/errors.py"):
        assert changes(testbed / computes)
    for package in software._PACKAGES:
        assert changes(root / package / "__init__.py")
    assert changes(root / "processing" / "report.py")
    assert software._code_hash() == real


@pytest.mark.parametrize("shows", sorted(software._SHOWING))
def test_nothing_that_computes_imports_what_only_shows(shows):
    """Or results could change, and their identity not."""
    name = re.compile(rf"^\s*(?:from|import) testbed\.{shows}\b", re.MULTILINE)
    folder = Path(find_spec("testbed").submodule_search_locations[0])
    for path in (folder / "runs").rglob("*.py"):
        assert not name.search(path.read_text(encoding="utf-8")), path


def test_differences_have_their_place():
    found = {"site": {"nodes": [{"x": 1.0}, {"x": 2.0}], "name": "lab", "gone": None}, "seed": 1}
    needed = {"site": {"nodes": [{"x": 1.0}, {"x": 2.5}], "name": "lab", "more": []}, "seed": 1}
    assert differences(found, needed) == [
        "site.gone: None, needed nothing",
        "site.more: nothing, needed []",
        "site.nodes.1.x: 2.0, needed 2.5",
    ]
    assert differences(found, found) == []
