"""Response bodies as the API document describes them.

Responses are not built from these models but from views: a model says what a view contains, and a
test validates every response against it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, RootModel

from ...fsm.call_outcome import Outcome
from ...fsm.definitions.findings import Severity
from ...fsm.definitions.schema import DefinitionModel
from ...fsm.machines import SagaStatus, StepStatus
from ...fsm.runtime.calls.circuit_breaker import CircuitState


class ResponseModel(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OutputLinkModel(ResponseModel):
    """The link to an output that is too large for the response: its size as JSON, and its URL."""

    bytes: int
    href: str


class OutputResponse(RootModel[JsonValue]):
    """The output of the step: any JSON."""


class StartResponse(ResponseModel):
    """The outcome of a start. Large outputs are in `outputs_by_link` instead of `outputs`."""

    success: bool
    saga_id: str
    saga_type: str
    entity_id: int | str
    status: SagaStatus
    error: str | None
    outputs: dict[str, JsonValue]
    outputs_by_link: dict[str, OutputLinkModel] = {}


class StepStatusModel(ResponseModel):
    """The status of a step. With an `output_link`, `output` is null, because it is too large."""

    name: str
    status: StepStatus
    attempts: int
    started_at: str | None
    finished_at: str | None
    next_attempt_at: str | None
    last_error: str | None
    output: JsonValue
    output_link: OutputLinkModel | None = None


class ParkedModel(ResponseModel):
    reason: str
    since: str
    not_done: list[str]
    not_undone: list[str]


class SagaStatusResponse(ResponseModel):
    saga_id: str
    saga_type: str
    definition_version: int
    entity_id: int | str
    status: SagaStatus
    current_step: str | None
    error: str | None
    success: bool
    steps: list[StepStatusModel]
    remaining_steps: list[str]
    version: int
    deadline: str | None
    created_at: str
    updated_at: str
    paused: bool
    parked: ParkedModel | None


class SagaResponse(SagaStatusResponse):
    """A saga: its status, definition, input and outputs, and the commands allowed now."""

    definition: DefinitionModel
    input: dict[str, JsonValue]
    outputs: dict[str, JsonValue]
    outputs_by_link: dict[str, OutputLinkModel] = {}
    tags: dict[str, str]
    allowed_actions: list[str]
    start_at: str | None


class PlannedCallModel(ResponseModel):
    step: str
    method: str
    path: str
    body: JsonValue


class CompensationPlanResponse(ResponseModel):
    """The calls of a compensation in the order in which they would be sent."""

    calls: list[PlannedCallModel]
    cannot_undo: list[str]


class CompensateResponse(RootModel[SagaStatusResponse | CompensationPlanResponse]):
    """The status of the saga, or the plan of a dry run."""


class EventModel(ResponseModel):
    version: int
    seq: int
    epoch: int
    type: str
    recorded_at: str
    actor: str | None = None
    reason: str | None = None
    data: dict[str, JsonValue]


class EventsResponse(ResponseModel):
    events: list[EventModel]


class SagaSummaryModel(ResponseModel):
    saga_id: str
    saga_type: str
    definition_version: int
    entity_id: int | str
    status: SagaStatus
    current_step: str | None
    error: str | None
    parked: ParkedModel | None
    paused: bool
    tags: dict[str, str]
    version: int
    created_at: str
    updated_at: str


class SagasResponse(ResponseModel):
    """A page of sagas, newest first; parked sagas in the order of their parking."""

    sagas: list[SagaSummaryModel]
    next_cursor: str | None


class FindingModel(ResponseModel):
    code: str
    pointer: str
    detail: str
    severity: Severity


class FindingsResponse(ResponseModel):
    findings: list[FindingModel]


class RegisteredDefinitionResponse(DefinitionModel):
    """The document of the definition, with findings for its author."""

    findings: list[FindingModel]


class DefinitionSummaryModel(ResponseModel):
    saga: str
    version: int
    description: str | None
    steps: list[str]


class DefinitionsResponse(ResponseModel):
    definitions: list[DefinitionSummaryModel]


class CheckModel(ResponseModel):
    status: Literal["pass", "warn", "fail"]
    detail: str


class HealthResponse(ResponseModel):
    status: Literal["pass", "warn", "fail"]
    checks: dict[str, CheckModel]


class BulkDryRunResponse(ResponseModel):
    """The sagas that a filter matches: their number, and the first of them."""

    matched: int
    saga_ids: list[str]


class BulkJobResponse(ResponseModel):
    """A bulk job. `refusals` are reasons by saga: the first hundred; `/bulk/{job_id}/sagas` has
    all. If a newer version of the service has recorded the job, `note` says so, and `name`,
    `action`, `filter`, `reason` and `actor` are null."""

    job_id: str
    name: str | None
    action: str | None
    filter: dict[str, Any] | None
    reason: str | None
    actor: str | None
    note: str | None
    status: Literal["running", "done", "cancelled"]
    matched: int
    done: int
    refused: int
    refusals: dict[str, str]
    started_at: str
    finished_at: str | None
    cancelled_by: str | None


class BulkJobsResponse(ResponseModel):
    """Bulk jobs, newest first."""

    jobs: list[BulkJobResponse]
    next_cursor: str | None


class BulkSagaModel(ResponseModel):
    """The outcome of one saga; `left`: the job was cancelled before the saga got the command."""

    saga_id: str
    outcome: Literal["pending", "done", "refused", "left"]
    refusal: str | None
    ended_at: str | None


class BulkSagasResponse(ResponseModel):
    """The sagas of a bulk job, in order of their ids."""

    sagas: list[BulkSagaModel]
    next_cursor: str | None


class ShardHeadModel(ResponseModel):
    seq: int
    epoch: int
    hash: str


class BadEventModel(ResponseModel):
    shard_id: int
    seq: int
    saga_id: str
    why: str


class AuditResponse(ResponseModel):
    """The result of an audit. A later audit must still find the `heads`, which are by shard."""

    valid: bool
    events: int | None = None
    heads: dict[str, ShardHeadModel] | None = None
    first_bad: BadEventModel | None = None


class ProblemErrorModel(ResponseModel):
    pointer: str
    detail: str
    code: str


class ProblemDetails(ResponseModel):
    """Problem details (RFC 9457). `retryable`: the same request may succeed later."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    retryable: bool
    errors: list[ProblemErrorModel] = []
    allowed_actions: list[str] = []
    known: list[str] = []
    parent: str | None = None
    children: list[str] = []


