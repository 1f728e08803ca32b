"""What is compiled is kept, and a run goes on where it cannot be kept or is damaged."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer

import numpy as np
import pytest

from drivers.compiled import compiled

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
hits = twice.__wrapped__.stats.cache_hits
print(twice(np.arange(3.0)).tolist(), total(np.arange(4.0)), len(hits))
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


def busy(values, num_steps):
    total = 0.0
    for step in range(num_steps):
        total += math.sin(total + step)
    return values, np.full(3, total)


def compute_while_interrupted(function, values, for_s=10.0):
    """Call it again and again; the interrupt comes after five milliseconds."""
    interrupt = Timer(0.005, os.kill, (os.getpid(), signal.SIGINT))
    until_s = time.monotonic() + for_s
    interrupt.start()
    while time.monotonic() < until_s:
        function(values, 100_000)


@pytest.mark.parametrize("given", ["writable", "read only"])
def test_an_interrupt_stays_one(given):
    """It comes while machine code computes, and its handler runs where that ends."""
    busily, values = compiled(busy), np.ones(4)
    values.flags.writeable = given == "writable"
    busily(values, 1)
    for _ in range(20):
        with pytest.raises(KeyboardInterrupt):
            compute_while_interrupted(busily, values)


def test_what_compiled_code_raises_comes_as_it_is():
    def refuse(value):
        if value > 0.0:
            raise SystemError
        return value

    with pytest.raises(SystemError):
        compiled(refuse)(1.0)
