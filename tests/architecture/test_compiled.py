"""What is compiled is kept on disk, and compiled anew only when its own file changes."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("testbed", "drivers", "calibration", "processing", "fusion", "sim_backend")
DECORATORS = {"compiled", "compiled_sums"}
FILES = [
    path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
    if "compiled" in path.read_text(encoding="utf-8")
]


def compiled_functions(module: ast.Module) -> list[ast.FunctionDef]:
    return [
        node
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef)
        and DECORATORS & {d.id for d in node.decorator_list if isinstance(d, ast.Name)}
    ]


def foreign_names(source: str) -> set[str]:
    """Names of this project's that compiled functions take from other files."""
    module = ast.parse(source)
    imported = {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PACKAGES
        for alias in node.names
    }
    used = set()
    for function in compiled_functions(module):
        for statement in function.body:  # annotations and decorators are not compiled
            used |= {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
    return used & imported


def test_some_functions_are_compiled():
    found = [f for path in FILES for f in compiled_functions(ast.parse(path.read_text()))]
    assert len(found) > 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_compiled_functions_use_their_own_file_only(path):
    """A constant or a function of another file that changes would be missed."""
    assert not foreign_names(path.read_text(encoding="utf-8"))


def test_a_constant_of_another_file_is_noticed():
    source = "from fusion.network import FAR_M\n@compiled\ndef f(x):\n    return x * FAR_M\n"
    assert foreign_names(source) == {"FAR_M"}
