"""What is compiled is kept, and a run goes on where it cannot be kept or is damaged."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = """
import resource, sys
import numpy as np
from drivers.compiled import compiled, compiled_sums

@compiled
def twice(values):
    return values * 2.0

@compiled_sums
def total(values):
    found = 0.0
    for value in values:
        found += value
    return found

if "--nothing-can-be-written" in sys.argv:
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
print(twice(np.arange(3.0)).tolist(), total(np.arange(4.0)), len(twice.stats.cache_hits))
"""
RIGHT = "[0.0, 2.0, 4.0] 6.0"


def run(folder: Path, *arguments: str, **settings: str) -> str:
    script = folder / "doubled.py"
    if not script.exists():
        script.write_text(SOURCE)
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(Path(__file__).parents[3]),
        **settings,
    }  # fmt: skip
    ran = subprocess.run(
        [sys.executable, str(script), *arguments],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return ran.stdout.strip()


def test_the_next_process_finds_it(tmp_path):
    assert run(tmp_path) == f"{RIGHT} 0"
    assert run(tmp_path) == f"{RIGHT} 1"


@pytest.mark.parametrize("ending", ["*.nbi", "*.nbc"])
@pytest.mark.parametrize("left", [0, 20])
def test_a_damaged_file_is_compiled_anew(tmp_path, ending, left):
    run(tmp_path)
    damaged = list((tmp_path / "cache").rglob(ending))
    assert damaged
    for path in damaged:
        path.write_bytes(path.read_bytes()[:left])
    assert run(tmp_path) == f"{RIGHT} 0"
    assert run(tmp_path) == f"{RIGHT} 1"  # and kept again


def test_a_full_disk_is_no_error(tmp_path):
    assert run(tmp_path, "--nothing-can-be-written") == f"{RIGHT} 0"
    assert not list((tmp_path / "cache").rglob("*.nbc"))


def test_without_a_folder_it_is_compiled_all_the_same(tmp_path):
    """Numba looks for folders of archives only, and finds none."""
    nowhere = {"NUMBA_CACHE_LOCATOR_CLASSES": "ZipCacheLocator"}
    assert run(tmp_path, **nowhere) == f"{RIGHT} 0"
    assert run(tmp_path, **nowhere) == f"{RIGHT} 0"
    assert not (tmp_path / "cache").exists()
