"""Packages under `examples/`, installed as their users would."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def installed(package: Path, into: Path, source: Path) -> dict[str, str]:
    """An environment in which an example package is installed, and nothing else new.

    Parameters
    ----------
    package
        Directory of the package; it has a module of the same name.
    into, source
        Empty directories: where it goes, and where it is built.
    """
    for name in ("pyproject.toml", f"{package.name}.py"):
        (source / name).write_bytes((package / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--no-build-isolation", "--disable-pip-version-check", "--target", into, source],
        check=True,
    )  # fmt: skip
    return os.environ | {"PYTHONPATH": f"{into}{os.pathsep}{ROOT}"}


def run_testbed(
    environment: dict[str, str], *arguments: object
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "testbed.cli", *map(str, arguments)],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
