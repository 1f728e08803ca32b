"""Jobs of a running testbed, followed on the screen."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
from click.core import ParameterSource
from rich.markup import escape

from drivers.geometry import FloatArray
from testbed.bus.job_messages import JobOptions, JobState, Task
from testbed.commands.live_options import call_coordinator
from testbed.commands.tables import progress_bar
from testbed.errors import UsageError
from testbed.runs.localize import SensingRecord
from testbed.services.client import LiveTestbed
from testbed.services.conversion import record_of_fields
from testbed.site import Site


@dataclass(frozen=True)
class LiveScene:
    """What a running testbed says of the scene; see `testbed.runs.localize.Scene`."""

    seed: int
    target_m: FloatArray | None


def run_live(
    site: Site,
    task: Task,
    options: JobOptions,
    port: int | None,
    keys_folder: Path | None,
    show: Callable[[JobState], None],
    waiting: Callable[[str], None],
) -> tuple[list[SensingRecord], LiveScene, JobState]:
    """Let a running testbed do a job; records, the scene, and how it ended.

    Parameters
    ----------
    show
        Shown each state.
    waiting
        Told when the coordinator does not answer.
    """
    records: list[SensingRecord] = []

    def follow(state: JobState) -> None:
        records.extend(record_of_fields(record) for record in state.records)
        show(state)

    with call_coordinator(site, port, keys_folder) as caller:
        end = LiveTestbed(caller, waiting=waiting).run(task, options, follow)
    target_m = None if end.target_m is None else np.array(end.target_m)
    return records, LiveScene(end.seed, target_m), end


def run_counted(
    site: Site, task: Task, options: JobOptions, port: int | None, keys_folder: Path | None
) -> JobState:
    """Let a running testbed do a job that counts entries, with a bar; how it ended."""
    with progress_bar() as progress:
        bar = progress.add_task("entries", total=None)

        def show(state: JobState) -> None:
            progress.update(
                bar, description=escape(state.progress), completed=state.done,
                total=state.total or None,
            )  # fmt: skip

        _, _, end = run_live(
            site, task, options, port, keys_folder, show,
            lambda text: progress.update(bar, description=escape(text)),
        )  # fmt: skip
    return end


def refuse_with_live(**given: object) -> None:
    """Refuse options that a running testbed has settled already.

    Raises
    ------
    UsageError
    """
    for name, value in given.items():
        if value not in (None, False, "pilot"):
            option = f"--{name.replace('_', '-')}"
            msg = f"{option} does not go with --live: give it where the testbed is started"
            raise UsageError(msg)


def given_seed() -> int | None:
    """The seed of the command line; ``None`` if it names none, for whichever is simulated."""
    context = click.get_current_context()
    source = context.get_parameter_source("seed")
    return None if source == ParameterSource.DEFAULT else int(context.params["seed"])


def plain_name(path: Path | None, option: str) -> str:
    """Name of a folder in the coordinator's own.

    Raises
    ------
    UsageError
        If it is a path.
    """
    if path is None:
        return "dictionary"
    if path.name != str(path) or path.name.startswith("."):
        msg = (
            f"{option} with --live names a folder in the coordinator's own, so it is a plain "
            f"name, got {path}"
        )
        raise UsageError(msg)
    return path.name
