"""What docs/processes.md tells a newcomer to type on one machine is run, as it stands there."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.integration.running import TESTBED, running

PAGE = Path(__file__).resolve().parents[2] / "docs" / "processes.md"
# Small enough for a test: what is found does not matter here.
GRID = (("num_subcarriers: 1332", "num_subcarriers: 256"), ("num_captures: 70", "num_captures: 3"))


def page_commands() -> list[list[str]]:
    (block,) = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines()]


@pytest.mark.timeout(240)
def test_one_machine(tmp_path):
    init, up, *others = page_commands()
    assert init[0] == "init"
    assert up[:3] == ["up", "lab.yaml", "--simulate"]
    subprocess.run([*TESTBED, *init], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    site = tmp_path / "lab.yaml"
    text = site.read_text(encoding="utf-8")
    for old, new in GRID:
        assert old in text
        text = text.replace(old, new)
    site.write_text(text, encoding="utf-8")
    with running("lab.yaml", tmp_path, *up[3:]) as testbed:
        outputs = {arguments[0]: testbed.call(*arguments) for arguments in others}
    assert "6 of 6 nodes are there" in outputs["status"]
    assert "30 entries, 30 learned now" in outputs["calibrate"]
    assert len(list((tmp_path / "state" / "monday").glob("*.entry.json"))) == 30
    assert json.loads(outputs["localize"])["status"] in ("converged", "unresolved")
