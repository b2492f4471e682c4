"""The codec of events: an event that was once stored can be read for ever.

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
from typing import TypeAlias, cast, get_args

from msgspec import MsgspecError, convert
from msgspec.json import Decoder
from msgspec.structs import fields, replace

from .events import (
    CompensationCalled,
    CompensationSucceeded,
    Event,
    SagaCompensated,
    SagaCompleted,
    SagaFact,
    StepCalled,
    StepFact,
)
from .formats.strict_json import Json, parse, serialize

Upcaster: TypeAlias = Callable[[Json], Json]


def _without_members(names: Sequence[str], members: Json) -> Json:
    """Return the payload with null for members that its version did not record."""
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
    """A stored event of a type or version that is not known, or whose payload does not fit."""


def encode(event: Event) -> bytes:
    """Return the payload of `event`. Raises InvalidJson if `decode` could not read it."""
    return _encoded_cached(event) if type(event) in FEW_DISTINCT_PAYLOADS else _encoded(event)


def _encoded(event: Event) -> bytes:
    times = _TIMES[type(event)]
    payload = serialize(cast(Json, _with_times_formatted(event, times) if times else event))
    if payload.find(rb"\u0000") >= 0:  # a payload that could not be read again is refused here
        parse(payload)
    return payload


# Four times faster for events that most sagas share: the name of a step and a number.
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
    """Return all names under which events of a type are stored, given one of them.

    A name that no type has is returned alone.
    """
    return STORED_NAMES.get(type_name, (type_name,))


def format_time(time: datetime) -> str:
    """Return the time in RFC 3339, in UTC and with microseconds."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _upcast(kind: type[Event], schema_version: int, members: Json) -> Json:
    for version in range(schema_version, kind.schema_version):
        members = UPCASTERS[kind.type_name, version](members)
    return members


def _with_members(members: Json, **more: Json) -> Json:
    assert isinstance(members, Mapping)
    return {**members, **more}


def _with_times_formatted(event: Event, times: Sequence[str]) -> Event:
    """Return the event with texts for those times that the serializer would write otherwise."""
    values = [(name, getattr(event, name)) for name in times]
    changes = {name: format_time(time) for name, time in values if not _is_written_alike(time)}
    return replace(event, **changes) if changes else event


def _is_written_alike(time: datetime | None) -> bool:
    """False for a time whose microseconds or offset the serializer writes unlike `format_time`."""
    return time is None or (time.tzinfo is UTC and time.microsecond != 0)


def _times_of(kind: type[Event]) -> Sequence[str]:
    return [
        member.name for member in fields(kind) if datetime in {member.type, *get_args(member.type)}
    ]


_TIMES = {kind: _times_of(kind) for kind in TYPES.values()}
_READERS = {kind: Decoder(kind, float_hook=Decimal).decode for kind in TYPES.values()}
_KINDS = {name: TYPES[names[0]] for name, names in STORED_NAMES.items()}
