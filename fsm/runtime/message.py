"""What one node asks of another about a saga, and what that one answers, as bytes and back.

A refusal travels with its facts, which are its attributes, and is raised where it was asked for as
if the saga were driven there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias, cast

from msgspec import Struct
from msgspec.structs import asdict, fields

from ..codec import format_time
from ..errors import (
    ChildrenUnderWay,
    CorruptStream,
    DrivenByParent,
    NoSuchStep,
    NotAllowed,
    NotCompensatable,
    TooManySignals,
    UnknownSignal,
)
from ..events import Resolution
from ..happening import (
    AbandonAsked,
    CancelAsked,
    ChildPolicy,
    CompensationAsked,
    PauseAsked,
    ResolveAsked,
    ResumeAsked,
    RetryAsked,
    SignalSent,
    SkipAsked,
    StartRequested,
    StepReported,
    Verb,
)
from ..strict_json import Json, JsonObject, parse, serialize
from .errors import DefinitionNotFound, NotServing, SagaNotFound, VersionMoved

Happening: TypeAlias = Verb | StepReported


class Ask(Struct, frozen=True, kw_only=True):
    """Let this happen to a saga, if it is at `expected_version` (None: at any)."""

    saga_id: str
    happening: Happening
    expected_version: int | None = None


class Begin(Struct, frozen=True, kw_only=True):
    """Start a saga of that name, unless it is there."""

    saga_id: str
    saga_type: str
    version: int
    request: StartRequested


class Done(Struct, frozen=True, kw_only=True):
    """The saga is at `version`, at least. `replayed`: it had been started before."""

    version: int
    replayed: bool = False


# Names under which messages are kept in the inbox: a class may be renamed, its name here may not.
HAPPENINGS: Mapping[str, type[Happening]] = {
    "CompensationAsked": CompensationAsked,
    "CancelAsked": CancelAsked,
    "RetryAsked": RetryAsked,
    "PauseAsked": PauseAsked,
    "ResumeAsked": ResumeAsked,
    "AbandonAsked": AbandonAsked,
    "SkipAsked": SkipAsked,
    "ResolveAsked": ResolveAsked,
    "SignalSent": SignalSent,
    "StepReported": StepReported,
}
REFUSALS: Mapping[str, type[Exception]] = {
    "ChildrenUnderWay": ChildrenUnderWay,
    "CorruptStream": CorruptStream,
    "DefinitionNotFound": DefinitionNotFound,
    "DrivenByParent": DrivenByParent,
    "NoSuchStep": NoSuchStep,
    "NotAllowed": NotAllowed,
    "NotCompensatable": NotCompensatable,
    "NotServing": NotServing,
    "SagaNotFound": SagaNotFound,
    "TooManySignals": TooManySignals,
    "UnknownSignal": UnknownSignal,
    "VersionMoved": VersionMoved,
}
HAPPENING_NAMES = {kind: name for name, kind in HAPPENINGS.items()}
REFUSAL_NAMES = {kind: name for name, kind in REFUSALS.items()}
READERS: Mapping[str, Callable[[Any], Any]] = {
    "verdict": Resolution,
    "children": ChildPolicy,
    "deadline": datetime.fromisoformat,
    "start_at": datetime.fromisoformat,
}


def encode_question(question: Ask | Begin) -> bytes:
    """The deadline of a start must be a time: a duration would begin anew where it is read."""
    members: dict[str, Json]
    if isinstance(question, Begin):
        request = _members(question.request)
        members = {"saga_type": question.saga_type, "version": question.version, "request": request}
    else:
        members = {
            "kind": HAPPENING_NAMES[type(question.happening)],
            "happening": _members(question.happening),
            "expected_version": question.expected_version,
        }
    return serialize({"saga_id": question.saga_id, **members})


def decode_question(data: bytes) -> Ask | Begin:
    """Raises ValueError, LookupError or TypeError for what this version did not write."""
    members = cast(Mapping[str, Any], parse(data))
    if "request" in members:
        request = StartRequested(**_read(members["request"]))
        return Begin(**{**members, "request": request})
    kind = HAPPENINGS[members["kind"]]
    return Ask(
        saga_id=members["saga_id"],
        happening=kind(**_read(members["happening"])),
        expected_version=members["expected_version"],
    )


def encode_answer(answer: Done | Exception) -> bytes:
    if isinstance(answer, Done):
        return serialize({"version": answer.version, "replayed": answer.replayed})
    facts = cast(JsonObject, vars(answer))
    return serialize({"kind": REFUSAL_NAMES[type(answer)], "text": str(answer), "facts": facts})


def decode_answer(data: bytes) -> Done:
    """Raises the refusal, if it is one."""
    members = cast(Mapping[str, Any], parse(data))
    if "version" in members:
        return Done(**members)
    kind = REFUSALS[members["kind"]]
    refusal = kind.__new__(kind)
    refusal.args = (members["text"],)
    refusal.__dict__.update(members["facts"])
    raise refusal


def is_refusal(error: Exception) -> bool:
    """Whether whoever asked is to be told of it."""
    return type(error) in REFUSAL_NAMES


def _members(value: Happening | StartRequested) -> dict[str, Json]:
    """Those that are not at their default."""
    members = asdict(value)
    usual = _defaults(type(value))
    return {name: _plain(one) for name, one in members.items() if one != usual[name]}


@cache
def _defaults(kind: type[Struct]) -> Mapping[str, Any]:
    return {one.name: one.default for one in fields(kind)}


def _plain(value: Any) -> Json:
    return format_time(value) if isinstance(value, datetime) else cast(Json, value)


def _read(members: Mapping[str, Json]) -> dict[str, Any]:
    return {
        name: READERS[name](value) if name in READERS and value is not None else value
        for name, value in members.items()
    }
