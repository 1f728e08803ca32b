"""Which radios are installed: the project's own and, by entry points, anybody's."""

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint

from drivers.entry_points import installed, known_names
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
    return installed(ENTRY_POINT_GROUP)


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
    kinds = installed_kinds()
    if kind in own:
        return own[kind](spec)
    if kind not in kinds:
        hint = known_names("kinds", kind, (*own, *kinds))
        msg = f"node {spec.node_id!r}: no installed package provides a radio of kind {kind!r}"
        raise UnknownRadioError(msg, hint)
    with vendor_import(spec.node_id, kind):
        factory: RadioFactory = kinds[kind].load()
    return factory(spec)
