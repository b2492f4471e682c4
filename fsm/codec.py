"""Events as bytes and back, for ever: what was once written can always be read.

The payload is canonical JSON of the event's members, those at their default left out. When the
shape of a type changes, its class gets the next `schema_version` and UPCASTERS a function that
turns a payload of the old version into one of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeAlias, get_args

from .events import (
    Cause,
    CompensationCalled,
    CompensationSucceeded,
    Event,
    Parent,
    Resolution,
    SagaCompensated,
    SagaCompleted,
    SagaFact,
    StepCalled,
    StepFact,
)
from .outcome import Outcome, OutputLoss
from .strict_json import Json, JsonObject, NotKeepable, parse, serialize

Upcaster: TypeAlias = Callable[[JsonObject], JsonObject]

TYPES: Mapping[str, type[Event]] = {
    kind.__name__: kind for kind in (*get_args(SagaFact), *get_args(StepFact))
}
UPCASTERS: Mapping[tuple[str, int], Upcaster] = {}  # by type and the version they start from
READERS: Mapping[str, Callable[[Any], Any]] = {  # members that are more than JSON, in any type
    "deadline": datetime.fromisoformat,
    "start_at": datetime.fromisoformat,
    "until": datetime.fromisoformat,
    "cause": Cause,
    "outcome": Outcome,
    "output_loss": OutputLoss,
    "not_done": tuple,
    "not_undone": tuple,
    "next_poll": datetime.fromisoformat,
    "verdict": Resolution,
    "parent": lambda members: Parent(**members),
}
ALIKE = frozenset(
    {StepCalled, CompensationCalled, CompensationSucceeded, SagaCompleted, SagaCompensated}
)
MOST_ALIKE = 4096


class UnreadableEvent(Exception):
    """A payload that is not of its type, or a type that this version does not know."""


def encode(event: Event) -> bytes:
    """Raises NotKeepable if a value in it is not JSON that `decode` reads."""
    return _remembered(event) if type(event) in ALIKE else _encoded(event)


def _encoded(event: Event) -> bytes:
    payload = serialize(_MEMBERS[type(event)](event))
    if payload.find(rb"\u0000") >= 0:  # what could not be read again is not written either
        parse(payload)
    return payload


# Four times faster for events that are the same in most sagas: a name of a step and a number.
_remembered = lru_cache(maxsize=MOST_ALIKE)(_encoded)


def decode(kind: str, schema_version: int, payload: bytes) -> Event:
    """Raises UnreadableEvent."""
    if kind not in TYPES or schema_version > TYPES[kind].schema_version:
        raise UnreadableEvent(f"{kind} {schema_version} was written by a newer version")
    try:
        members = _upcast(kind, schema_version, _object(payload))
        return TYPES[kind](**{name: _read(name, value) for name, value in members.items()})
    except (LookupError, TypeError, ValueError) as error:
        raise UnreadableEvent(f"{kind} {schema_version} cannot be read: {error}") from error


def format_time(time: datetime) -> str:
    """RFC 3339, UTC, microseconds."""
    return time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _upcast(kind: str, schema_version: int, members: JsonObject) -> JsonObject:
    for version in range(schema_version, TYPES[kind].schema_version):
        members = UPCASTERS[kind, version](members)
    return members


def _object(payload: bytes) -> JsonObject:
    members = parse(payload)
    if not isinstance(members, Mapping):
        raise NotKeepable("the payload is not an object")
    return members


def _read(name: str, value: Json) -> Any:
    return READERS[name](value) if name in READERS and value is not None else value


def _write_time(time: datetime) -> datetime | str:
    """The serializer writes it as `format_time` does, and faster, unless microseconds are 0."""
    return time if time.tzinfo is UTC and time.microsecond else format_time(time)


def _write_parent(parent: Parent) -> Json:
    return {"saga_id": parent.saga_id, "step": parent.step}


WRITERS: Mapping[
    str, Callable[[Any], Any]
] = {  # of what the serializer does not know as we want it
    **{name: _write_time for name, read in READERS.items() if read == datetime.fromisoformat},
    "parent": _write_parent,
}


def _default(one: Field[Any]) -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return one.default


def _members_of(kind: type[Event]) -> Callable[[Event], JsonObject]:
    """A function that names those members of an event which are not at their default.

    It is written out member by member, which takes half as long as asking for each by its name.
    """
    source = ["def members(event):", "    found = {}"]
    scope: dict[str, Any] = {}
    for one in fields(kind):
        name, default = one.name, _default(one)
        scope |= {f"default_{name}": default, f"write_{name}": WRITERS.get(name)}
        differs = f"value is not default_{name} and value != default_{name}"
        asked = (
            "True" if default is MISSING else "value is not None" if default is None else differs
        )
        written = f"write_{name}(value)" if name in WRITERS else "value"
        source += [
            f"    value = event.{name}",
            f"    if {asked}:",
            f"        found[{name!r}] = {written}",
        ]
    exec("\n".join([*source, "    return found"]), scope)
    members: Callable[[Event], JsonObject] = scope["members"]
    return members


_MEMBERS = {kind: _members_of(kind) for kind in TYPES.values()}
