"""What goes wrong with devices of a running testbed, whoever made them.

How long it took until a client reads of it is measured from the instant at which the software
device was struck, on the clock that all processes of a host share.
"""

import re
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.learning import captures_of_link, learn_background
from drivers.radio import IqBlock, Radio
from drivers.radio_errors import BurstRefusedError, RadioError
from drivers.tuning import Tuning
from drivers.waveform import pilot_symbols
from fusion.sensing import SensingConfig
from processing.alignment import align
from processing.channel import channel_estimate
from testbed.build import build_calibration_burst, build_nodes
from testbed.errors import UsageError
from testbed.radio_source import RadioSource
from testbed.radios import open_radios
from testbed.services.opening import radio_stations
from testbed.site import Site, load_site
from tests.integration.cluster import Following, wait_for
from tests.vendor.faulty_hall import FaultyHall
from tests.vendor.live_lab import LiveLab, live_lab, problems_of, takes_part

JOB_S = 60.0


class LiveFaults:
    """Tests of a running testbed of three nodes.

    Fixtures: `lab`, and `sensing`, a localization that goes on until it is cancelled.

    Attributes
    ----------
    lost
        How a driver says that its device is gone.
    overflow, underflow
        What lets a block, and the next burst, lose samples.
    """

    lost: str
    overflow: str
    underflow: str

    @pytest.fixture(autouse=True)
    def nobody_crashes(self, lab: LiveLab):
        before = lab.processes()
        yield
        assert lab.processes() == before
        assert lab.everybody_is_there()

    def test_a_device_that_is_killed_in_a_calibration(self, lab):
        """The job says why it ends, the next one does without the node, and it goes on later."""
        job = lab.job("calibrate", "cal-1", folder="kept")
        job.until(lambda job: job.latest.done >= 1, "an entry")
        strike = partial(lab.hall.strike, "busy close", "c")
        lab.is_recorded(strike, "c", self.lost)
        job.join(JOB_S)
        assert isinstance(job.end, UsageError)
        said = re.search(
            r"failed: (\d) of 6 entries could not be learned: .*c.*: a capture is not usable: .*",
            str(job.end),
        )
        assert said, job.end
        num_missing = int(said[1])

        run = lab.job("localize", "short", background="none", max_sensings=9)
        run.join(JOB_S)
        records = run.records()
        assert len(records) == 9
        assert any(not r.sensed.problems and not takes_part(r, "c") for r in records)
        assert all(problems_of([r], "c") for r in records if takes_part(r, "c"))
        assert records[-1].estimate.status in ("unresolved", "converged")

        lab.hall.strike("revive", "c")
        wait_for(lambda: lab.node("c").fault is None, "c is back")
        again = lab.job("calibrate", "cal-2", folder="kept")
        again.join(JOB_S)
        _, total, learned = again.result().result
        assert (total, learned) == (6, num_missing)

    def test_a_device_that_freezes_is_left_out_until_it_is_back(self, lab, sensing):
        node_id = latest(sensing).rx_ids[0]
        strike = partial(lab.hall.strike, "busy freeze", node_id)
        lab.is_recorded(strike, node_id, self.lost, sensing)
        comes(sensing, lambda r: not takes_part(r, node_id) and not r.sensed.problems)
        lab.hall.strike("thaw", node_id)
        comes(sensing, lambda r: takes_part(r, node_id) and not r.sensed.problems)

    def test_lost_samples_are_one_capture_s_matter(self, lab, sensing):
        node_id = latest(sensing).rx_ids[0]
        strike = partial(lab.hall.strike, self.overflow, node_id)
        lab.is_recorded(strike, node_id, "samples were lost", sensing)
        comes(sensing, lambda r: takes_part(r, node_id) and not r.sensed.problems)

    def test_a_transmitter_that_runs_dry_spoils_one_burst(self, lab, sensing):
        strike = partial(lab.hall.strike, self.underflow, "abc")  # who sends next is not known
        lab.is_recorded(strike, "abc", "ran out of samples", sensing)
        comes(sensing, lambda r: not r.sensed.problems)


def says_what_cannot_be_tuned(site_path: Path, hall: FaultyHall) -> None:
    """A testbed on a carrier that its radios have not: all are named, and all processes live."""
    open_node = radio_stations(load_site(site_path), 1)
    for _ in range(2):  # and no device is kept
        with pytest.raises(BurstRefusedError, match="tunes from 70 to 6000 MHz"):
            open_node("a", 1)
    with live_lab(site_path, hall, "--agents", "1", "--workers", "0") as lab:
        before = lab.processes()
        job = lab.job("calibrate", "untunable")
        job.join(JOB_S)
        for node_id in "abc":
            said = f"node '{node_id}': this radio cannot send the burst: it tunes from 70 to 6000"
            assert said in lab.node(node_id).fault
            assert said in str(job.end)
        assert lab.processes() == before
        assert lab.everybody_is_there()


class RetunedRadio:
    """A radio that somebody retunes while a block comes, once.

    Attributes
    ----------
    is_due
        Whether that is the next block.
    lost
        What became of the block.
    """

    def __init__(self, radio: Radio) -> None:
        self._radio = radio
        self._tuning: Tuning | None = None
        self.is_due = False
        self.lost = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._radio, name)

    def configure(self, tuning: Tuning) -> Tuning:
        self._tuning = self._radio.configure(tuning)
        return self._tuning

    def fetch(self) -> IqBlock:
        if not self.is_due or self.lost:
            return self._radio.fetch()
        before = self._tuning
        self.configure(replace(before, carrier_hz=before.carrier_hz + 1e6))
        self.configure(before)
        try:
            return self._radio.fetch()
        except RadioError as error:
            self.lost = str(error)
            raise


def a_retune_costs_one_capture(site: Site) -> None:
    """A retune while a background is learned, in one process: the entry is as without it."""
    nodes, burst = build_nodes(site, 1), build_calibration_burst(site)
    radios = open_radios(site, nodes[:2], {})
    radios["b"] = retuned = RetunedRadio(radios["b"])
    with closing(
        RadioSource(
            nodes, radios, burst, "a test",
            lead_s=site.bursts.lead_ms / 1e3, repeat_s=site.bursts.repeat_ms / 1e3,
        )
    ) as source:  # fmt: skip

        def retune_after_the_first(_phase, index, _rx_id, block, _sounding) -> None:
            retuned.is_due = retuned.is_due or (index == 0 and not block.overflow)

        (before,) = captures_of_link(source, "a", "b", 1)
        source.listener = retune_after_the_first
        learned = learn_background(source, "a", "b", 3)
        (after,) = captures_of_link(source, "a", "b", 1)
    assert "arm_receive" in retuned.lost
    assert before.config_epoch == learned.config_epoch < after.config_epoch
    for capture in (before, after):
        channel = channel_estimate(capture.rx_pilots, pilot_symbols(source.grid))
        aligned, _ = align(channel, learned.channel, source.grid, capture.coherent_groups or None)
        rest = np.linalg.norm(aligned - learned.channel) / np.linalg.norm(learned.channel)
        assert rest < 0.2  # noise is 0.07


def latest(sensing: Following) -> SensingConfig:
    """Who sent and who listened last, without a problem."""
    comes(sensing, lambda r: not r.sensed.problems)
    return sensing.seen()[-1].sensed.config


def comes(sensing: Following, holds: Callable) -> None:
    """Wait for a record of a sensing to come of which something holds."""
    first = sensing.num_records
    sensing.until(lambda job: any(map(holds, job.seen()[first:])), "such a record")
