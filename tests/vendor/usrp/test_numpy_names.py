"""All that the project takes from NumPy is there in the one that UHD needs."""

import ast
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("testbed", "drivers", "calibration", "processing", "fusion", "sim_backend")


def dotted(node):
    """The names behind ``np`` in an expression such as ``np.linalg.solve``, or none."""
    names = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return names if isinstance(node, ast.Name) and node.id == "np" else []


def unknown_names(source):
    found = set()
    for node in ast.walk(ast.parse(source)):
        place = np
        for name in dotted(node):
            if not hasattr(place, name):
                found.add(name)
                break
            place = getattr(place, name)
    return found


@pytest.mark.filterwarnings("ignore")  # NumPy warns of old names by handing them out
@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_known(package):
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in (ROOT / package).rglob("*.py")
        for name in unknown_names(path.read_text(encoding="utf-8"))
    }
    # Guarded by a look whether it is there.
    assert found - {("fusion/initialization.py", "bitwise_count")} == set()


def test_a_name_that_is_missing_is_noticed():
    assert unknown_names("np.linalg.nothing(np.float64(1)) + np.zeros(3).trapezoid") == {"nothing"}
