"""What a run must know of its site before it senses: backgrounds, and the nodes' calibration."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

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
from testbed.runs.node_calibration import node_calibration_of
from testbed.runs.setup import Setup
from testbed.site import Site


@dataclass(frozen=True)
class Prepared:
    """What is known of a site before sensing.

    Attributes
    ----------
    background_of
        Background of each link.
    calibration
        Of the nodes; ``None`` where they are taken as surveyed.
    """

    background_of: BackgroundOf
    calibration: NodeCalibration | None = None


@contextmanager
def prepared(
    site: Site,
    setup: Setup,
    kind: BackgroundKind,
    root: Path | None,
    show: Callable[[str], None] = lambda _text: None,
    calibration: NodeCalibration | None = None,
) -> Iterator[Prepared]:
    """Backgrounds of a kind; learned ones are kept in a dictionary, and learned when needed.

    Parameters
    ----------
    root
        The dictionary.
    show
        Told, in words, what takes a while.
    calibration
        Of the nodes, where it was made before; made now, if left out.

    Raises
    ------
    UsageError
        If there is no simulator to know a perfect background, or no dictionary for learned ones.
    """
    if kind == "none":
        yield Prepared(no_background)
        return
    if kind == "perfect":
        if setup.pilots is None:
            msg = "--background perfect is known to a simulator only; use --background learned"
            raise UsageError(msg)
        yield Prepared(perfect_background(setup.pilots))
        return
    if root is None:
        msg = (
            "real radios need --dictionary DIR, made by testbed calibrate without a target in the "
            "hall, or --background none"
        )
        raise UsageError(msg)
    num_captures = site.calibration.num_captures
    with written_to(root):
        dictionary = open_dictionary(root, setup.source, num_captures)
        if calibration is None:
            calibration = node_calibration_of(
                setup, dictionary,
                lambda done, total: show(f"calibrating the nodes, {done} of {total} bursts"),
            )  # fmt: skip

        def announce(tx_id: str, rx_id: str) -> None:
            show(f"learning the background of {tx_id} -> {rx_id}, {num_captures} captures")

        learned = LearnedBackgrounds(
            setup.source, dictionary, announce,
            calibration=calibration, learn_from=setup.earlier, radios=setup.radios,
            can_learn=setup.can_learn,
        )  # fmt: skip
        yield Prepared(learned, calibration)
