"""Workers that an agent may send captures to: those that were heard lately."""

from testbed.services.ready_workers import ReadyWorkers

SILENT_S = 2.0


def test_those_that_were_heard_lately_are_there():
    workers = ReadyWorkers()
    assert workers.meet("w0", b"zero", 10.0)
    assert workers.meet("w1", b"one", 11.0)
    assert not workers.meet("w0", b"again", 11.5)
    assert workers.names(10.0 + SILENT_S) == ["w1", "w0"]
    assert workers.peer("w0", 12.0) == b"again"
    assert workers.names(13.1) == ["w0"]
    assert workers.peer("w1", 13.1) is None
    assert workers.names(13.6) == []
    assert workers.meet("w0", b"back", 13.7)


def test_very_many_do_not_fill_the_memory():
    workers = ReadyWorkers()
    for number in range(1000):
        workers.meet(f"w{number}", b"peer", 1.0)
    assert workers.names(1.0) == [f"w{n}" for n in range(744, 1000)]
