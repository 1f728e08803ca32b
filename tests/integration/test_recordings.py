"""A run is recorded and run again: the same captures to the last bit, the same estimates."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sigmf

from drivers.contract import Bench, verdict_of
from drivers.contract_checks import CHECKS
from drivers.recording import Recording
from drivers.replay import ReplayRadio

ROOT = Path(__file__).parents[2]
LAB = ROOT / "examples" / "lab.yaml"


def run_testbed(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "testbed.cli", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> tuple[Path, dict]:
    """A short run at IQ fidelity with everything kept, and what it printed."""
    root = tmp_path_factory.mktemp("runs") / "run"
    site = root.parent / "site.yaml"
    text = LAB.read_text(encoding="utf-8").replace("num_captures: 70", "num_captures: 5")
    site.write_text(text, encoding="utf-8")
    done = run_testbed("record", site, "--seed", 3, "--fidelity", "iq", "--out", root, "--json")
    assert done.returncode == 0, done.stderr
    return root, json.loads(done.stdout)


def results(printed: dict) -> dict:
    return {k: v for k, v in printed.items() if k not in ("elapsed_s", "recording", "remade")}


@pytest.mark.timeout(120)
def test_a_replay_gives_bit_identical_captures_and_the_same_estimates(recorded):
    root, printed = recorded
    done = run_testbed("replay", root, "--json")
    assert done.returncode == 0, done.stderr
    replayed = json.loads(done.stdout)
    assert results(replayed) == results(printed)
    assert replayed["remade"]["differing"] == []
    links = sum(len(sensing["rx_ids"]) for sensing in printed["sensings"])
    assert replayed["remade"]["from_iq"] == links  # backgrounds come from the dictionary


def test_every_record_is_valid_sigmf_and_a_memmap(recorded):
    root, printed = recorded
    recording = Recording(root)
    assert len(recording.records) == printed["recording"]["num_records"]
    for record in recording.records[:6]:
        opened = sigmf.sigmffile.fromfile(str(record.path))
        opened.validate()
        kind = "load_block" if record.kind == "iq" else "load_capture"
        loaded = getattr(recording, kind)(record)
        samples = loaded.samples if record.kind == "iq" else loaded.rx_pilots
        mapped = np.memmap(record.data_path, dtype="<c8", mode="r").reshape(-1, samples.shape[1])
        np.testing.assert_array_equal(mapped, samples)
        np.testing.assert_array_equal(opened.read_samples().reshape(samples.shape), samples)


def test_a_changed_sample_is_found(recorded, tmp_path):
    root, _ = recorded
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    data = next(
        record.data_path
        for record in Recording(copy).records
        if record.kind == "iq" and record.fields.phase == "sensing"
    )
    content = bytearray(data.read_bytes())
    content[1000] ^= 1
    data.write_bytes(content)
    done = run_testbed("replay", copy)
    assert done.returncode == 2
    assert data.stem in done.stderr.replace("\n", "")


def test_a_recording_that_was_cut_off_is_replayed_up_to_its_end(recorded, tmp_path):
    root, printed = recorded
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    last = len(printed["sensings"]) - 1
    for record in Recording(copy).records:
        if record.fields.phase == "sensing" and record.fields.index == last:
            record.path.unlink()
    done = run_testbed("replay", copy)
    assert done.returncode == 0, done.stderr
    assert "the recording ends here" in done.stdout


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_replayed_radio_keeps_the_contract(recorded, check):
    recording = Recording(recorded[0])
    record = next(record for record in recording.records if record.kind == "iq")
    radio = ReplayRadio(recording, record.fields.rx_id)
    block = recording.load_block(record)
    bench = Bench(radio, block.tuning, num_samples=1024)
    verdict = verdict_of(check, bench)
    assert verdict.outcome in ("passed", "not applicable"), verdict.reason


def test_where_a_recording_cannot_be_made_or_read(recorded, tmp_path):
    root, _ = recorded
    again = run_testbed("record", LAB, "--out", root)
    assert again.returncode == 2
    assert "already holds a recording" in again.stderr
    none = run_testbed("replay", tmp_path)
    assert none.returncode == 2
    assert "no recording" in none.stderr


def test_the_documented_schema_is_that_of_the_records():
    done = run_testbed("schema", "--recording")
    documented = (ROOT / "docs" / "isac-sigmf.schema.json").read_text(encoding="utf-8")
    assert json.loads(done.stdout) == json.loads(documented), (
        "run: testbed schema --recording > docs/isac-sigmf.schema.json"
    )
