"""``docs/nuisances.md`` holds the generated table, and says how each nuisance is measured."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from sim_backend.impairments import Impairments, nuisance_table

ROOT = Path(__file__).parents[3]
PAGE = Path("docs", "nuisances.md")
HEAD = "| Nuisance | Unit |"
# Replaces the table from its head to the empty line behind it.
WRITE = (
    "import re, pathlib; from sim_backend.impairments import nuisance_table as table; "
    "page = pathlib.Path('docs/nuisances.md'); "
    r"page.write_text(re.sub(r'(?ms)^\| Nuisance \| Unit .*?\n\n', lambda _: table() + '\n', "
    "page.read_text('utf-8'), count=1), 'utf-8')"
)


def table_of(page: str) -> str:
    return page[page.index(HEAD) :].split("\n\n", maxsplit=1)[0] + "\n"


def test_the_page_holds_the_table():
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    if table_of(page) != nuisance_table():
        command = f'python -c "{WRITE}"'
        pytest.fail(f"{PAGE} is stale; write its table anew with\n\n{command}", pytrace=False)


@pytest.mark.parametrize("name", [nuisance.name for nuisance in fields(Impairments)])
def test_the_page_says_how_each_is_measured(name):
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    methods = page[page.index("## How each is measured") :]
    assert f"`{name}`" in methods


def test_the_command_writes_the_table_and_nothing_else(tmp_path):
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    stale = tmp_path / PAGE
    stale.parent.mkdir()
    stale.write_text(page.replace(table_of(page), f"{HEAD}\n|---|---|\n| old | |\n"), "utf-8")
    # The working directory holds the page; the packages are found from the checkout.
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    subprocess.run([sys.executable, "-c", path + WRITE], cwd=tmp_path, check=True, timeout=50)
    assert stale.read_text("utf-8") == page.replace(table_of(page), nuisance_table())
