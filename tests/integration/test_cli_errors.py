"""Bad input: a message that names place, rule and value, status 2, and nothing half written."""

import os
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from testbed.site import load_site
from tests.unit.testbed.sites import call, changed, contents, header_of, lab, write_site

QUICK = ("--max-sensings", "1", "--background", "perfect")


@pytest.fixture
def site(tmp_path):
    return write_site(tmp_path, lab())


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A folder with the dictionary of the lab, seed 0."""
    folder = tmp_path_factory.mktemp("learned")
    path = write_site(folder, lab())
    assert call("calibrate", path, "--out", folder / "dictionary").code == 0
    return folder


def refused(*arguments):
    """The message of a command that must be refused with status 2 and say nothing else."""
    outcome = call(*arguments)
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    return outcome.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("localize", "S", "--seed", "-1"), ["--seed", "-1", "x>=0"]),
        (("localize", "S", "--seed", "one"), ["--seed", "'one'", "integer"]),
        (("localize", "S", "--max-sensings", "0"), ["--max-sensings", "0", "x>=1"]),
        (("localize", "S", "--num-receivers", "0"), ["--num-receivers", "0", "x>=1"]),
        (("localize", "S", "--num-receivers", "6"), ["num_receivers", "at most 5", "got 6"]),
        (("localize", "S", "--num-elements", "2000"), ["num_elements", "<= 1024", "got 2000"]),
        (("localize", "S", "--tolerance", "0"), ["--tolerance", "0.0", "x>0.0"]),
        (("localize", "S", "--tolerance", "nan"), ["tolerance_m", "> 0.0", "got nan"]),
        (("localize", "S", "--tolerance", "inf"), ["tolerance_m", "finite", "got inf"]),
        (("localize", "S", "--fusion", "newest"), ["--fusion", "'newest'", "'accumulate'"]),
        (("localize", "S", "--background", "no"), ["--background", "'no'", "'learned'"]),
        (("localize", "S", "--rcs-draw", "x"), ["--rcs-draw", "'x'", "'scene'"]),
        (("localize", "S", "--impairments", "lab"), ["--impairments needs --fidelity iq"]),
        (("calibrate", "S", "--out", "D", "--impairments", "lab"), ["needs --fidelity iq"]),
        (("localize", "S", "--fidelity", "iq", "--impairments", "labb"), ["labb", "lab"]),
        (("radio", "check", "S", "--node", "zz"), ["zz", "the site's nodes are a, b"]),
        (("record", "S", "--out", "S"), ["cannot be written: Not a directory"]),
        (
            ("study", "run", "S", "--trials", "1", "--fidelity", "iq", "--background", "perfect"),
            ["--background perfect", "--fidelity pilot"],
        ),
        (("localize", "S", "--fidelity", "rf"), ["--fidelity", "'rf'", "'pilot'"]),
        (("localize", "S", "--seeed", "1"), ["--seeed", "--seed"]),
        (("localize",), ["Missing argument", "SITE.yaml"]),
        (("localize", "S", "S"), ["unexpected extra argument"]),
        (
            ("localize", "S", "--background", "none", "--dictionary", "D"),
            ["--dictionary", "--background learned", "--background none"],
        ),
        (
            ("localize", "S", "--background", "perfect", "--dictionary", "D"),
            ["--dictionary", "--background learned", "--background perfect"],
        ),
        (("study", "run", "S"), ["Missing option", "--trials"]),
        (("study", "run", "S", "--trials", "0"), ["--trials", "0", "1<=x<=1000000"]),
        (("study", "run", "S", "--trials", "1e3"), ["--trials", "'1e3'"]),
        (("study", "run", "S", "--trials", "1", "--jobs", "0"), ["--jobs", "0", "x>=1"]),
        (("study", "run", "S", "--trials", "1", "--figure", "f.png"), ["--figure"]),
        (
            ("study", "run", "S", "--trials", "1", "--jobs", "2", "--scheduler", "tcp://h:1"),
            ["--jobs", "or --scheduler"],
        ),
        (("study", "walk"), ["walk", "study --help"]),
        (("study",), ["Usage", "run"]),
        (("calibrate", "S"), ["Missing option", "--out"]),
        (("calibrate", "S", "--out", "D", "--seed", "-3"), ["--seed", "-3", "x>=0"]),
        (("init", "--preset", "office"), ["--preset", "'office'", "'factory'", "'lab'"]),
        (("localise", "S"), ["localise", "--help"]),
        ((), ["Usage", "localize", "calibrate"]),
    ],
)
def test_bad_arguments_are_refused(site, tmp_path, arguments, words):
    before = contents(tmp_path)
    places = {"S": site, "D": tmp_path / "dictionary"}
    message = refused(*(places.get(argument, argument) for argument in arguments))
    assert all(word in message for word in words), message
    assert contents(tmp_path) == before


@pytest.mark.parametrize("command", ["localize", "calibrate", "study run"])
def test_every_command_refuses_a_bad_site_before_it_writes(tmp_path, command):
    path = write_site(tmp_path, changed(lab(), {"waveform.carier_mhz": 1.0}))
    before = contents(tmp_path)
    options = {
        "localize": ("--figure", tmp_path / "f.png", "--dictionary", tmp_path / "d"),
        "calibrate": ("--out", tmp_path / "d"),
        "study run": ("--trials", 3, "--trials-out", tmp_path / "t.csv"),
    }[command]
    message = refused(*command.split(), path, *options)
    assert message == (
        f"error: {path}: $.waveform: unknown key 'carier_mhz'; did you mean 'carrier_mhz'?\n"
    )
    assert contents(tmp_path) == before


@pytest.mark.parametrize("command", ["localize", "calibrate", "study run"])
@pytest.mark.parametrize("place", ["node_defaults.radio", "nodes.3.radio"])
def test_radios_that_cannot_be_driven_are_refused(tmp_path, command, place):
    path = write_site(tmp_path, changed(lab(), {place: {"kind": "usrp", "address": "x"}}))
    options = {"calibrate": ("--out", tmp_path / "d"), "study run": ("--trials", 1)}
    message = refused(*command.split(), path, *options.get(command, ()))
    assert message.startswith("error: ")
    assert "usrp" in message
    assert "--simulate" in message
    assert list(contents(tmp_path)) == ["site.yaml"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing/f.png", ["No such file or directory"]),
        ("folder.png", ["Is a directory"]),
        ("site.yaml/f.png", ["Not a directory"]),
        ("f.bmp", [".png, .svg, .pdf", "got '.bmp'"]),
        ("figure", [".png, .svg, .pdf", "got ''"]),
        (f"{'x' * 300}.png", ["File name too long"]),
    ],
)
def test_a_figure_that_cannot_be_written_is_refused_before_the_run(site, tmp_path, name, words):
    (tmp_path / "folder.png").mkdir()
    before = contents(tmp_path)
    message = refused("localize", site, "--figure", tmp_path / name)
    assert message.startswith(f"error: {tmp_path / name}: ")
    assert all(word in message for word in words), message
    assert "sensing" not in message  # no progress was shown
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("site.yaml/d", ["Not a directory"]),
        ("site.yaml", ["Not a directory"]),
        ("full", ["not empty and no dictionary", "dictionary.json is missing"]),
        ("x" * 300, ["File name too long"]),
    ],
)
@pytest.mark.parametrize("command", ["calibrate", "localize"])
def test_a_dictionary_that_cannot_be_written_is_refused(site, tmp_path, command, name, words):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("precious", encoding="utf-8")
    before = contents(tmp_path)
    option = {"calibrate": "--out", "localize": "--dictionary"}[command]
    message = refused(command, site, option, tmp_path / name)
    assert f"error: {tmp_path / name}: " in message
    assert all(word in message for word in words), message
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("localize", "S", "--figure", "/proc/f.png"),
        ("localize", "S", "--dictionary", "/proc/d"),
        ("calibrate", "S", "--out", "/proc/d"),
        ("study", "run", "S", "--trials", "1", "--trials-out", "/proc/t.csv"),
        ("study", "run", "S", "--trials", "1", "--out", "/proc/study"),
        ("init", "/proc/site.yaml"),
    ],
)
def test_read_only_places_are_refused(site, arguments):
    message = refused(*(site if argument == "S" else argument for argument in arguments))
    assert f"error: {arguments[-1]}: " in message
    assert "No such file or directory" in message or "Permission denied" in message


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing/t.csv", "No such file or directory"),
        ("folder", "Is a directory"),
        ("site.yaml/t.csv", "Not a directory"),
        ("/dev/full", "No space left on device"),
    ],
)
def test_rows_that_cannot_be_written_are_refused(site, tmp_path, path, words):
    (tmp_path / "folder").mkdir()
    before = contents(tmp_path)
    out = tmp_path / path
    message = refused("study", "run", site, "--trials", 1, "--trials-out", out)
    assert f"error: {out}: cannot be written: {words}\n" in message
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["missing/site.yaml", "site.yaml/below.yaml", "x" * 300])
def test_init_refuses_a_place_that_cannot_be_written(site, tmp_path, name):
    before = contents(tmp_path)
    assert refused("init", tmp_path / name).startswith(f"error: {tmp_path / name}: ")
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("changes", "options", "reason"),
    [
        ({"waveform.num_subcarriers": 601}, (), "another waveform"),
        ({"locations.2.position_m": [29.0, 0.5]}, (), "another origin"),
        ({"simulation.num_clutter": 7}, (), "another origin"),
        ({"calibration.num_captures": 6}, (), "another number of captures an entry"),
        ({}, ("--seed", "1"), "another origin"),
        ({}, ("--num-elements", "5"), "other node poses or arrays"),
    ],
)
def test_a_dictionary_of_something_else_is_refused(learned, tmp_path, changes, options, reason):
    path, dictionary = write_site(tmp_path, changed(lab(), changes)), learned / "dictionary"
    before = contents(dictionary)
    message = refused("localize", path, "--dictionary", dictionary, *options)
    assert f"error: {dictionary}: learned with {reason}" in message
    assert "calibrate again into another directory" in message
    if "--num-elements" not in options:
        assert reason in refused("calibrate", path, "--out", dictionary, *options)
    assert contents(dictionary) == before


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("dictionary.json", lambda content: b""),
        ("dictionary.json", lambda content: b"{}"),
        ("dictionary.json", lambda content: b"\xff\x00"),
        ("dictionary.json", lambda content: content.replace(b'"schema": ', b'"schema": 9')),
        ("*.npy", lambda content: content[:-100]),
        ("*.npy", lambda content: b""),
        ("*.npy", lambda content: content[:-1] + bytes([content[-1] ^ 1])),
        ("*.entry.json", lambda content: content[:-10]),
        ("*.entry.json", lambda content: b"[]"),
    ],
)
def test_a_damaged_dictionary_is_refused_with_its_file(learned, tmp_path, pattern, damage):
    root = tmp_path / "dictionary"
    shutil.copytree(learned / "dictionary", root)
    for path in root.glob(pattern):
        path.write_bytes(damage(path.read_bytes()))
    before = contents(root)
    for option in (("localize", "--dictionary"), ("calibrate", "--out")):
        message = refused(option[0], learned / "site.yaml", option[1], root)
        assert f"error: {root}/" in message
        assert len([line for line in message.splitlines() if line.startswith("error: ")]) == 1
        assert contents(root) == before


def test_a_campaign_names_every_damaged_entry_and_learns_them_again_when_they_are_gone(
    learned, tmp_path
):
    root = tmp_path / "dictionary"
    shutil.copytree(learned / "dictionary", root)
    whole = contents(root)
    damaged = sorted(root.glob("*.npy"))[4:7]
    for path in damaged:
        path.write_bytes(path.read_bytes()[:-8])
    message = refused("calibrate", learned / "site.yaml", "--out", root)
    assert message.count("cannot be read") == message.count("calibrate this link again") == 3
    for path in damaged:
        path.unlink()
        header_of(path).unlink()
    assert "27 kept" in call("calibrate", learned / "site.yaml", "--out", root).out
    after = contents(root)
    again = {name for name, content in whole.items() if after[name] != content}
    assert {name for name in whole if name.endswith(".npy")}.isdisjoint(again)
    assert again <= {header_of(path).name for path in damaged}  # by their time, at most


@contextmanager
def file_size_limit(num_bytes):
    """Every write beyond this length of a file fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_init_leaves_nothing_half_written(tmp_path):
    path = tmp_path / "site.yaml"
    with file_size_limit(100):
        message = refused("init", path)
    assert message == f"error: {path}: cannot be written: File too large\n"
    assert contents(tmp_path) == {}
    path.write_text("precious", encoding="utf-8")
    with file_size_limit(100):
        refused("init", path, "--force")
    assert contents(tmp_path) == {"site.yaml": b"precious"}


