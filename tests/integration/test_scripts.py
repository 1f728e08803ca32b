"""The scripts behind make: what could not be had is said, and nothing is installed unasked.

They run as copies in a folder of their own, with programs of the system replaced where running them
would change the machine.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
NOTHING_INSTALLED = {
    "dpkg_query": "exit 1",
    "apt_get": "echo asked >>asked; echo E: no network >&2; exit 100",
}


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "scripts").mkdir()
    for script in SCRIPTS.iterdir():
        shutil.copy(script, tmp_path / "scripts")
    return tmp_path


def programs(folder, **texts):
    """Put programs of these names first on the path of what `run` starts."""
    (folder / "bin").mkdir(exist_ok=True)
    for name, text in texts.items():
        path = folder / "bin" / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)


def run(folder, *command, **environment):
    own = {"PATH": os.pathsep.join((str(folder / "bin"), str(Path(sys.executable).parent)))}
    own["PATH"] += os.pathsep + os.environ["PATH"]
    return subprocess.run(
        command, cwd=folder, env=os.environ | own | environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_vendor_software_is_not_installed_where_that_is_forbidden(checkout):
    programs(checkout, **NOTHING_INSTALLED)
    done = run(checkout, "scripts/vendor", ISAC_NO_VENDOR_INSTALL="1")
    assert done.returncode == 0
    assert "as ISAC_NO_VENDOR_INSTALL=1 says: apt-get install libiio0" in done.stdout
    assert done.stdout.endswith("as ISAC_NO_VENDOR_INSTALL=1 says: .venv-usrp\n")
    assert not (checkout / "asked").exists()
    assert not (checkout / ".venv-usrp").exists()


def test_vendor_software_that_cannot_be_installed_is_named_and_fails_nothing(checkout):
    programs(checkout, **NOTHING_INSTALLED, sudo="exit 1" if os.geteuid() == 0 else 'shift; "$@"')
    (checkout / "scripts/setup").write_text("#!/bin/sh\necho 'setup: no uhd' >&2; exit 1\n")
    done = run(checkout, "scripts/vendor")
    assert done.returncode == 0
    assert (checkout / "asked").exists()
    assert "could not be installed: apt-get install libiio0" in done.stdout
    assert "E: no network\n" in done.stdout
    assert done.stdout.endswith("setup: no uhd\n")


def test_where_all_is_there_nothing_is_said(checkout):
    programs(checkout, dpkg_query="printf installed", apt_get="echo asked >>asked; exit 100")
    (checkout / "scripts/setup").write_text("#!/bin/sh\nexit 0\n")
    done = run(checkout, "scripts/vendor")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not (checkout / "asked").exists()


def test_the_checks_end_with_what_was_left_out_and_why(checkout):
    folder = checkout / "tests" / "contract"
    folder.mkdir(parents=True)
    (folder / "test_it.py").write_text(
        "import pytest\n\ndef test_it():\n    pytest.skip('no such radio here')\n"
    )
    (checkout / "pytest.ini").write_text("[pytest]\naddopts = -ra\n")
    done = run(checkout, "scripts/check", "contract", "vendor", ISAC_VENDOR_PROBLEM="no apt here")
    told = done.stdout.rpartition("left out:\n")[2].splitlines()
    assert "no such radio here" in told[0]
    assert told[1].startswith("SKIPPED tests/vendor/usrp: no .venv-usrp")
    assert told[2:] == ["no apt here"]
    assert done.returncode == 1  # for tests/vendor/pluto, which is not there at all


def test_the_environment_of_usrp_agents_needs_an_interpreter_with_uhd(checkout):
    (checkout / "requirements-usrp.lock").touch()
    done = run(checkout, "scripts/setup", "usrp", PYTHON=sys.executable)
    assert done.returncode == 1
    assert "has no module uhd" in done.stderr
    assert not (checkout / ".venv-usrp").exists()


def test_an_environment_that_nobody_knows_is_refused(checkout):
    done = run(checkout, "scripts/setup", "ursp")
    assert done.returncode == 2
    assert "no environment 'ursp'" in done.stderr
