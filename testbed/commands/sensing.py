"""What the commands that run the sensing loop share: preparation, and progress while it runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.markup import escape
from rich.status import Status

from testbed.runs.backgrounds import BackgroundKind, LearnedBackgrounds
from testbed.runs.links import LocalLinks
from testbed.runs.localize import Localization, SensingRecord
from testbed.runs.preparation import Prepared, prepared
from testbed.runs.rehearsal import rehearse
from testbed.runs.setup import Setup
from testbed.site import Site


def followed(
    run: Localization, site: Site, links: LocalLinks, show: Callable[[str], None]
) -> Iterator[SensingRecord]:
    """The run's records, with progress shown while the next one is sensed."""
    show("getting ready; the first time on a machine this takes half a minute")
    rehearse(site, links.reporter)
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
) -> Iterator[Prepared]:
    """What the run must know before it senses, in a dictionary that may be a temporary one."""
    with TemporaryDirectory(prefix="testbed-") as scratch:
        root = dictionary_path
        if root is None and setup.can_learn:
            root = Path(scratch) / "dictionary"
        with prepared(site, setup, kind, root, lambda text: status.update(escape(text))) as known:
            if isinstance(known.background_of, LearnedBackgrounds) and known.background_of.left_out:
                text = f"left out of planning: {known.background_of.left_out}"
                status.console.print(text, markup=False, highlight=False, soft_wrap=True)
            yield known
