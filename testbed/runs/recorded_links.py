"""A localization that other processes ran, gone through again from its records."""

from collections.abc import Collection, Sequence

from fusion.network import Network
from fusion.sensing import SensingConfig
from testbed.runs.links import LinkReporter, Sensed
from testbed.runs.localize import Localization, SensingRecord
from testbed.runs.setup import planning_rng
from testbed.site import Site


class RecordedLinks:
    """Links that give what each sensing brought then (`testbed.runs.links.Links`)."""

    def __init__(self, records: Sequence[SensingRecord], reporter: LinkReporter) -> None:
        self._records = records
        self._reporter = reporter

    @property
    def network(self) -> Network:
        """Nodes and waveform, as calibrated."""
        return self._reporter.network

    @property
    def detection_snr(self) -> float:
        """As of `testbed.runs.links.KnownLinks`."""
        return self._reporter.detection_snr

    def absent(self, index: int) -> Collection[str]:
        """Who was out of reach then."""
        return self._records[index].absent if index < len(self._records) else ()

    def sense(self, config: SensingConfig, index: int) -> Sensed:
        """What that sensing brought."""
        record = self._records[index]
        if record.config != config:
            msg = f"sensing {index + 1} was of {record.config}, here it would be {config}"
            raise ValueError(msg)
        return Sensed(record.looks, record.problems)


def localization_again(
    site: Site, records: Sequence[SensingRecord], reporter: LinkReporter, seed: int
) -> Localization:
    """The run at its end, with the belief that it had then.

    Raises
    ------
    ValueError
        If the site is not the one that the records are of.
    """
    run = Localization(site, RecordedLinks(records, reporter), planning_rng(seed))
    for _ in run.run():
        pass
    return run
