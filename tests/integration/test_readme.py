"""What the README tells a newcomer to type is run, in a new folder, as it stands there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", TEXT, flags=re.DOTALL)


def readme_commands() -> list[list[str]]:
    """The `testbed` lines of the README's first use section, as argument lists."""
    lines = [line for kind, block in BLOCKS if kind == "console" for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line.startswith("testbed ")]


@pytest.mark.timeout(300)
def test_the_use_section_runs_from_top_to_bottom(tmp_path):
    commands = readme_commands()
    assert len(commands) >= 6
    for arguments in commands:
        if "--trials" in arguments:  # the same command, fewer scenes
            arguments[arguments.index("--trials") + 1] = "3"
        done = subprocess.run(
            [sys.executable, "-m", "testbed.cli", *arguments[1:]],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, (arguments, done.stderr)
    assert (tmp_path / "lab.png").stat().st_size > 10_000


def test_the_python_example_runs(tmp_path):
    (block,) = (block for kind, block in BLOCKS if kind == "python")
    script = tmp_path / "example.py"
    script.write_text(block, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "SensingConfig" in done.stdout


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(((?!http)[^)#]+)\)", TEXT))))
def test_links_lead_somewhere(link):
    assert (ROOT / link).exists()
