"""Messages of every kind, drawn from their types, and what breaks one rule of theirs each."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import Struct, inspect

import testbed.bus.air_messages
import testbed.bus.job_messages
import testbed.bus.order_messages
import testbed.bus.report_messages  # noqa: F401  all kinds are to be known
from testbed.bus.wire import Message

Place = tuple[str | int, ...]
_LEAST, _MOST = -(2**63), 2**64 - 1
# No field holds raw bytes, so they are of the wrong type everywhere.
WRONG = b"\0"


def kinds() -> list[type[Message]]:
    """Every kind of message that the testbed knows: those that no other one derives from."""
    found, left = [], [Message]
    while left:
        kind = left.pop()
        derived = [k for k in kind.__subclasses__() if k.__module__.startswith("testbed.")]
        left += derived
        if not derived:
            found.append(kind)
    return sorted(found, key=lambda kind: (kind.__module__, kind.__qualname__))


@cache
def drawn(kind: type[Struct]) -> st.SearchStrategy[Any]:
    """Messages of a kind, or parts of some, with everything that it may hold."""
    return _drawn(inspect.type_info(kind))


def _drawn(info: inspect.Type, length: int | None = None) -> st.SearchStrategy[Any]:
    """Values of a type; its list, if it is one, of a given length."""
    match info:
        case inspect.StructType() | inspect.DataclassType():
            # Where fields are checked against each other it is their lists' lengths.
            length = 2 if hasattr(info.cls, "__post_init__") else None
            fields = {field.name: _drawn(field.type, length) for field in info.fields}
            return st.builds(info.cls, **fields)
        case inspect.UnionType():
            return st.one_of([_drawn(each) for each in info.types])
        case inspect.TupleType():
            return st.tuples(*map(_drawn, info.item_types))
        case inspect.VarTupleType():
            return st.lists(_drawn(info.item_type), max_size=3).map(tuple)
        case inspect.ListType():
            least, most = (info.min_length or 0, 3) if length is None else (length, length)
            return st.lists(_drawn(info.item_type), min_size=least, max_size=most)
        case inspect.DictType():
            return st.dictionaries(_drawn(info.key_type), _drawn(info.value_type), max_size=3)
    return _drawn_plain(info)


def _drawn_plain(info: inspect.Type) -> st.SearchStrategy[Any]:
    match info:
        case inspect.NoneType():
            return st.none()
        case inspect.BoolType():
            return st.booleans()
        case inspect.LiteralType():
            return st.sampled_from(info.values)
        case inspect.IntType():
            return st.integers(
                _LEAST if info.ge is None else info.ge, _MOST if info.le is None else info.le
            )
        case inspect.FloatType():
            return st.floats(
                info.ge if info.gt is None else info.gt, info.le,
                exclude_min=info.gt is not None, allow_nan=False,
            )  # fmt: skip
        case inspect.StrType(pattern=str(pattern)):
            return st.from_regex(pattern)
        case inspect.StrType():
            return st.text(min_size=info.min_length or 0, max_size=min(info.max_length or 20, 20))
    raise AssertionError(info)


def plain(message: Message) -> dict[str, Any]:
    """A message as what msgpack makes of it without knowing its kind."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(message))


def broken(kind: type[Message], fields: dict[str, Any]) -> Iterator[tuple[Place, Any]]:
    """Everything in a message that can be broken by one value, and that value.

    `DELETED` stands for a field that is left out, and `SURPLUS` for one that there is not.
    """
    yield from _broken(inspect.type_info(kind), fields, ())


DELETED, SURPLUS = object(), "surplus"


def _broken(info: inspect.Type, value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    match info:
        case inspect.StructType() | inspect.DataclassType():
            yield from _broken_fields(info, value, place)
        case inspect.UnionType():
            if value is not None:
                (other,) = (i for i in info.types if not isinstance(i, inspect.NoneType))
                yield from _broken(other, value, place)
        case inspect.TupleType():
            yield place, [*value, value[0]]
            for number, item in enumerate(info.item_types):
                yield from _broken(item, value[number], (*place, number))
        case inspect.ListType() | inspect.VarTupleType():
            for number, item in enumerate(value):
                yield from _broken(info.item_type, item, (*place, number))
        case inspect.DictType():
            for key, item in value.items():
                yield from _broken(info.value_type, item, (*place, key))
    yield from ((place, bad) for bad in _out_of_range(info))


def _broken_fields(
    info: inspect.StructType | inspect.DataclassType, value: Any, place: Place
) -> Iterator[tuple[Place, Any]]:
    if isinstance(info, inspect.StructType):
        yield (*place, SURPLUS), 1
    for field in info.fields:
        here = (*place, field.encode_name)
        yield here, WRONG
        if field.required:
            yield here, DELETED
        yield from _broken(field.type, value[field.encode_name], here)


def _out_of_range(info: inspect.Type) -> Iterator[Any]:
    match info:
        case inspect.LiteralType():
            yield "no such word"
        case inspect.ListType(max_length=int(most)):
            yield ["x"] * (most + 1)
        case inspect.IntType():
            yield 0.5
            yield from [] if info.ge is None else [info.ge - 1]
            yield from [] if info.le is None else [info.le + 1]
        case inspect.FloatType():
            yield "1.0"
            if not (info.ge is info.gt is info.le is None):
                yield float("nan")
            yield from [] if info.gt is None else [info.gt]
            yield from [] if info.ge is None else [info.ge - 1e-9]
            yield from [] if info.le is None else [info.le * 1.001, float("inf")]
        case inspect.StrType(pattern=str()):
            yield from ("", "..", "../x", "a/b", "x" * 65, "name\n", "\0")
        case inspect.StrType():
            yield from [""] if info.min_length else []
            yield from [] if info.max_length is None else ["x" * (info.max_length + 1)]


def changed_at(fields: dict[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """A copy with the value at a place set, or deleted."""
    copy = msgspec.msgpack.decode(msgspec.msgpack.encode(fields))
    section: Any = copy
    for key in place[:-1]:
        section = section[key]
    if value is DELETED:
        del section[place[-1]]
    else:
        section[place[-1]] = value
    return copy
