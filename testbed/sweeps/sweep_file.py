"""Sweep files: which parameters of a site take which values."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from testbed.errors import UsageError
from testbed.runs.backgrounds import BackgroundKind
from testbed.runs.policies import PROPOSED, new_policy
from testbed.runs.setup import Fidelity
from testbed.site_checks import readable
from testbed.site_types import Name, Section
from testbed.yaml_file import YamlFileError, read_yaml

Value: TypeAlias = bool | int | float | str

_MOST_CASES = 500  # each holds a lock, which is an open file
# A sweep of these would show equal curves and not say why.
_WITHOUT_EFFECT = ("schema", "name", "services", "waveform.symbols_per_frame")
_IQ_ONLY = (
    "bursts", "calibration.fresh_tuning", "calibration.num_symbols", "simulation.faults",
    "simulation.impairments", "waveform.sample_rate_mhz",
)  # fmt: skip
# What stands still; at pilot fidelity a background takes it away to the last bit.
_STILL = ("simulation.direct_path", "simulation.nodes_are_clutter", "simulation.num_clutter")


class SweepError(YamlFileError):
    """A sweep file that cannot be used; see `YamlFileError`."""


class Variation(Section, frozen=True, kw_only=True):
    """One parameter, or several that change together, and the values that they take.

    Attributes
    ----------
    parameter, parameters
        Dotted paths into the site file, see `testbed.sweeps.parameters`; one of the two is given.
    label
        What a reader is told; left out, the paths.
    """

    parameter: Name | None = None
    parameters: Annotated[list[Name], Meta(min_length=1)] | None = None
    label: Name | None = None
    values: Annotated[list[Any], Meta(min_length=1)]

    @property
    def paths(self) -> list[str]:
        """All that take the value."""
        return [self.parameter] if self.parameter is not None else self.parameters or []

    @property
    def title(self) -> str:
        """For axes and pages."""
        return self.label or ", ".join(self.paths)


class SweepFile(Section, frozen=True, kw_only=True):
    """A whole sweep file.

    Attributes
    ----------
    site
        Path of the site file, relative to this one.
    literal
        Columns: as the site says, and with `testbed.runs.paper_literal`.
    vary
        The first one is the x axis; all are combined with each other.
    """

    schema: Literal[1]
    site: Annotated[str, Meta(min_length=1)]
    trials: Annotated[int, Meta(ge=1, le=1_000_000)]
    seed: Annotated[int, Meta(ge=0)] = 0
    fidelity: Fidelity = "pilot"
    background: BackgroundKind = "learned"
    policies: Annotated[tuple[Name, ...], Meta(min_length=1)] = (PROPOSED,)
    literal: Annotated[tuple[bool, ...], Meta(min_length=1)] = (False,)
    vary: Annotated[list[Variation], Meta(min_length=1)]

    @property
    def num_cases(self) -> int:
        """How many combinations there are."""
        values = [len(variation.values) for variation in self.vary]
        return math.prod(values) * len(self.policies) * len(self.literal)


def load_sweep(path: Path) -> SweepFile:
    """Read and check a sweep file; its site is not looked at.

    Raises
    ------
    SweepError
        With every problem found, each naming its place, the rule and the value.
    """
    raw = read_yaml(path, SweepError)
    try:
        sweep = msgspec.convert(raw, SweepFile)
    except msgspec.ValidationError as error:
        raise SweepError(path, [readable(str(error), raw, SweepFile)]) from error
    problems = list(_problems(sweep))
    if problems:
        raise SweepError(path, problems)
    return sweep


def shown(value: Value) -> str:
    """A value as the file has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _problems(sweep: SweepFile) -> Iterator[str]:
    yield from _twice("$.policies", sweep.policies)
    yield from _twice("$.literal", sweep.literal)
    for n, policy in enumerate(sweep.policies):
        try:
            new_policy(policy)
        except UsageError as error:
            yield f"$.policies[{n}]: {error}"
    if sweep.fidelity == "iq" and sweep.background == "perfect":
        yield "$.background: perfect needs fidelity pilot: radios' captures are never perfect"
    yield from _twice("$.vary", [path for variation in sweep.vary for path in variation.paths])
    for n, variation in enumerate(sweep.vary):
        yield from _variation(f"$.vary[{n}]", variation)
        yield from _idle(f"$.vary[{n}]", variation, sweep)
    if sweep.num_cases > _MOST_CASES:
        yield f"$: at most {_MOST_CASES} combinations, got {sweep.num_cases:,}"


def _variation(place: str, variation: Variation) -> Iterator[str]:
    if (variation.parameter is None) == (variation.parameters is None):
        yield f"{place}: give either parameter or parameters"
    for n, value in enumerate(variation.values):
        if not isinstance(value, Value):
            got = "nothing" if value is None else f"a {type(value).__name__}"
            yield f"{place}.values[{n}]: must be a number, text, or true or false, got {got}"
            return
    yield from _twice(f"{place}.values", variation.values)


def _idle(place: str, variation: Variation, sweep: SweepFile) -> Iterator[str]:
    """Parameters that change nothing in this sweep."""
    for path in variation.paths:
        if _is_in(path, _WITHOUT_EFFECT):
            yield f"{place}: {path} changes nothing that a sweep shows"
        if sweep.fidelity == "iq":
            continue
        if _is_in(path, _IQ_ONLY):
            yield f"{place}: {path} changes nothing at fidelity pilot; add fidelity: iq"
        if _is_in(path, _STILL) and sweep.background != "none":
            yield (
                f"{place}: {path} changes nothing at fidelity pilot with background "
                f"{sweep.background}, which takes away all that stands still; add background: none "
                "or fidelity: iq"
            )
        if _is_in(path, ("calibration",)) and sweep.background != "learned":
            yield f"{place}: {path} changes nothing with background {sweep.background}"


def _is_in(path: str, places: Sequence[str]) -> bool:
    return any(f"{path}.".startswith(f"{place}.") for place in places)


def _twice(place: str, values: Sequence[Value]) -> Iterator[str]:
    counts = Counter(shown(value) for value in values)
    for value, count in counts.items():
        if count > 1:
            yield f"{place}: {value} is given {count} times"
