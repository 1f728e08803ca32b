"""Kinds of value that site files hold, with their limits."""

from typing import Annotated

import msgspec
from msgspec import Meta

Positive = Annotated[float, Meta(gt=0.0)]
NonNegative = Annotated[float, Meta(ge=0.0)]
Count = Annotated[int, Meta(ge=1)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Coordinate = Annotated[float, Meta(ge=-1e8, le=1e8)]
Point = tuple[Coordinate, Coordinate]
# Wide enough for anything real; beyond, a unit or a decimal point was mistaken.
Decibels = Annotated[float, Meta(ge=-200.0, le=200.0)]
NoiseFigure = Annotated[float, Meta(ge=0.0, le=200.0)]
Degrees = Annotated[float, Meta(ge=-360.0, le=360.0)]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Part of a site file; a key that it does not know is refused."""
