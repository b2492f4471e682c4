"""Events as bytes and back, for ever: what was once written can always be read.

The payload is canonical JSON of the event's members, those at their default left out. When the
shape of a type changes, its class gets the next `schema_version` and UPCASTERS a function that
turns a payload of the old version into one of the next. When a type is renamed, its class gets the
next `type_name`, and the old one joins its `former_names`: stored bytes are never rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any, TypeAlias, get_args

from msgspec import NODEFAULT, MsgspecError, convert
from msgspec.json import Decoder
from msgspec.structs import FieldInfo, fields

from .events import (
    CompensationCalled,
    CompensationSucceeded,
    Event,
    Parent,
    SagaCompensated,
    SagaCompleted,
    SagaFact,
    StepCalled,
    StepFact,
)
from .formats.strict_json import Json, JsonObject, parse, serialize

Upcaster: TypeAlias = Callable[[Json], Json]


def _without_members(names: Sequence[str], members: Json) -> Json:
    """The payload with null for what its version did not record."""
    assert isinstance(members, Mapping)
    return {**members, **dict.fromkeys(names)}


def _renamed(names: Mapping[str, str], members: Json) -> Json:
    """Return the payload with members under the names that they have since."""
    assert isinstance(members, Mapping)
    return {names.get(name, name): value for name, value in members.items()}


TYPES: Mapping[str, type[Event]] = {  # by the names that are written
    kind.type_name: kind for kind in (*get_args(SagaFact), *get_args(StepFact))
}
STORED_NAMES: Mapping[str, tuple[str, ...]] = {  # of a type, by each of them
    name: names
    for kind in TYPES.values()
    for names in [(kind.type_name, *kind.former_names)]
    for name in names
}
UPCASTERS: Mapping[tuple[str, int], Upcaster] = {  # by type and the version they start from
    ("SagaParked", 1): partial(_without_members, ("without_output",)),
    ("SagaParked", 2): partial(_renamed, {"why": "reason"}),
    ("SagaUnparked", 1): partial(_without_members, ("accepted", "undo_again")),
    ("SagaStarted", 1): lambda members: _with_members(members, input_checked=False),
}
FEW_DISTINCT_PAYLOADS = frozenset(
    {StepCalled, CompensationCalled, CompensationSucceeded, SagaCompleted, SagaCompensated}
)
MAX_CACHED_PAYLOADS = 4096


class UnreadableEvent(Exception):
    """A payload that is not of its type, or a type that this version does not know."""


def encode(event: Event) -> bytes:
    """Raises NotKeepable if a value in it is not JSON that `decode` reads."""
    return _encoded_cached(event) if type(event) in FEW_DISTINCT_PAYLOADS else _encoded(event)


def _encoded(event: Event) -> bytes:
    payload = serialize(_MEMBERS[type(event)](event))
    if payload.find(rb"\u0000") >= 0:  # what could not be read again is not written either
        parse(payload)
    return payload


# Four times faster for events that are the same in most sagas: a name of a step and a number.
_encoded_cached = lru_cache(maxsize=MAX_CACHED_PAYLOADS)(_encoded)


def decode(stored_type: str, schema_version: int, payload: bytes) -> Event:
    """Return the event that was stored under this name, or under a former one of its type.

    Raises UnreadableEvent.
    """
    kind = _KINDS.get(stored_type)
    if kind is None or schema_version > kind.schema_version:
        raise UnreadableEvent(f"{stored_type} {schema_version} was written by a newer version")
    try:
        if schema_version == kind.schema_version and payload.find(rb"\u0000") < 0:
            return _READERS[kind](payload)
        return convert(_upcast(kind, schema_version, parse(payload)), kind)
    except (LookupError, TypeError, ValueError, MsgspecError, RecursionError) as error:
        message = f"{stored_type} {schema_version} cannot be read: {error}"
        raise UnreadableEvent(message) from error


def stored_names(type_name: str) -> tuple[str, ...]:
    """Return all names under which events of this type stand in logs; of an unknown type its own.

    `type_name` is the name that is written now, or a former one.
    """
    return STORED_NAMES.get(type_name, (type_name,))


def format_time(time: datetime) -> str:
    """RFC 3339, UTC, microseconds."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _upcast(kind: type[Event], schema_version: int, members: Json) -> Json:
    for version in range(schema_version, kind.schema_version):
        members = UPCASTERS[kind.type_name, version](members)
    return members


def _with_members(members: Json, **more: Json) -> Json:
    assert isinstance(members, Mapping)
    return {**members, **more}


def _write_time(time: datetime) -> Any:
    """The serializer writes it as `format_time` does, and faster, unless microseconds are 0."""
    return time if time.tzinfo is UTC and time.microsecond else format_time(time)


def _write_parent(parent: Parent) -> Json:
    depth = {"depth": parent.depth} if parent.depth != 1 else {}
    return {"saga_id": parent.saga_id, "step": parent.step, **depth}


WRITERS: Mapping[Any, Callable[[Any], Json]] = {  # of what the serializer does not know, by type
    datetime: _write_time,
    Parent: _write_parent,
}


def _writer(one: FieldInfo) -> Callable[[Any], Json] | None:
    kinds = {one.type, *get_args(one.type)}
    return next((write for kind, write in WRITERS.items() if kind in kinds), None)


def _default(one: FieldInfo) -> Any:
    if one.default_factory is not NODEFAULT:
        return one.default_factory()
    return one.default


def _members_of(kind: type[Event]) -> Callable[[Event], JsonObject]:
    """A function that names those members of an event which are not at their default.

    It is written out member by member, which takes half as long as asking for each by its name.
    """
    source = ["def members(event):", "    found = {}"]
    scope: dict[str, Any] = {}
    for one in fields(kind):
        name, default, write = one.name, _default(one), _writer(one)
        scope |= {f"default_{name}": default, f"write_{name}": write}
        differs = f"value is not default_{name} and value != default_{name}"
        asked = (
            "True" if default is NODEFAULT else "value is not None" if default is None else differs
        )
        written = f"write_{name}(value)" if write else "value"
        source += [
            f"    value = event.{name}",
            f"    if {asked}:",
            f"        found[{name!r}] = {written}",
        ]
    exec("\n".join([*source, "    return found"]), scope)
    members: Callable[[Event], JsonObject] = scope["members"]
    return members


_MEMBERS = {kind: _members_of(kind) for kind in TYPES.values()}
_READERS = {kind: Decoder(kind, float_hook=Decimal).decode for kind in TYPES.values()}
_KINDS = {name: TYPES[names[0]] for name, names in STORED_NAMES.items()}
