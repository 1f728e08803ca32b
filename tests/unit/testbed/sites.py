"""Small sites to test with, and the command line called in this process."""

import copy
import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from testbed.cli import main
from testbed.site import Site, load_site

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = tuple(sorted((ROOT / "examples").glob("*.yaml")))
PRESETS = ("factory", "lab", "three_plutos", "usrp_array")
DELETED = object()


def lab() -> dict[str, Any]:
    """The example lab with few tones, elements, captures and scatterers; six listed nodes."""
    raw = yaml.safe_load((ROOT / "examples" / "lab.yaml").read_text(encoding="utf-8"))
    return changed(
        raw,
        {
            "waveform.num_subcarriers": 600,
            "node_defaults.array.num_elements": 4,
            "calibration.num_captures": 5,
            "simulation.num_clutter": 6,
        },
    )


def tiny() -> dict[str, Any]:
    """Four of the lab's nodes with so little to compute that radios can be simulated in a blink."""
    raw = lab()
    del raw["nodes"][4:]
    return changed(
        raw,
        {
            "waveform.num_subcarriers": 128,
            "waveform.subcarrier_spacing_khz": 120.0,
            "node_defaults.array.num_elements": 2,
            "calibration.num_captures": 2,
            "sensing.max_sensings": 1,
            "simulation.num_clutter": 3,
        },
    )


def hall() -> dict[str, Any]:
    """A hall of eight nodes that are drawn at random."""
    raw = lab()
    del raw["locations"], raw["nodes"]
    return changed(raw, {"uniform_nodes": {"num_nodes": 8}, "sensing.max_sensings": 4})


def changed(raw: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy with values set, or with keys taken out, at places such as ``nodes.0.node_id``."""
    found = copy.deepcopy(raw)
    for place, value in changes.items():
        section: Any = found
        *parents, last = (int(key) if key.isdigit() else key for key in place.split("."))
        for key in parents:
            section = section.setdefault(key, {}) if isinstance(key, str) else section[key]
        if value is DELETED:
            del section[last]
        else:
            section[last] = value
    return found


def write_site(folder: Path, raw: dict[str, Any], name: str = "site.yaml") -> Path:
    """The path of a site file with that content."""
    path = folder / name
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return path


def loaded(folder: Path, raw: dict[str, Any]) -> Site:
    """The site as read from its file."""
    return load_site(write_site(folder, raw))


def as_site(raw: dict[str, Any]) -> Site:
    """The site without a file and without the rules across fields."""
    return msgspec.convert(raw, Site)


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit status, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        """The object that a command with ``--json`` printed, and nothing else."""
        assert self.code == 0, self.err
        found = msgspec.json.decode(self.out)
        assert isinstance(found, dict)
        return found


def call(*arguments: object) -> Outcome:
    """Run ``testbed`` with these arguments in this process; any traceback is the test's own."""
    out, err = io.StringIO(), io.StringIO()
    before, code = sys.argv, 0
    sys.argv = ["testbed", *map(str, arguments)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.argv = before
    return Outcome(code, out.getvalue(), err.getvalue())


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every path below a folder and its bytes, to see that nothing was written."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def header_of(array_path: Path) -> Path:
    """Header of the entry whose array it is, which is named after its content as well."""
    return array_path.with_name(f"{array_path.name.rsplit('.', 2)[0]}.entry.json")
