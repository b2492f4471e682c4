"""The definition language: what people write, as pydantic models.

The models are also the JSON Schema that editors complete from. Unknown members are refused.
`reader.py` makes definitions of them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    WithJsonSchema,
)

from .duration import format_duration, parse_duration
from .retry import RetryPolicy

NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,62}$"
CALL_TIMEOUT = timedelta(seconds=10)


def _duration(value: object) -> timedelta:
    if not isinstance(value, str):
        raise ValueError("write a duration as text with a unit, like 500ms, 10s, 5m")
    return parse_duration(value)


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(format_duration),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?(ms|s|m|h|d)$"}),
]
Name = Annotated[str, Field(pattern=NAME)]
Path = Annotated[str, Field(pattern=r"^/[\x21-\x7e\s]*$", max_length=2000)]


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class RetryModel(Model):
    """Each left out keeps the default of its place."""

    attempts: Annotated[int, Field(ge=1, le=1_000_000)] | None = 5
    first: Duration = timedelta(milliseconds=500)
    factor: Annotated[float, Field(ge=1, le=100)] = 2.0
    cap: Duration = timedelta(seconds=60)

    def over(self, default: RetryPolicy) -> RetryPolicy:
        return replace(default, **{name: getattr(self, name) for name in self.model_fields_set})


class CallModel(Model):
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = "POST"
    path: Path
    body: JsonValue = None
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)
    timeout: Annotated[Duration, Field(gt=timedelta(0))] = CALL_TIMEOUT
    retry: RetryModel = RetryModel()


class CompensationModel(CallModel):
    done_on: list[Annotated[int, Field(ge=400, le=499)]] = Field(default_factory=list)
    on_failure: Literal["park", "continue", "stop"] = "park"


class StatusModel(Model):
    """A question: it has no effect, and is repeated at the waits of the action's retry."""

    method: Literal["GET", "POST"] = "GET"
    path: Path
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)
    timeout: Annotated[Duration, Field(gt=timedelta(0))] = CALL_TIMEOUT


class StepModel(Model):
    name: Name
    participant: Name
    action: CallModel
    compensation: CompensationModel | None = None
    pivot: bool = False
    undone_by: Name | None = None
    effect: Literal["none"] | None = None
    compensate_on_reject: bool = False
    output: dict[Name, str] | None = None
    when: Annotated[str, Field(max_length=2000)] | None = None
    status: StatusModel | None = None


class DefinitionModel(Model):
    saga: Name
    version: Annotated[int, Field(ge=1, le=2**31 - 1)]
    description: Annotated[str, Field(max_length=2000)] | None = None
    deadline: Annotated[Duration, Field(gt=timedelta(0))] | None = None
    steps: Annotated[list[StepModel], Field(min_length=1, max_length=200)]
