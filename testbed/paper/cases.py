"""Which cases the paper's figures and table are made of, and those that judge what is new."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

import msgspec

from testbed.bench.workload import paper_hall
from testbed.build import Overrides, overridden
from testbed.paper.published import TABLE1_M
from testbed.runs.backgrounds import BackgroundKind
from testbed.runs.cases import Case
from testbed.runs.paper_literal import paper_literal
from testbed.runs.policies import PROPOSED
from testbed.site import Site

Part = Literal["fig2", "table1", "fig3", "throughput", "worth"]
PARTS: tuple[Part, ...] = ("fig2", "table1", "fig3", "throughput", "worth")
# Whose trials a part is made of.
_TRIALS_OF: Mapping[Part, Part] = {"fig3": "table1", "throughput": "table1"}

Column = Literal["literal", "ours"]
COLUMNS: tuple[Column, ...] = ("literal", "ours")

MOST_SENSINGS = 10
FIG2_ELEMENTS, FIG2_RECEIVERS = 32, 1
# Variants of the proposed scheme by what is subtracted: PS, PS-NCS, PS-CF.
_BACKGROUNDS: Mapping[str, BackgroundKind] = {
    PROPOSED: "learned", "no_suppression": "none", "clutter_free": "perfect",
}  # fmt: skip
_ITERATIVE = ("without_sfi", "rsa")
# They spend their whole budget in one sensing, so that each budget is a case of its own.
SINGLE_SHOT = ("fis", "obs", "obs_peb", "sfi_peb")

# What is new in the loop, each as it is without it; judged where echoes are weakest.
WORTH_ELEMENTS, WORTH_RECEIVERS = 4, 1
NEW: Mapping[str, tuple[str, str]] = {
    "accumulation": ("fusion", "latest"),
    "recovery": ("recovery", "random"),
    "radius": ("stopping", "repeat"),
    "visibility": ("selection", "blind"),
}


@dataclass(frozen=True, slots=True, eq=False)  # a key: one object a case
class PaperCase:
    """One case of the paper's study.

    Attributes
    ----------
    part
        Where its trials belong.
    scheme
        What senses, as figures name it.
    column
        ``literal``, as the paper says; ``ours``.
    case
        What is run.
    """

    part: Part
    scheme: str
    column: Column
    case: Case

    @property
    def num_elements(self) -> int:
        """``M_a``."""
        return self.case.site.node_defaults.array.num_elements

    @property
    def num_receivers(self) -> int:
        """``N_r``."""
        return self.case.site.sensing.num_receivers

    @property
    def budget(self) -> int:
        """``J_max`` in symbols."""
        return self.case.site.sensing.max_sensings

    @property
    def name(self) -> str:
        """Of its directory."""
        size = f"M{self.num_elements}-N{self.num_receivers}-J{self.budget}"
        return f"{self.part}-{self.scheme}-{self.column}-{size}"


def paper_cases(
    parts: Collection[Part], policies: Sequence[str] = (), hall: Site | None = None
) -> list[PaperCase]:
    """All cases that parts are made of, each once.

    Parameters
    ----------
    policies
        Names of more policies, which figure 2 shows beside the paper's.
    hall
        In place of the paper's, for tests.
    """
    site = paper_hall() if hall is None else hall
    wanted = {_TRIALS_OF.get(part, part) for part in parts}
    makers = {"fig2": _fig2(site, policies), "table1": _table1(site), "worth": _worth(site)}
    return [case for part, cases in makers.items() if part in wanted for case in cases]


def _fig2(hall: Site, policies: Sequence[str]) -> Iterator[PaperCase]:
    shown = (PROPOSED, *_ITERATIVE, *SINGLE_SHOT)
    more = [name for name in dict.fromkeys(policies) if name not in shown]
    for column in COLUMNS:
        site = _sized(hall, column, FIG2_ELEMENTS, FIG2_RECEIVERS, MOST_SENSINGS)
        for scheme, background in _BACKGROUNDS.items():
            yield PaperCase("fig2", scheme, column, Case(site, background))
        for policy in (*_ITERATIVE, *more):
            yield PaperCase("fig2", policy, column, Case(site, policy=policy))
        for policy, budget in product(SINGLE_SHOT, range(1, MOST_SENSINGS + 1)):
            site = _sized(hall, column, FIG2_ELEMENTS, FIG2_RECEIVERS, budget)
            yield PaperCase("fig2", policy, column, Case(site, policy=policy))


def _table1(hall: Site) -> Iterator[PaperCase]:
    for column, size in product(COLUMNS, TABLE1_M):
        yield PaperCase("table1", PROPOSED, column, Case(_sized(hall, column, *size)))


def _worth(hall: Site) -> Iterator[PaperCase]:
    site = _sized(hall, "ours", WORTH_ELEMENTS, WORTH_RECEIVERS)
    for scheme, missing in worth_schemes().items():
        changes = dict(NEW[name] for name in missing)
        yield PaperCase("worth", scheme, "ours", Case(_with_sensing(site, changes)))


def worth_schemes() -> dict[str, frozenset[str]]:
    """What each scheme of the last part does without: all, all but one, one, nothing."""
    every = frozenset(NEW)
    return {
        "none": every,
        **{f"only_{name}": every - {name} for name in NEW},
        **{f"without_{name}": frozenset({name}) for name in NEW},
        "all": frozenset(),
    }


def _sized(
    hall: Site,
    column: Column,
    num_elements: int,
    num_receivers: int,
    budget: int = MOST_SENSINGS,
) -> Site:
    sizes = Overrides(num_elements=num_elements, num_receivers=num_receivers, max_sensings=budget)
    site = overridden(hall, sizes)
    return paper_literal(site) if column == "literal" else site


def _with_sensing(site: Site, changes: Mapping[str, Any]) -> Site:
    return msgspec.structs.replace(site, sensing=msgspec.structs.replace(site.sensing, **changes))
