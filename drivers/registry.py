"""Which radios are installed: the project's own and, by entry points, anybody's."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points

from drivers.radio import Radio, RadioSpec
from drivers.radio_errors import UnknownRadioError
from drivers.vendor_software import vendor_import

# A package adds a radio with
#   [project.entry-points."isac_testbed.radios"]
#   my_kind = "my_package:open_radio"
# where ``open_radio(spec: RadioSpec) -> Radio``.
ENTRY_POINT_GROUP = "isac_testbed.radios"

RadioFactory = Callable[[RadioSpec], Radio]


def installed_kinds() -> dict[str, EntryPoint]:
    """Entry points of all radios that installed packages provide, by kind."""
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}


def open_radio(
    kind: str, spec: RadioSpec, provided: Mapping[str, RadioFactory] | None = None
) -> Radio:
    """Open a radio by its kind.

    Parameters
    ----------
    provided
        Factories of the caller's own, for radios that are part of something that it holds (a
        simulated radio is part of one simulated hall).

    Raises
    ------
    UnknownRadioError
        If no package provides the kind; the message lists those that are there.
    RadioNotFoundError
        If the package is there but cannot be imported (a vendor library is missing).
    RadioError
        From the radio itself.
    """
    own = dict(provided or {})
    installed = installed_kinds()
    if kind in own:
        return own[kind](spec)
    if kind not in installed:
        known = sorted({*own, *installed}) or ["none"]
        close = get_close_matches(kind, known, n=1)
        hint = f"known kinds: {', '.join(known)}" + (
            f"; did you mean {close[0]!r}?" if close else ""
        )
        msg = f"node {spec.node_id!r}: no installed package provides a radio of kind {kind!r}"
        raise UnknownRadioError(msg, hint)
    with vendor_import(spec.node_id, kind):
        factory: RadioFactory = installed[kind].load()
    return factory(spec)
