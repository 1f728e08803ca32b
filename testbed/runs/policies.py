"""Which policies there are: the project's own and, by entry points, anybody's."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from drivers.entry_points import installed, known_names, package_of
from drivers.vendor_software import UNLOADABLE
from fusion import baselines
from fusion.policy import Policy
from testbed.errors import UsageError

# A package adds a policy with
#   [project.entry-points."isac_testbed.policies"]
#   my_policy = "my_package:MyPolicy"
# where ``MyPolicy() -> fusion.policy.Policy``.
ENTRY_POINT_GROUP = "isac_testbed.policies"

PolicyFactory = Callable[[], Policy]

PROPOSED = "proposed"
# They come first: no package takes the name of one of these.
BUILT_IN: dict[str, PolicyFactory] = {
    PROPOSED: baselines.Proposed,
    "without_sfi": baselines.WithoutSfi,
    "rsa": baselines.RandomSubsets,
    "fis": baselines.FixedSubset,
    "obs": baselines.BestSubset,
    "obs_peb": baselines.BestSubsetBound,
    "sfi_peb": baselines.FixedSubsetBound,
}


@dataclass(frozen=True)
class PolicyDescription:
    """A policy that can be named.

    Attributes
    ----------
    name
        For ``--policy``.
    summary
        One line: the first of its docstring, or why it cannot be loaded.
    package
        Which installed package provides it; ``None`` for one of this project.
    """

    name: str
    summary: str
    package: str | None = None


def new_policy(name: str) -> Policy:
    """A policy by its name.

    Raises
    ------
    UsageError
        If there is none of that name, or what provides it cannot be imported.
    """
    return _factory(name)()


def _factory(name: str) -> PolicyFactory:
    if name in BUILT_IN:
        return BUILT_IN[name]
    entries = installed(ENTRY_POINT_GROUP)
    if name not in entries:
        hint = known_names("policies", name, (*BUILT_IN, *entries))
        msg = f"no installed package provides a policy {name!r}; {hint}"
        raise UsageError(msg)
    try:
        factory: PolicyFactory = entries[name].load()
    except UNLOADABLE as error:
        package = package_of(entries[name])
        msg = f"the policy {name!r} of {package} cannot be loaded: {error}; mend the package"
        raise UsageError(msg) from error
    return factory


def described_policies() -> Iterator[PolicyDescription]:
    """All policies: this project's, then those of other packages by name."""
    for name in BUILT_IN:
        yield PolicyDescription(name, _summary(name))
    for name, entry in sorted(installed(ENTRY_POINT_GROUP).items()):
        if name not in BUILT_IN:
            yield PolicyDescription(name, _summary(name), package_of(entry))


def _summary(name: str) -> str:
    try:
        documented = (_factory(name).__doc__ or "").strip()
    except UsageError as error:
        return str(error)
    return documented.partition("\n")[0]