def test_a_figure_is_not_left_half_written(site, tmp_path):
    path = tmp_path / "f.svg"
    with file_size_limit(1000):
        message = refused("localize", site, *QUICK, "--figure", path)
    assert message.endswith(f"error: {path}: File too large\n")
    assert list(contents(tmp_path)) == ["site.yaml"]


@pytest.mark.parametrize("command", ["calibrate", "localize"])
def test_an_entry_is_not_left_half_written(site, tmp_path, command):
    root = tmp_path / "dictionary"
    option = {"calibrate": "--out", "localize": "--dictionary"}[command]
    with file_size_limit(5000):
        message = refused(command, site, option, root)
    assert f"error: {root}: cannot be written: " in message
    assert list(contents(root)) == ["dictionary.json"]
    assert "30 learned now" in call("calibrate", site, "--out", root).out


def test_a_full_disk_takes_nothing_away(learned, tmp_path):
    root = tmp_path / "dictionary"
    shutil.copytree(learned / "dictionary", root)
    for path in sorted(root.glob("*.entry.json"))[::2]:
        path.unlink()
    before = contents(root)
    with file_size_limit(5000):
        message = refused("calibrate", learned / "site.yaml", "--out", root)
    assert f"error: {root}: cannot be written: File too large\n" in message
    after = contents(root)
    assert after == before
    assert "15 kept" in call("calibrate", learned / "site.yaml", "--out", root).out


