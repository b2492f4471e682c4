"""The definition language: the documents that authors write, as pydantic models.

The models are also the JSON Schema that editors complete from. Unknown members are refused. The
parser makes a `Definition` of the models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import GenerateJsonSchema

from ..formats.duration import format_duration, parse_duration
from ..formats.strict_json import JsonObject
from .retry import RetryPolicy

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_-]{0,62}$"
DEFAULT_CALL_TIMEOUT = timedelta(seconds=10)
DEFAULT_COMPLETION_TIMEOUT = timedelta(minutes=15)
STEP_KINDS = ("action", "sleep", "wait_for", "saga")  # of steps


def _parse_duration(value: object) -> timedelta:
    if not isinstance(value, str):
        raise ValueError("write a duration as text with a unit, like 500ms, 10s, 5m")
    return parse_duration(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(_parse_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$"}),
]
PATH_PATTERN = r"^/[\x21-\x7e\s]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Path = Annotated[str, Field(pattern=PATH_PATTERN, max_length=2000)]
PATTERN_MESSAGES: Mapping[str, str] = {
    NAME_PATTERN: "must begin with a letter and have only letters, digits, - and _, at most 63",
    PATH_PATTERN: "must begin with / and be printable ASCII",
}


class Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        strict=True,
        use_attribute_docstrings=True,
        model_title_generator=lambda model: model.__name__.removesuffix("Model"),
    )


class RetryModel(Model):
    """A member that is left out keeps its default, which depends on where the call is made."""

    attempts: Annotated[int, Field(ge=1, le=1_000_000)] | None = 5
    """5 for an action, 12 for a compensation; null, without limit, for an action after the pivot"""
    first: Duration = timedelta(milliseconds=500)
    factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    cap: Duration = timedelta(seconds=60)

    def override(self, default: RetryPolicy) -> RetryPolicy:
        return replace(default, **{name: getattr(self, name) for name in self.model_fields_set})


class CallModel(Model):
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    path: Path
    body: JsonValue = None
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)
    timeout: Annotated[Duration, Field(gt=timedelta(0))] = DEFAULT_CALL_TIMEOUT
    retry: RetryModel = Field(default_factory=RetryModel)


class CompensationModel(CallModel):
    done_on: list[Annotated[int, Field(ge=400, le=499)]] = Field(default_factory=list)
    on_failure: Literal["park", "continue", "stop"] = "park"


class StatusModel(Model):
    """A query for the outcome of the action. It has no effect and is repeated like the action."""

    method: Literal["GET", "POST"] = "GET"
    path: Path
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)
    timeout: Annotated[Duration, Field(gt=timedelta(0))] = DEFAULT_CALL_TIMEOUT


class WaitForModel(Model):
    """A wait for a signal from outside; the body of the signal is the step's output."""

    signal: Name
    timeout: Annotated[Duration, Field(gt=timedelta(0))]
    on_timeout: Literal["reject", "park"] = "reject"


class ChildModel(Model):
    """Another saga as a step. Without a version, the newest when the step runs is started."""

    type: Name
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    input: JsonValue = None


class StepModel(Model):
    """A step does exactly one of `action`, `sleep`, `wait_for` and `saga`."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [kind]} for kind in STEP_KINDS]}
    )

    name: Name
    participant: Name | None = None
    action: CallModel | None = None
    sleep: Annotated[Duration, Field(gt=timedelta(0))] | None = None
    wait_for: WaitForModel | None = None
    saga: ChildModel | None = None
    after: Annotated[list[Name], Field(max_length=200)] | None = None
    """the steps that this one runs after; by default the step written before it"""
    compensation: CompensationModel | None = None
    pivot: bool = False
    """true: once this step has succeeded, the saga only goes forward"""
    undone_by: Name | None = None
    """the earlier step whose compensation undoes this step too"""
    effect: Literal["none"] | None = None
    """none: the step has no effect, so there is nothing to undo"""
    compensate_on_reject: bool = False
    """true: the step is compensated even when its action was rejected"""
    output: dict[Name, str] | None = None
    """the output, made of response.body; by default the whole body of the reply"""
    when: Annotated[str, Field(max_length=2000)] | None = None
    """the condition, one ${...}; if it does not hold, the step is skipped"""
    status: StatusModel | None = None
    completion: Literal["callback", "poll"] | None = None
    """how an action that was answered with 202 is completed: by a callback, or by polling status"""
    completion_timeout: Annotated[Duration, Field(gt=timedelta(0))] = DEFAULT_COMPLETION_TIMEOUT
    """the time after which the outcome of an accepted action (202) is unknown"""

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in STEP_KINDS) != 1:
            raise ValueError("a step has exactly one of action, sleep, wait_for and saga")
        if self.action is not None and self.participant is None:
            raise ValueError("add participant:, the name of the service that the action calls")
        if self.action is None and self.participant is not None:
            raise ValueError("only an action has a participant: leave it out")
        if self.action is None and (self.compensation or self.status or self.completion):
            raise ValueError("only an action has a compensation, a status or a completion")
        if self.completion == "poll" and self.status is None:
            raise ValueError("completion: poll needs a status: the request to poll with")
        return self


class DefinitionModel(Model):
    saga: Name
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    description: Annotated[str, Field(max_length=2000)] | None = None
    deadline: Annotated[Duration, Field(gt=timedelta(0))] | None = None
    input: dict[str, JsonValue] | None = None
    """the JSON Schema (2020-12) that the input of a start is checked against"""
    steps: Annotated[list[StepModel], Field(min_length=1, max_length=200)]


def definition_schema() -> JsonObject:
    """Return the JSON Schema of definitions, which editors check and complete them with."""
    schema = DefinitionModel.model_json_schema(
        schema_generator=_DefinitionSchema, mode="validation"
    )
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


class SchemaWithDurations(GenerateJsonSchema):
    """A schema in which default durations are written as in a definition: `15m`."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


class _DefinitionSchema(SchemaWithDurations):
    def field_title_should_be_set(self, schema: Any) -> bool:
        """Return False: a title that repeats the name of the member has no information."""
        return False
