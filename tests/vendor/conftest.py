"""Tests against vendors' own clients; a folder says why it is left out where they are missing.

`make test` installs them where it may; docs/vendor-software.md says how to by hand.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from testbed.doctor.software import software_of


@dataclass(frozen=True)
class Needs:
    """Programs beside the kind's own software, and what installs all of it on Debian and Ubuntu."""

    programs: tuple[str, ...]
    install: str


NEEDS = {
    "pluto": Needs(
        ("iio_attr", "iio_info", "iio_readdev", "iio_writedev", "iiod"),
        "apt-get install libiio0 libiio-utils iiod",
    ),
    "usrp": Needs(
        ("uhd_config_info", "uhd_find_devices", "uhd_usrp_probe"),
        "apt-get install python3-uhd uhd-host, make usrp-env, and .venv-usrp/bin/python -m pytest",
    ),
}
# Debian's iiod is a program for administrators.
PLACES = os.pathsep.join((os.environ["PATH"], "/usr/sbin"))


class LeftOut(pytest.Directory):
    """A folder that gives a reason in place of tests."""

    reason: str

    def collect(self):
        pytest.skip(self.reason)


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if path.parent != Path(__file__).parent or path.name not in NEEDS:
        return None
    needs = NEEDS[path.name]
    missing = [program for program in needs.programs if shutil.which(program, path=PLACES) is None]
    software = software_of(path.name)
    if software.state != "ok":
        missing.append(software.found)
    if not missing:
        return None
    folder = LeftOut.from_parent(parent, path=path)
    folder.reason = f"{path.name}: missing: {', '.join(missing)}; {needs.install}"
    return folder
