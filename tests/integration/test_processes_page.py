"""What docs/processes.md tells a newcomer to type on one machine is run, as it stands there."""

import json
import re
import shlex
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "processes.md"
TESTBED = [sys.executable, "-m", "testbed"]
# Small enough for a test: what is found does not matter here.
GRID = (("num_subcarriers: 1332", "num_subcarriers: 256"), ("num_captures: 70", "num_captures: 3"))


def page_commands() -> list[list[str]]:
    (block,) = re.findall(r"```console\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line, comments=True)[1:] for line in block.splitlines()]


def free_port() -> int:
    """The first of five in a row that nobody listens at."""
    for first in range(20_000, 32_000, 7):
        try:
            for port in (*range(first, first + 5), first + 500):
                with closing(socket.socket()) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    pytest.skip("no free ports on this machine")


@pytest.mark.timeout(240)
def test_one_machine(tmp_path):
    init, up, *others = page_commands()
    assert init[0] == "init"
    assert up[0] == "up"
    subprocess.run([*TESTBED, *init], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    site = tmp_path / "lab.yaml"
    text = site.read_text(encoding="utf-8")
    for old, new in GRID:
        assert old in text
        text = text.replace(old, new)
    site.write_text(text, encoding="utf-8")
    port = ("--port", str(free_port()))
    running = subprocess.Popen(
        [*TESTBED, *up, *port, "--state", "state"], cwd=tmp_path, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert running.stdout is not None
        serves = next((line for line in running.stdout if line.startswith("lab serves")), None)
        assert serves is not None, "testbed up ended before it served"
        outputs = {}
        for arguments in others:
            done = subprocess.run(
                [*TESTBED, *arguments, *port], cwd=tmp_path, capture_output=True, text=True,
                check=False, timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, (arguments, done.stderr)
            outputs[arguments[0]] = done.stdout
    finally:
        running.send_signal(signal.SIGINT)
        output, _ = running.communicate(timeout=30)
    assert running.returncode == 0, output
    assert "6 of 6 nodes are there" in outputs["status"]
    assert "30 entries, 30 learned now" in outputs["calibrate"]
    assert len(list((tmp_path / "state" / "monday").glob("*.entry.json"))) == 30
    assert json.loads(outputs["localize"])["status"] in ("converged", "unresolved")
