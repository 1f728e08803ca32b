"""Writing the report of a dictionary, where matplotlib is installed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from calibration.dictionary_entry import DictionaryError
from calibration.whole_files import write_atomically
from drivers.capture import CaptureRefusedError
from testbed.errors import UsageError, explain

FILE_NAME = "report.html"


def write_report(
    root: Path, path: Path, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> str:
    """Write the report of the dictionary in a directory, whole or not at all; its verdict.

    Raises
    ------
    UsageError
        If figures cannot be drawn here.
    DictionaryError
        If there is no dictionary.
    OSError
        If the page cannot be written.
    """
    try:
        from testbed.report.page import page_of
        from testbed.report.report import report_of
    except ModuleNotFoundError as error:
        msg = f"a report needs {error.name}: pip install 'isac-testbed[figures]'"
        raise UsageError(msg) from error
    report = report_of(root, progress)
    write_atomically(path, page_of(report).encode())
    return report.verdict


@contextmanager
def reported(root: Path, say: Callable[[str], object]) -> Iterator[None]:
    """A campaign that ends with the report in its dictionary, also where some entries failed.

    `say` is told where it is and what it says, or why there is none: no campaign fails for it.
    """
    try:
        yield
    except CaptureRefusedError:
        _report(root, say)
        raise
    _report(root, say)


def _report(root: Path, say: Callable[[str], object]) -> None:
    path = root / FILE_NAME
    try:
        verdict = write_report(root, path)
    except (UsageError, DictionaryError, OSError) as error:
        say(f"no report: {explain(error)}")
    else:
        say(f"report: {path}: {verdict}")
