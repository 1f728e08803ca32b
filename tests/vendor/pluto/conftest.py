"""Two boards that tests of the driver share."""

from contextlib import ExitStack, closing

import pytest

from tests.vendor.pluto.driving import opened
from tests.vendor.pluto.serve import boards


@pytest.fixture(scope="module")
def plutos():
    """Two boards of one channel in one hall, which tests leave as they find them."""
    with ExitStack() as stack:
        yield boards(stack, "pluto")


@pytest.fixture
def pair(plutos):
    """Drivers of the two."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(opened(board.uri))) for board in plutos]