class FeedEventModel(EventModel):
    saga_id: str


class FeedResponse(ResponseModel):
    """A page of events; those of one saga are in order. `next` is the `after` of the next page."""

    events: list[FeedEventModel]
    next: str


class DurationModel(ResponseModel):
    """The time from the start of sagas to their rest, in seconds."""

    p50: float
    p95: float


class SagaSampleModel(ResponseModel):
    """Sagas at rest. A saga that is at rest and not completed has failed."""

    rested: int
    failed: int
    failure_rate: float
    duration_seconds: DurationModel


class SagaTypeStatsModel(ResponseModel):
    saga_type: str
    counts: dict[SagaStatus, int]
    lately: SagaSampleModel | None


class StepStatsModel(ResponseModel):
    """The recorded outcomes of a step; `failure_rate` is of those that ended."""

    saga_type: str
    step: str
    succeeded: int
    rejected: int
    unknown: int
    not_sent: int
    backed_off: int
    failure_rate: float | None
    compensated: int
    compensation_failed: int


class StatsResponse(ResponseModel):
    """Statistics. `totals` and `counts` are of all sagas, the rest of those after `since`."""

    totals: dict[SagaStatus, int]
    since: str
    sagas: list[SagaTypeStatsModel]
    steps: list[StepStatsModel]


class ParticipantStatsModel(ResponseModel):
    """The calls of this process to a participant: in flight, queued, and completed by outcome."""

    name: str
    url: str | None
    in_flight: int
    waiting: int
    outcomes: dict[Outcome, int]
    breaker: CircuitState


class ParticipantsResponse(ResponseModel):
    participants: list[ParticipantStatsModel]
