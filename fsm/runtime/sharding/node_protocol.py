"""The protocol between nodes: requests about sagas and their results, as bytes and back.

A refusal travels with its facts, and is raised at the requesting node as if the saga were driven
there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias, cast

from msgspec import Struct
from msgspec.structs import asdict, fields

from ...codec import format_time
from ...errors import (
    ChildrenUnderWay,
    CorruptStream,
    DrivenByParent,
    NotAllowed,
    NotCompensatable,
    StepNotFound,
    TooManySignals,
    UnknownSignal,
)
from ...events import Resolution
from ...formats.strict_json import Json, JsonObject, parse, serialize
from ...inputs import (
    Abandon,
    Cancel,
    ChildPolicy,
    Compensate,
    OperatorCommand,
    Pause,
    ResolveStep,
    Resume,
    Retry,
    SendSignal,
    SkipStep,
    StartSaga,
    StepCallback,
)
from ..errors import DefinitionNotFound, SagaNotFound, Unavailable, VersionConflict

RemoteInput: TypeAlias = OperatorCommand | StepCallback


class RemoteCommand(Struct, frozen=True, kw_only=True):
    """Handle an input of a saga, if it is at `expected_version` (None: at any version)."""

    saga_id: str
    input: RemoteInput
    expected_version: int | None = None


class RemoteStart(Struct, frozen=True, kw_only=True):
    """Start a saga of that id, unless it exists."""

    saga_id: str
    saga_type: str
    version: int
    request: StartSaga


class RemoteResult(Struct, frozen=True, kw_only=True):
    """The saga is at `version` at least. `replayed`: it had been started before."""

    version: int
    replayed: bool = False


# Names under which messages are kept in the inbox: a class may be renamed, its name here may not.
INPUT_KINDS: Mapping[str, type[RemoteInput]] = {
    "CompensationAsked": Compensate,
    "CancelAsked": Cancel,
    "RetryAsked": Retry,
    "PauseAsked": Pause,
    "ResumeAsked": Resume,
    "AbandonAsked": Abandon,
    "SkipAsked": SkipStep,
    "ResolveAsked": ResolveStep,
    "SignalSent": SendSignal,
    "StepReported": StepCallback,
}
REFUSAL_KINDS: Mapping[str, type[Exception]] = {
    "ChildrenUnderWay": ChildrenUnderWay,
    "CorruptStream": CorruptStream,
    "DefinitionNotFound": DefinitionNotFound,
    "DrivenByParent": DrivenByParent,
    "NoSuchStep": StepNotFound,
    "NotAllowed": NotAllowed,
    "NotCompensatable": NotCompensatable,
    "NotServing": Unavailable,
    "SagaNotFound": SagaNotFound,
    "TooManySignals": TooManySignals,
    "UnknownSignal": UnknownSignal,
    "VersionMoved": VersionConflict,
}
INPUT_KIND_NAMES = {kind: name for name, kind in INPUT_KINDS.items()}
REFUSAL_KIND_NAMES = {kind: name for name, kind in REFUSAL_KINDS.items()}
FIELD_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "verdict": Resolution,
    "children": ChildPolicy,
    "deadline": datetime.fromisoformat,
    "start_at": datetime.fromisoformat,
}


def encode_request(question: RemoteCommand | RemoteStart) -> bytes:
    """Encode a request. The deadline of a start must be a time: a duration would begin anew."""
    members: dict[str, Json]
    if isinstance(question, RemoteStart):
        request = _non_default_fields(question.request)
        members = {"saga_type": question.saga_type, "version": question.version, "request": request}
    else:
        members = {
            "kind": INPUT_KIND_NAMES[type(question.input)],
            "happening": _non_default_fields(question.input),
            "expected_version": question.expected_version,
        }
    return serialize({"saga_id": question.saga_id, **members})


def decode_request(data: bytes) -> RemoteCommand | RemoteStart:
    """Decode a request.

    Raises ValueError, LookupError or TypeError for what this version did not write.
    """
    members = cast(Mapping[str, Any], parse(data))
    if "request" in members:
        request = StartSaga(**_from_json(members["request"]))
        return RemoteStart(**{**members, "request": request})
    kind = INPUT_KINDS[members["kind"]]
    return RemoteCommand(
        saga_id=members["saga_id"],
        input=kind(**_from_json(members["happening"])),
        expected_version=members["expected_version"],
    )


def encode_result(answer: RemoteResult | Exception) -> bytes:
    if isinstance(answer, RemoteResult):
        return serialize({"version": answer.version, "replayed": answer.replayed})
    facts = cast(JsonObject, vars(answer))
    return serialize(
        {"kind": REFUSAL_KIND_NAMES[type(answer)], "text": str(answer), "facts": facts}
    )


def decode_result(data: bytes) -> RemoteResult:
    """Decode a result, or raise the refusal."""
    members = cast(Mapping[str, Any], parse(data))
    if "version" in members:
        return RemoteResult(**members)
    kind = REFUSAL_KINDS[members["kind"]]
    refusal = kind.__new__(kind)
    refusal.args = (members["text"],)
    refusal.__dict__.update(members["facts"])
    raise refusal


def is_refusal(error: Exception) -> bool:
    """True if the error is sent to the requesting node."""
    return type(error) in REFUSAL_KIND_NAMES


def _non_default_fields(value: RemoteInput | StartSaga) -> dict[str, Json]:
    """Return the fields that differ from their default."""
    members = asdict(value)
    defaults = _default_fields(type(value))
    return {name: _to_json(member) for name, member in members.items() if member != defaults[name]}


@cache
def _default_fields(kind: type[Struct]) -> Mapping[str, Any]:
    return {field.name: field.default for field in fields(kind)}


def _to_json(value: Any) -> Json:
    return format_time(value) if isinstance(value, datetime) else cast(Json, value)


def _from_json(members: Mapping[str, Json]) -> dict[str, Any]:
    return {
        name: FIELD_DECODERS[name](value) if name in FIELD_DECODERS and value is not None else value
        for name, value in members.items()
    }
