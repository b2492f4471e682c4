"""The protocol between nodes: requests about sagas and their results, as bytes and back.

A refusal travels with its facts, and is raised at the requesting node as if the saga were driven
there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeAlias, cast

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
    WouldParkAgain,
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


# The names under which messages are kept in the inbox: a class may be renamed, its name here may
# not. Messages of former versions are read for ever, too.
INPUT_KINDS: Mapping[str, type[RemoteInput]] = {
    "compensate": Compensate,
    "cancel": Cancel,
    "retry": Retry,
    "pause": Pause,
    "resume": Resume,
    "abandon": Abandon,
    "skip_step": SkipStep,
    "resolve_step": ResolveStep,
    "send_signal": SendSignal,
    "step_callback": StepCallback,
}
FORMER_INPUT_KINDS: Mapping[str, type[RemoteInput]] = {
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
INPUT_KIND_NAMES: Mapping[type[RemoteInput], str] = {
    input_type: kind for kind, input_type in INPUT_KINDS.items()
}


@dataclass(frozen=True, slots=True)
class RefusalKind:
    """The encoding of a type of refusal: the arguments of its constructor, which it keeps as
    attributes of the same name, and the advice that `decide` adds to some."""

    type: type[Exception]
    arguments: tuple[str, ...]

    def facts_of(self, refusal: Exception) -> JsonObject:
        advice = ADVICE if isinstance(refusal, NotAllowed) else ()
        return {name: getattr(refusal, name) for name in (*self.arguments, *advice)}

    def restore(self, facts: Mapping[str, Any]) -> Exception:
        refusal = self.type(*(facts[name] for name in self.arguments))
        if isinstance(refusal, NotAllowed):
            refusal.allowed_actions = tuple(facts["allowed_actions"])
            refusal.possible = tuple(facts["possible"])
        return refusal


ADVICE: Final = ("allowed_actions", "possible")
_COMMAND: Final = ("saga_id", "verb", "reason")
REFUSAL_KINDS: Mapping[str, RefusalKind] = {
    "children_under_way": RefusalKind(ChildrenUnderWay, ("saga_id", "children")),
    "corrupt_stream": RefusalKind(CorruptStream, ("saga_id", "version", "reason")),
    "definition_not_found": RefusalKind(DefinitionNotFound, ("name", "version")),
    "driven_by_parent": RefusalKind(
        DrivenByParent, ("saga_id", "verb", "parent", "allowed_actions")
    ),
    "not_allowed": RefusalKind(NotAllowed, _COMMAND),
    "not_compensatable": RefusalKind(NotCompensatable, _COMMAND),
    "saga_not_found": RefusalKind(SagaNotFound, ("saga_id",)),
    "step_not_found": RefusalKind(StepNotFound, ("saga_id", "step")),
    "too_many_signals": RefusalKind(TooManySignals, _COMMAND),
    "unavailable": RefusalKind(Unavailable, ("detail",)),
    "unknown_signal": RefusalKind(UnknownSignal, ("saga_id", "name", "known")),
    "version_conflict": RefusalKind(VersionConflict, ("saga_id", "version")),
    "would_park_again": RefusalKind(WouldParkAgain, _COMMAND),
}
FORMER_REFUSAL_KINDS: Mapping[str, str] = {
    "ChildrenUnderWay": "children_under_way",
    "CorruptStream": "corrupt_stream",
    "DefinitionNotFound": "definition_not_found",
    "DrivenByParent": "driven_by_parent",
    "NoSuchStep": "step_not_found",
    "NotAllowed": "not_allowed",
    "NotCompensatable": "not_compensatable",
    "NotServing": "unavailable",
    "SagaNotFound": "saga_not_found",
    "TooManySignals": "too_many_signals",
    "UnknownSignal": "unknown_signal",
    "VersionMoved": "version_conflict",
}
REFUSAL_KIND_NAMES: Mapping[type[Exception], str] = {
    refusal.type: kind for kind, refusal in REFUSAL_KINDS.items()
}
FIELD_DECODERS: Mapping[str, Callable[[Any], Any]] = {
    "verdict": Resolution,
    "children": ChildPolicy,
    "deadline": datetime.fromisoformat,
    "start_at": datetime.fromisoformat,
}


def encode_request(request: RemoteCommand | RemoteStart) -> bytes:
    """Encode a request. The deadline of a start must be a time: a duration would begin anew."""
    members: dict[str, Json]
    if isinstance(request, RemoteStart):
        members = {
            "saga_type": request.saga_type,
            "version": request.version,
            "request": _non_default_fields(request.request),
        }
    else:
        members = {
            "input": INPUT_KIND_NAMES[type(request.input)],
            "fields": _non_default_fields(request.input),
            "expected_version": request.expected_version,
        }
    return serialize({"saga_id": request.saga_id, **members})


def decode_request(data: bytes) -> RemoteCommand | RemoteStart:
    """Decode a request.

    Raises ValueError, LookupError or TypeError for what no version has written.
    """
    members = cast(Mapping[str, Any], parse(data))
    if "request" in members:
        start = StartSaga(**_from_json(members["request"]))
        return RemoteStart(**{**members, "request": start})
    if "input" in members:
        input_type, input_fields = INPUT_KINDS[members["input"]], members["fields"]
    else:
        input_type, input_fields = FORMER_INPUT_KINDS[members["kind"]], members["happening"]
    return RemoteCommand(
        saga_id=members["saga_id"],
        input=input_type(**_from_json(input_fields)),
        expected_version=members["expected_version"],
    )


def encode_result(result: RemoteResult | Exception) -> bytes:
    """Encode a result, or a refusal for which `is_refusal` is true."""
    if isinstance(result, RemoteResult):
        return serialize({"version": result.version, "replayed": result.replayed})
    kind = REFUSAL_KIND_NAMES[type(result)]
    return serialize({"refusal": kind, "facts": REFUSAL_KINDS[kind].facts_of(result)})


def decode_result(data: bytes) -> RemoteResult:
    """Decode a result, or raise the refusal."""
    members = cast(Mapping[str, Any], parse(data))
    if "version" in members:
        return RemoteResult(**members)
    if "refusal" in members:
        raise REFUSAL_KINDS[members["refusal"]].restore(members["facts"])
    raise _restore_former_refusal(members)


def _restore_former_refusal(members: Mapping[str, Any]) -> Exception:
    """Former versions sent the text and all attributes, but not every constructor argument."""
    facts, text = members["facts"], members["text"]
    missing = {"detail": text, "reason": facts.get("why", ""), "name": "", "possible": ()}
    refusal = REFUSAL_KINDS[FORMER_REFUSAL_KINDS[members["kind"]]].restore({**missing, **facts})
    if not isinstance(refusal, NotAllowed):
        refusal.args = (text,)
    return refusal


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
