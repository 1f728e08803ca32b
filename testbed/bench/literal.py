"""The literal evaluations, which lie beside the tests of a checkout and are not installed."""

from importlib import import_module
from pathlib import Path
from types import ModuleType

import testbed

_FOLDER = Path(testbed.__file__).parents[1] / "tests" / "oracles"


def literal_module(name: str) -> ModuleType | None:
    """Module ``tests.oracles.literal_<name>`` of the checkout that this package is run from.

    ``None`` where the package was installed without its tests.
    """
    path = _FOLDER / f"literal_{name}.py"
    if not path.is_file():
        return None
    try:
        module = import_module(f"tests.oracles.literal_{name}")
    except ModuleNotFoundError:
        return None
    own = module.__file__ is not None and Path(module.__file__) == path
    return module if own else None


def have_literals() -> bool:
    """Whether ratios and errors can be measured."""
    return literal_module("chain") is not None
