"""What captures show of entries adds up, is forgotten, starts anew, and is lost to nobody."""

from dataclasses import replace
from threading import Thread

import numpy as np
import pytest

from calibration.dictionary import BackgroundDictionary, Provenance
from calibration.dictionary_entry import DictionaryError
from calibration.entry_drift import Echo, EntryDrift, EntryDrifts, Seen, keep_seen

QUIET = Seen(("a", "b"), "hash", 0.0, 0.0, (), (7.5, 0.5))
MACHINE = Echo(30.0, 0.2)


@pytest.fixture
def dictionary(tmp_path):
    provenance = Provenance(waveform_hash="w", origin="o", num_captures=2)
    return BackgroundDictionary(tmp_path / "d", provenance)


def after(*captures) -> EntryDrift:
    drift = EntryDrift("a", "b", "hash", 0, None, None, None, "")
    for capture in captures:
        drift = drift.with_capture(capture)
    return drift


def test_means_are_of_all_captures_then_of_the_latest():
    few = [replace(QUIET, noise_db=float(n), outside_db=-float(n)) for n in range(10)]
    drift = after(*few)
    assert (drift.num_captures, drift.noise_db, drift.outside_db) == (10, 4.5, -4.5)
    later = after(*[QUIET] * 500, *[replace(QUIET, noise_db=3.0)] * 128)
    assert later.noise_db == pytest.approx(3.0 * (1.0 - np.exp(-2.0)), rel=0.01)
    assert "noise 2.6 dB" in later.reason
    assert after(*[replace(QUIET, outside_db=None)] * 9).outside_db is None


def test_few_captures_say_nothing():
    loud = replace(QUIET, noise_db=5.0)
    assert after(*[loud] * 7).reason is None
    assert "noise 5.0 dB" in after(*[loud] * 8).reason
    assert "7.0 dB over noise where no echo can be" in after(
        *[replace(QUIET, outside_db=7.0)] * 8
    ).reason  # fmt: skip


def test_an_echo_that_lasts_is_told_from_those_that_move():
    seen = replace(QUIET, echoes=(MACHINE,))
    masked = after(*[QUIET, QUIET, seen] * 8)
    assert masked.reason == "an echo at 30.0 m that no target explains"
    moving = [replace(QUIET, echoes=(Echo(range_m, 0.2),)) for range_m in np.arange(0.0, 300.0, 10)]
    assert after(*moving).reason is None
    elsewhere = [replace(QUIET, echoes=(Echo(30.0, sine),)) for sine in np.linspace(-1, 1, 4)]
    assert after(*elsewhere, *elsewhere).reason is None
    assert after(*[seen] * 50, *[QUIET] * 24).echo is None, "it has gone"
    unknown = replace(QUIET, echoes=None)
    assert after(*[seen] * 4, *[unknown] * 50).echo.votes == 12, "nobody knows"
    beside = replace(QUIET, echoes=(Echo(80.0, 0.9), Echo(33.0, None)))
    assert after(seen, seen, beside, *[QUIET] * 1, *[seen] * 5).echo.range_m == 30.0


def test_it_is_kept_by_entry_and_starts_anew_with_another_one(dictionary):
    channel = np.ones((4, 2))
    dictionary.put("a", "b", channel)
    header = dictionary.get("a", "b").header
    of_entry = replace(QUIET, content_hash=header.content_hash)
    assert EntryDrifts(dictionary.root).of(header) is None
    keep_seen(dictionary, [of_entry, replace(QUIET, link=("b", "a"))])
    (drift,) = keep_seen(dictionary, [of_entry])
    assert drift.num_captures == 2
    assert EntryDrifts(dictionary.root).of(header) == drift
    assert drift.last > header.created[:10]
    dictionary.put("a", "b", 2.0 * channel)
    again = dictionary.get("a", "b").header
    assert EntryDrifts(dictionary.root).of(again) is None
    (drift,) = keep_seen(dictionary, [replace(QUIET, content_hash=again.content_hash)])
    assert drift.num_captures == 1


def test_runs_that_end_at_once_lose_nothing(dictionary):
    def run(node: str) -> None:
        for _ in range(25):
            keep_seen(dictionary, [replace(QUIET, link=(node, "z")), QUIET])

    threads = [Thread(target=run, args=(node,)) for node in "cdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = {drift.link: drift.num_captures for drift in keep_seen(dictionary, [QUIET])}
    assert counts == {("a", "b"): 101}
    text = (dictionary.root / "drift.json").read_text()
    assert text.count('"num_captures": 25,') == 4
    assert not list(dictionary.root.glob("*.tmp"))


@pytest.mark.parametrize("content", [b"{", b'{"schema": 9, "drifts": []}'])
def test_what_cannot_be_read_says_so_and_is_left_alone(dictionary, content):
    (dictionary.root / "drift.json").write_bytes(content)
    with pytest.raises(DictionaryError, match=r"drift\.json: (cannot be read|schema 9).*delete it"):
        keep_seen(dictionary, [QUIET])
    assert (dictionary.root / "drift.json").read_bytes() == content