def test_a_read_only_directory_is_read_and_not_written(learned, tmp_path):
    """On a file system of its own, mounted read-only."""
    disk, site = tmp_path / "disk", learned / "site.yaml"
    disk.mkdir()
    testbed = f"{sys.executable} -m testbed.cli"
    script = f"""
        mount -t tmpfs none {disk} || exit 77
        cp -r {learned / "dictionary"} {disk}/d
        mount -o remount,ro {disk} || exit 77
        {testbed} calibrate {site} --out {disk}/d; echo "status $?"
        {testbed} localize {site} --dictionary {disk}/d --max-sensings 1 --json >{tmp_path}/found
        echo "status $?"
        {testbed} dictionary export {disk}/d --csv {disk}/t.csv; echo "status $?"
        {testbed} dictionary show {disk}/d >{tmp_path}/shown; echo "status $?"
    """
    done = in_own_mounts(script)
    assert done.stdout.split() == ["status", "2", "status", "0", "status", "2", "status", "0"]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors == [
        f"error: {disk}/d: cannot be written: Read-only file system",
        f"error: {disk}/t.csv: cannot be written: Read-only file system",
    ]
    assert "30 entries" in (tmp_path / "shown").read_text()


def in_own_mounts(script):
    """Run a shell script in a mount name space of its own; skipped where none is to be had."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed, so no small file system can be mounted")
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    assert "Traceback" not in done.stderr
    return done


def test_a_full_disk_is_named_and_what_is_whole_stays(site, tmp_path):
    """On a file system of 64 KiB, in a name space of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    testbed = f"{sys.executable} -m testbed.cli"
    script = f"""
        mount -t tmpfs -o size=64k none {disk} || exit 77
        {testbed} calibrate {site} --out {disk}/d; echo "status $?"
        find {disk} -name '*.tmp'
        ls {disk}/d | grep -c entry.json
        {testbed} localize {site} {" ".join(QUICK)} --figure {disk}/f.png; echo "status $?"
        ls {disk}
    """
    done = in_own_mounts(script)
    assert done.stdout.split() == ["status", "2", "2", "status", "2", "d"]
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors[0].startswith(f"error: {disk}/d: cannot be written: ")
    assert errors[1] == f"error: {disk}/f.png: No space left on device"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("localize", "bad.yaml"), "bad.yaml: $.schema: must be 1, got 2"),
        (("study", "run", "lab.yaml", "--trials", "0"), "0 is not in the range"),
        (("calibrate", "lab.yaml", "--out", "lab.yaml/d"), "lab.yaml/d: cannot be written: Not a"),
    ],
)
def test_a_process_ends_with_status_2_and_no_traceback(tmp_path, arguments, words):
    write_site(tmp_path, lab(), "lab.yaml")
    write_site(tmp_path, changed(lab(), {"schema": 2}), "bad.yaml")
    before = contents(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "testbed.cli", *arguments],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=50,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(tmp_path) == before


@pytest.mark.parametrize("arguments", [("schema",), ("localize", "lab.yaml", *QUICK)])
def test_a_reader_that_has_gone_ends_it_silently(tmp_path, arguments):
    """As in ``testbed schema | head -1``."""
    write_site(tmp_path, lab(), "lab.yaml")
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "testbed.cli", *arguments],
            cwd=tmp_path, stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
            timeout=50,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert done.stderr.strip() == ""


def test_a_full_disk_behind_standard_output_is_named():
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "testbed.cli", "schema"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=50,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "error: standard output: No space left on device\n"


def test_init_then_localize_is_all_it_takes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("init", "--preset", "lab").code == 0
    assert load_site(Path("lab.yaml")).name == "lab"
    assert call("localize", "lab.yaml", "--max-sensings", 1).code == 0
