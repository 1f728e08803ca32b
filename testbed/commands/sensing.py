"""What the commands that run the sensing loop share: backgrounds, and progress while it runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.markup import escape
from rich.status import Status

from calibration.node_calibration import NodeCalibration
from testbed.errors import UsageError, written_to
from testbed.runs.backgrounds import (
    BackgroundKind,
    BackgroundOf,
    LearnedBackgrounds,
    no_background,
    open_dictionary,
    perfect_background,
)
from testbed.runs.localize import Localization, SensingRecord
from testbed.runs.node_calibration import node_calibration_of
from testbed.runs.setup import Setup
from testbed.site import Site


def followed(run: Localization, site: Site, show: Callable[[str], None]) -> Iterator[SensingRecord]:
    """The run's records, with progress shown while the next one is sensed."""
    show(f"sensing 1 of at most {site.sensing.max_sensings}")
    for number, record in enumerate(run.run(), start=1):
        yield record
        estimate = record.estimate
        show(
            f"sensing {number + 1} of at most {site.sensing.max_sensings}; "
            f"95 % radius so far {estimate.radius_95_m:.3g} m"
        )


@contextmanager
def backgrounds(
    site: Site,
    setup: Setup,
    kind: BackgroundKind,
    dictionary_path: Path | None,
    status: Status,
) -> Iterator[tuple[BackgroundOf, NodeCalibration | None]]:
    """Backgrounds of a kind, and the nodes' calibration that goes with learned ones.

    Both are kept in a dictionary that may be a temporary one.

    Raises
    ------
    UsageError
        If there is no simulator to know a perfect background, or, with real radios, no
        dictionary: what is learned with a target in the hall is no background.
    """
    if kind == "none":
        yield no_background, None
        return
    if kind == "perfect":
        if setup.pilots is None:
            msg = "--background perfect is known to a simulator only; use --background learned"
            raise UsageError(msg)
        yield perfect_background(setup.pilots), None
        return
    if dictionary_path is None and not setup.can_learn:
        msg = (
            "real radios need --dictionary DIR, made by testbed calibrate without a target in the "
            "hall, or --background none"
        )
        raise UsageError(msg)
    num_captures = site.calibration.num_captures

    def announce(tx_id: str, rx_id: str) -> None:
        link = escape(f"{tx_id} -> {rx_id}")
        status.update(f"learning the background of {link}, {num_captures} captures")

    with TemporaryDirectory(prefix="testbed-") as scratch:
        root = dictionary_path or Path(scratch) / "dictionary"
        with written_to(root):
            dictionary = open_dictionary(root, setup.source, num_captures)
            calibration = node_calibration_of(
                setup, root, num_captures,
                lambda done, total: status.update(f"calibrating the nodes, {done} of {total} bursts"),
            )  # fmt: skip
            learned = LearnedBackgrounds(
                setup.source, dictionary, announce,
                calibration=calibration, can_learn=setup.can_learn,
            )  # fmt: skip
            yield learned, calibration
