"""Whether the software that a kind of radio needs can be loaded, and which versions it has.

It is loaded in a process of its own: a vendor's library that crashes must not take the doctor.
"""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from drivers.registry import installed_kinds
from drivers.vendor_software import INSTALLATION
from testbed.doctor.finding import Finding

_TIMEOUT_S = 60.0

# Each prints what it found, one thing a line. UHD 4.3 has no version in Python, but its library
# has it in its name.
_LOADING = {
    "pluto": """
import iio
print("libiio", ".".join(map(str, iio.version[:2])))
import adi
""",
    "usrp": """
import pathlib, re, uhd
library = re.search(r"/libuhd\\.so\\.([0-9.]+)", pathlib.Path("/proc/self/maps").read_text())
print("UHD", library[1] if library else "of unknown version")
""",
}
_DISTRIBUTIONS = {"pluto": ("pyadi-iio", "pylibiio"), "usrp": ("numpy",)}
# NumPy says so when a module of an older NumPy is loaded. UHD before NumPy 2 even finds and
# constructs devices, and crashes at the first sample.
_BUILT_FOR_NUMPY_1 = "compiled using NumPy 1.x"


def software_of(kind: str) -> Finding:
    """What is there of the software of a kind of radio, in this environment."""
    if kind == "sim":
        return Finding(kind, "software", "ok", "simulated radios need none")
    entry = installed_kinds().get(kind)
    if entry is None:
        remedy = "check the spelling (testbed radio list), or install the package that provides it"
        return Finding(kind, "software", "missing", "no installed package provides it", remedy)
    if kind not in _LOADING:
        package = entry.dist.name if entry.dist is not None else entry.module
        return Finding(kind, "software", "ok", f"part of {package}")
    return _loaded(kind)


def _loaded(kind: str) -> Finding:
    # -P: as for the testbed command, the working directory is no place for modules.
    command = [sys.executable, "-P", "-c", _LOADING[kind]]
    try:
        done = subprocess.run(  # noqa: S603 - the sources above
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        found = f"did not load within {_TIMEOUT_S:g} s"
        return Finding(kind, "software", "missing", found, INSTALLATION[kind])
    if _BUILT_FOR_NUMPY_1 in done.stderr:
        problem = f"this UHD is built for NumPy 1 and crashes with {_installed('numpy')}"
        remedy = f"make usrp-env, and use {_usrp_testbed()}"
        return Finding(kind, "software", "missing", problem, remedy)
    if done.returncode:
        return Finding(kind, "software", "missing", _problem(done), _remedy(kind, done.stderr))
    versions = [*done.stdout.splitlines(), *map(_installed, _DISTRIBUTIONS[kind])]
    return Finding(kind, "software", "ok", ", ".join(versions))


def _installed(distribution: str) -> str:
    try:
        return f"{distribution} {version(distribution)}"
    except PackageNotFoundError:
        return f"no {distribution}"


def _problem(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"loading it ended with signal {-done.returncode}"
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"loading it ended with status {done.returncode}"


def _remedy(kind: str, stderr: str) -> str:
    if kind == "usrp":
        if _usrp_testbed().exists():
            return f"use {_usrp_testbed()}, whose environment has it"
        return INSTALLATION[kind]
    if "No module named" in stderr:
        return "pip install 'isac-testbed[pluto]'"
    # The module is there, so its library is not, or is older than it wants.
    if _installed("pylibiio").startswith("pylibiio 0."):
        return "apt-get install libiio0"
    return "pip install 'pylibiio<1', and apt-get install libiio0"


def _usrp_testbed() -> Path:
    """The command of the environment that 'make usrp-env' makes, beside this one's."""
    return Path(sys.prefix).parent / ".venv-usrp" / "bin" / "testbed"
