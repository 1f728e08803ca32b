"""What the radio kinds of this project need from vendors, and how to get it.

Vendor modules are imported when a radio is opened and not before, so that everything else runs
without them.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from drivers.radio_errors import RadioNotFoundError

# By kind: where each of its parts comes from. docs/vendor-software.md says the same at length.
INSTALLATION = {
    "pluto": "apt-get install libiio0, and pip install 'isac-testbed[pluto]'",
    "usrp": "apt-get install python3-uhd, then make usrp-env, and use .venv-usrp/bin/testbed",
}

# A binding whose library is missing fails with AttributeError (pylibiio) or OSError, too.
UNLOADABLE = (ImportError, AttributeError, OSError)


@contextmanager
def vendor_import(node_id: str, kind: str) -> Iterator[None]:
    """Around imports that a kind of radio needs: what is missing is said with its remedy.

    Raises
    ------
    RadioNotFoundError
        If something in the block cannot be imported.
    """
    try:
        yield
    except UNLOADABLE as error:
        msg = f"node {node_id!r}: the radio kind {kind!r} cannot be loaded: {error}"
        remedy = INSTALLATION.get(kind, "install what the kind needs")
        raise RadioNotFoundError(msg, f"{remedy}; testbed doctor says more") from error
