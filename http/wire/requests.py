"""Request bodies and query parameters. Unknown members and parameters are refused."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError
from starlette.requests import Request

from ...fsm.definitions.findings import Finding
from ...fsm.definitions.input_check import merged_input
from ...fsm.definitions.validation_errors import validation_findings
from ...fsm.formats.json_path import json_pointer
from ...fsm.formats.strict_json import JsonObject
from ...fsm.inputs import ChildPolicy, StartSaga
from ...fsm.machines import SagaStatus
from ...fsm.runtime.bulk import Action
from ...projections.listing import PAGE_CURSOR_PATTERN, SagaFilter
from .errors import InvalidQuery, InvalidRequest
from .types import AnyArray, AnyJson, AnyObject, Deadline, EntityId, Tags, Time

MAX_VERSION = 2**31 - 1
DEFAULT_PAGE_ENTRIES = 100
MAX_PAGE_ENTRIES = 1000

# Regular expressions, and what they mean in words.
NOT_BLANK, WITHOUT_NULL = r"^[^\x00]*\S[^\x00]*$", r"^[^\x00]*$"
CURSOR = r"^[A-Za-z0-9_-]{1,1000}$"
UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
PATTERN_WORDS: Mapping[str, str] = {
    NOT_BLANK: "must not be blank, nor hold the character U+0000",
    WITHOUT_NULL: "must not hold the character U+0000",
    CURSOR: "must be the next of the page before",
    PAGE_CURSOR_PATTERN: "must be the next_cursor of the page before",
    UUID: "must be the next_cursor of the page before",
}

Version = Annotated[int, Field(ge=1, le=MAX_VERSION)]
PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE_ENTRIES)]
Reason = Annotated[str, Field(min_length=1, max_length=1000, pattern=NOT_BLANK)]
OptionalReason = Annotated[str, Field(max_length=1000, pattern=WITHOUT_NULL)] | None
Children = Annotated[ChildPolicy | None, Field(strict=False)]
UuidText = Annotated[str, Field(pattern=UUID)]
ShortText = Annotated[str, Field(max_length=200, pattern=WITHOUT_NULL)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class StartRequest(Body):
    """The start of a saga. Step i sends `step_data[i]`; expressions read `input.step_data`."""

    saga_type: Annotated[str, Field(max_length=200)]
    entity_id: EntityId
    step_data: AnyArray = None
    input: AnyObject = None
    version: Version | None = None
    tags: Tags = Field(default_factory=dict)
    deadline: Deadline = None
    start_at: Time | None = None
    callback_url: str | None = None

    def to_input(self, actor: str | None) -> StartSaga:
        return StartSaga(
            entity_id=self.entity_id,
            input=merged_input(self.input, self.step_data),
            tags=self.tags,
            deadline=self.deadline,
            start_at=self.start_at,
            callback_url=self.callback_url,
            actor=actor,
        )


class OperatorRequest(Body):
    """The reason of an operator command, recorded with its event."""

    reason: OptionalReason = None


class RetryRequest(OperatorRequest):
    """The reason, and the `step` to be called again if it is not all steps."""

    step: Annotated[str, Field(max_length=200)] | None = None


class AbandonRequest(Body):
    """The reason, and what is to become of running `children`."""

    reason: Reason
    children: Children = None


class ResolveRequest(Body):
    """The outcome of a step as an operator found out, and the evidence."""

    outcome: Literal["done", "not_done", "undone"]
    evidence: Reason
    output: AnyJson = None
    reason: OptionalReason = None


class SignalBody(RootModel[AnyJson]):
    """Any JSON, or no body: the output of the step that waits for the signal."""


class BulkFilter(Body):
    """The query of `GET /sagas` as an object; a saga must match all of it."""

    type: ShortText | None = None
    status: SagaStatus | None = Field(default=None, strict=False)
    paused: bool | None = None
    step: ShortText | None = None
    entity_id: ShortText | None = None
    tags: Tags = Field(default_factory=dict)
    started_after: Time | None = None
    started_before: Time | None = None
    error: ShortText | None = None

    def to_filter(self) -> SagaFilter:
        return SagaFilter(
            saga_type=self.type,
            status=self.status,
            paused=self.paused,
            step=self.step,
            entity_id=self.entity_id,
            tags=self.tags,
            started_after=self.started_after,
            started_before=self.started_before,
            error=self.error,
        )


class BulkRequest(Body):
    action: Action
    filter: BulkFilter
    reason: Reason
    name: ShortText | None = None
    children: Children = None
    dry_run: bool = False


class CompleteRequest(Body):
    output: AnyJson = None


class FailRequest(Body):
    reason: OptionalReason = None


class Query(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class NoQuery(Query):
    pass


class StatusQuery(Query):
    """At most one of `at` and `at_version`, for the past, and `min_version`, which waits."""

    at: Time | None = None
    at_version: Version | None = None
    min_version: Version | None = None


class OutputQuery(Query):
    """The query of an output; `at_version` is for the past."""

    at_version: Version | None = None


class CompensateQuery(Query):
    dry_run: bool = False


class EventsQuery(Query):
    after: Annotated[int, Field(ge=0, le=MAX_VERSION)] = 0
    limit: PageSize = DEFAULT_PAGE_ENTRIES


class BulkJobsQuery(Query):
    """The query of bulk jobs. `cursor` is the `next_cursor` of the page before."""

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    cursor: UuidText | None = None


class BulkSagasQuery(Query):
    """The query of the sagas of a bulk job. `refused`: only the sagas that refused. `cursor` is the
    `next_cursor` of the page before."""

    refused: bool = False
    limit: PageSize = DEFAULT_PAGE_ENTRIES
    cursor: UuidText | None = None


class FeedQuery(Query):
    """The query of the feed. `after` is the `next` of the page before."""

    after: Annotated[str, Field(pattern=CURSOR)] | None = None
    type: ShortText | None = None
    saga_type: ShortText | None = None
    limit: PageSize = DEFAULT_PAGE_ENTRIES


class SagasQuery(Query):
    """Besides these, `tag.<name>=<value>` matches sagas with that tag.

    `cursor` is the `next_cursor` of the page before.
    """

    type: ShortText | None = None
    status: SagaStatus | None = None
    paused: bool | None = None
    step: ShortText | None = None
    entity_id: ShortText | None = None
    started_after: Time | None = None
    started_before: Time | None = None
    error: ShortText | None = None
    limit: PageSize = DEFAULT_PAGE_ENTRIES
    cursor: Annotated[str, Field(pattern=PAGE_CURSOR_PATTERN)] | None = None


BodyModel = TypeVar("BodyModel", bound=Body)
QueryModel = TypeVar("QueryModel", bound=Query)


def validate_body(model: type[BodyModel], body: JsonObject) -> BodyModel:
    """Return the model of `body`. Raises InvalidRequest."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise InvalidRequest(validation_findings(error, model, PATTERN_WORDS)) from None


def read_query(model: type[QueryModel], request: Request[Any]) -> QueryModel:
    """Return the model of the query string. Raises InvalidQuery."""
    if not request.scope["query_string"]:
        empty: QueryModel = _empty_query(model)
        return empty
    return validate_query(model, unique_parameters(request))


@cache
def _empty_query(model: type[QueryModel]) -> QueryModel:
    """Return the query without parameters. It is frozen, so requests share it."""
    return model()


def validate_query(model: type[QueryModel], parameters: Mapping[str, str]) -> QueryModel:
    """Return the model of `parameters`. Raises InvalidQuery."""
    try:
        return model.model_validate(parameters)
    except ValidationError as error:
        raise InvalidQuery(validation_findings(error, model, PATTERN_WORDS)) from None


def unique_parameters(request: Request[Any]) -> dict[str, str]:
    """Return the query parameters. Raises InvalidQuery if one is repeated: which of its values is
    meant would be a guess."""
    pairs = request.query_params.multi_items()
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        names = [name for name, _ in pairs]
        raise InvalidQuery(
            Finding(
                code="repeated", pointer=json_pointer((name,)), detail="it is there more than once"
            )
            for name in parameters
            if names.count(name) > 1
        )
    return parameters
