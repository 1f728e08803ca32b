"""Lines by hand; bounded files; what peers, disks and terminals cannot do to a service."""

import io
import logging
import os
from contextlib import suppress

import pytest

from testbed.services.logs import VERBATIM, LineFormatter, RateLimit, log_to

log = logging.getLogger("testbed.of.this.test")


@pytest.fixture
def start():
    """`log_to`, whose handlers are gone afterwards."""
    root = logging.getLogger()
    level = root.level
    writers = []

    def start_with(*arguments, **options):
        writers.append(log_to(*arguments, **options))
        return writers[-1]

    yield start_with
    for writer in writers:
        root.removeHandler(writer)
        writer.close()
    root.setLevel(level)


def record(message, *args, level=logging.WARNING, **extra):
    made = log.makeRecord(log.name, level, "file.py", 1, message, args, None, extra=extra or None)
    made.created = 1_767_323_045.678  # 2026-01-02T03:04:05.678Z
    return made


def line(*args, **options):
    return LineFormatter("agent-0").format(record(*args, **options))


def test_a_line_by_hand():
    assert line("node %s is gone", "a") == (
        "2026-01-02T03:04:05.678Z WARNING agent-0: node a is gone"
    )


def test_fields_follow_the_message():
    assert line("lost", sensing=3, run="r1", node="a").endswith(
        "agent-0: lost node=a run=r1 sensing=3"
    )


def test_an_adapter_gives_fields(start):
    stream = io.StringIO()
    writer = start("agent-0", stream=stream)
    logging.LoggerAdapter(log, {"node": "b"}).info("here")
    writer.close()
    assert stream.getvalue().endswith("INFO agent-0: here node=b\n")


def test_whatever_a_peer_sends_stays_on_its_line():
    assert line("from %s", "a\n2026-01-02 INFO\x1b[2J").endswith(r"from a\n2026-01-02 INFO\x1b[2J")
    assert len(line("from %s", "x" * 100_000)) < 5_000
    assert "\n" not in line("lost", node="a\nb")


def test_a_line_of_another_log_stays_as_it_is():
    assert line("%s", "2026 INFO worker-0: here", **VERBATIM) == "2026 INFO worker-0: here"


def test_a_traceback_follows_in_lines_of_its_own(start):
    stream = io.StringIO()
    writer = start("agent-0", stream=stream)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("an order failed")
    writer.close()
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("ERROR agent-0: an order failed")
    assert all(part.startswith("  | ") for part in rest)
    assert rest[-2:] == ["  | ValueError: two", "  | lines"]


def test_files_are_bounded_and_few(start, tmp_path):
    writer = start("agent-0", tmp_path / "logs", stream=io.StringIO(), file_bytes=2_000)
    for n in range(500):
        log.info("message %d", n)
    writer.close()
    files = {path.name: path for path in (tmp_path / "logs").iterdir()}
    assert set(files) == {"agent-0.log", *(f"agent-0.log.{n}" for n in (1, 2, 3, 4))}
    assert all(path.stat().st_size <= 2_000 for path in files.values())
    assert files["agent-0.log"].read_text().endswith("message 499\n")
    assert writer.num_unwritten == 0


def test_a_second_log_replaces_the_first(start):
    first, second = io.StringIO(), io.StringIO()
    start("a", stream=first)
    writer = start("b", stream=second)
    log.info("here")
    writer.close()
    assert first.getvalue() == ""
    assert "INFO b: here" in second.getvalue()


def test_a_folder_that_cannot_be_made_is_named(start, tmp_path):
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(FileExistsError, match="logs"):
        start("agent-0", tmp_path / "logs")


def test_a_full_disk_costs_lines_only(start, tmp_path, capsys):
    (tmp_path / "agent-0.log").symlink_to("/dev/full")
    stream = io.StringIO()
    writer = start("agent-0", tmp_path, stream=stream)
    for n in range(100):
        log.info("message %d", n)
    writer.close()
    assert writer.num_unwritten == 100
    assert len(stream.getvalue().splitlines()) == 100
    assert capsys.readouterr() == ("", "")  # nor does logging itself complain


def test_a_message_that_cannot_be_formatted_is_counted(start):
    stream = io.StringIO()
    writer = start("agent-0", stream=stream)
    writer.handle(record("%d", "no number"))  # not through the log: pytest's handlers raise
    writer.handle(record("the next one"))
    writer.close()
    assert writer.num_unwritten == 1
    assert stream.getvalue().endswith("the next one\n")


def test_a_held_terminal_holds_up_nobody(start):
    reader, writing = os.pipe()
    terminal = os.fdopen(writing, "w")
    writer = start("agent-0", stream=terminal)
    for n in range(15_000):  # more than the pipe and the queue hold
        log.info("message %d", n)
    assert writer.num_unwritten > 0
    writer.close()
    os.close(reader)
    with suppress(BrokenPipeError):
        terminal.close()


def passed(limit, message, *args, **options):
    made = record(message, *args, **options)
    return made if limit.filter(made) else None


def test_one_text_passes_ten_times_a_minute_and_then_says_how_often_it_did_not():
    now_s = [0.0]
    limit = RateLimit(clock=lambda: now_s[0])
    shown = [passed(limit, "dropped %s", "x") for _ in range(100)]
    assert [made is not None for made in shown] == 10 * [True] + 90 * [False]
    now_s[0] = 59.9
    assert passed(limit, "dropped %s", "x") is None
    now_s[0] = 60.0
    made = passed(limit, "dropped %s", "x")
    assert LineFormatter("w").format(made).endswith("dropped x left_out=91")
    assert not hasattr(passed(limit, "dropped %s", "x"), "left_out")


def test_one_kind_passes_sixty_times_whatever_is_in_it():
    limit = RateLimit(clock=lambda: 0.0)
    shown = [passed(limit, "dropped %s", n) for n in range(1_000)]
    assert sum(made is not None for made in shown) == 60
    assert passed(limit, "another") is not None


def test_progress_and_lines_of_others_are_not_limited():
    limit = RateLimit(clock=lambda: 0.0)
    for _ in range(1_000):
        assert passed(limit, "sensing", level=logging.INFO) is not None
        assert passed(limit, "%s", "line", **VERBATIM) is not None


def test_kinds_without_end_take_no_memory_without_end():
    limit = RateLimit(clock=lambda: 0.0)
    for n in range(5_000):
        assert passed(limit, f"format {n}") is not None
    assert len(limit._minutes) <= 1_000
