"""The same study on a Dask cluster, on two processes and on one: the same to the last bit."""

import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from threading import Event

import msgspec
import pytest

from testbed.runs import study_dask
from testbed.runs.software import software_identity
from testbed.runs.trial import TrialResult
from tests.integration.dask_cluster import dask_cluster
from tests.integration.running import own_port
from tests.integration.test_cli_interrupts import interruptible
from tests.unit.testbed.sites import call, changed, lab, tiny, write_site

TRIALS = 96
PATIENCE_S = 60.0
TIMED = ("elapsed_s", "links_per_second")
PLAIN = "from testbed.cli import main; main()"
IMPATIENT = f"from testbed.runs import study_dask; study_dask._WORKERS_WITHIN_S = 0.2; {PLAIN}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    small = {"waveform.num_subcarriers": 100, "sensing.max_sensings": 2}
    return write_site(tmp_path_factory.mktemp("site"), changed(lab(), small))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    pytest.importorskip("distributed")
    with dask_cluster(tmp_path_factory.mktemp("cluster"), 2) as found:
        yield found


def command(site, root, *options):
    return (
        "study", "run", str(site), "--trials", str(TRIALS), "--seed", "2", "--json",
        "--out", str(root), *options,
    )  # fmt: skip


@contextmanager
def started(site, root, *options, script=PLAIN):
    """In a process, which never outlives the block: a client of Dask leaves threads behind."""
    with subprocess.Popen(
        [sys.executable, "-c", script, *command(site, root, *options)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def ran(*arguments, code=0, script=PLAIN):
    """What a study leaves that is let run."""
    with started(*arguments, script=script) as process:
        return ended(process, code)


def ended(process, code=0):
    """Standard output and error of a process that ends so."""
    out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code, err
    assert "Traceback" not in err, err
    return out, err


def what_came(root, out):
    """All fields of all trials, the table, and what was printed less what was timed."""
    trials = {}
    for path in sorted((root / "chunks").iterdir()):
        chunk = msgspec.msgpack.decode(path.read_bytes()[32:])
        results = msgspec.convert(chunk["results"], list[TrialResult])
        trials.update(enumerate(results, start=chunk["first"]))
    printed = {key: value for key, value in msgspec.json.decode(out).items() if key not in TIMED}
    return sorted(trials.items()), (root / "trials.csv").read_bytes(), printed


@pytest.fixture(scope="module")
def alone(site, tmp_path_factory):
    root = tmp_path_factory.mktemp("alone") / "study"
    return what_came(root, call(*command(site, root)).out)


def num_chunks(root):
    return len(list(root.glob("chunks/*.trials")))


def wait_for_chunks(root, count):
    nothing, deadline_s = Event(), time.monotonic() + PATIENCE_S
    while num_chunks(root) < count:
        assert time.monotonic() < deadline_s, "too few chunks in time"
        nothing.wait(0.02)


def test_two_processes_give_the_same(site, alone, tmp_path):
    assert len(alone[0]) == TRIALS
    outcome = call(*command(site, tmp_path / "s", "--jobs", 2))
    assert what_came(tmp_path / "s", outcome.out) == alone


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_cluster_gives_the_same_also_when_one_of_two_workers_is_lost(
    site, alone, cluster, tmp_path
):
    out, _ = ran(site, tmp_path / "whole", "--scheduler", cluster.address)
    assert what_came(tmp_path / "whole", out) == alone
    root = tmp_path / "lost"
    with started(site, root, "--scheduler", cluster.address) as study:
        wait_for_chunks(root, 4)
        cluster.workers[0].kill()
        assert num_chunks(root) < TRIALS // 8
        out, _ = ended(study)
    assert what_came(root, out) == alone


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_an_interrupted_study_of_a_cluster_goes_on_here(site, alone, cluster, tmp_path):
    root = tmp_path / "study"
    with interruptible(), started(site, root, "--scheduler", cluster.address) as study:
        wait_for_chunks(root, 2)
        study.send_signal(signal.SIGINT)
        _, err = ended(study, 130)
    kept = 8 * num_chunks(root)
    assert 16 <= kept < TRIALS
    assert [line for line in err.splitlines() if line][-2:] == [
        f"{root}: {kept} of {TRIALS} trials are kept; the same command goes on from there",
        "interrupted",
    ]
    outcome = call(*command(site, root, "--jobs", 1))
    assert f"{root}: goes on with {kept} of {TRIALS} trials\n" in outcome.err
    assert what_came(root, outcome.out) == alone


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_what_a_cluster_lacks_is_said(site, tmp_path):
    """First it has no worker, then one without this software, in the end no scheduler."""
    pytest.importorskip("distributed")
    other = tmp_path / "other"
    (other / "testbed").mkdir(parents=True)
    (other / "testbed" / "__init__.py").touch()
    root = tmp_path / "study"
    with dask_cluster(tmp_path, 0) as cluster:
        _, err = ran(site, root, "--scheduler", cluster.address, code=2, script=IMPATIENT)
        assert f"error: {cluster.address}: no worker within 0.2 s; start some with: " in err
        cluster.add_worker(PYTHONPATH=str(other))
        _, err = ran(site, root, "--scheduler", cluster.address, code=2)
        assert f"error: {cluster.address}: tcp://127.0.0.1:" in err
        assert " has no isac-testbed that answers (" in err
        assert "No module named 'testbed.runs'" in err
        cluster.workers[0].kill()
        cluster.workers[0].wait()
        cluster.add_worker()
        with started(site, root, "--scheduler", cluster.address) as study:
            wait_for_chunks(root, 1)
            cluster.scheduler.kill()
            _, err = ended(study, 2)
    assert f"error: {cluster.address}: the scheduler was lost; with --out, " in err


def test_a_worker_of_other_code_computes_nothing():
    work, expected = study_dask._with_the_same_software, software_identity()
    assert work(expected, sum, [1, 2]) == 3
    with pytest.raises(study_dask._OtherSoftwareError, match=r"code: \w+, needed other"):
        work({**expected, "code": "other"}, sum, [1, 2])
    assert study_dask._problem_of({**expected, "numpy": "1.0"}).startswith("numpy: 1.0, needed ")
    assert study_dask._problem_of(dict(expected)) == ""


def test_threads_of_a_worker_take_turns():
    def is_alone(_chunk):
        return study_dask._ONE_AT_A_TIME.locked()

    assert study_dask._with_the_same_software(software_identity(), is_alone, [1])


def test_dask_is_asked_for_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    path = write_site(tmp_path, tiny())
    outcome = call("study", "run", path, "--trials", 1, "--scheduler", "tcp://127.0.0.1:1")
    assert outcome.code == 2
    assert "error: --scheduler needs distributed: pip install 'isac-testbed[dask]'" in outcome.err


def test_a_scheduler_out_of_reach_is_named(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(study_dask, "_CONNECT_S", 0.2)
    path = write_site(tmp_path, tiny())
    with own_port() as address:
        outcome = call("study", "run", path, "--trials", 1, "--scheduler", address)
    assert outcome.code == 2
    assert f"error: {address}: no Dask scheduler answers: " in outcome.err
