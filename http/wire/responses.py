"""What clients are sent, as the API document describes it.

Nothing is built through these models, answers are made of the views: the models say what a view
promises, and a test reads every answer with them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, RootModel

from ...fsm.call_outcome import Outcome
from ...fsm.definitions.findings import Severity
from ...fsm.definitions.schema import DefinitionModel
from ...fsm.machines import SagaStatus, StepStatus
from ...fsm.runtime.calls.circuit_breaker import CircuitState


class ResponseModel(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OutputLinkModel(ResponseModel):
    """Of an output that is too large to stand in an answer: its size as JSON, and where it is."""

    bytes: int
    href: str


class OutputResponse(RootModel[JsonValue]):
    """Whatever the step has said."""


class StartResponse(ResponseModel):
    """An output that is too large is not in `outputs` but in `outputs_by_link`."""

    success: bool
    saga_id: str
    saga_type: str
    entity_id: int | str
    status: SagaStatus
    error: str | None
    outputs: dict[str, JsonValue]
    outputs_by_link: dict[str, OutputLinkModel] = {}


class StepStatusModel(ResponseModel):
    """With an `output_link`, `output` is null: it is too large."""

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
    """Everything: the status, what it came from, and what people can ask of it now."""

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
    """The calls in the order they would be sent."""

    calls: list[PlannedCallModel]
    cannot_undo: list[str]


class CompensateResponse(RootModel[SagaStatusResponse | CompensationPlanResponse]):
    """The plan answers a dry run."""


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
    """Newest first; of the parked the one that was parked first."""

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
    """The document, with what its author should know."""

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
    """`saga_ids` are the first of them."""

    matched: int
    saga_ids: list[str]


class BulkJobResponse(ResponseModel):
    """`refusals` say why, by saga; not all of them are kept."""

    job_id: str
    action: str
    matched: int
    done: int
    refused: int
    refusals: dict[str, str]
    started_at: str
    finished_at: str | None


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
    """`heads` by shard: what a later look must still find."""

    valid: bool
    events: int | None = None
    heads: dict[str, ShardHeadModel] | None = None
    first_bad: BadEventModel | None = None


class ProblemErrorModel(ResponseModel):
    pointer: str
    detail: str
    code: str


class ProblemDetails(ResponseModel):
    """RFC 9457. `retryable`: the same request may succeed later."""

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
    """Events of one saga are in order. `next` is for `after`, also when this page is empty."""

    events: list[FeedEventModel]
    next: str


class DurationModel(ResponseModel):
    """From the start until the saga rested, in seconds."""

    p50: float
    p95: float


class SagaSampleModel(ResponseModel):
    """Of those that rest: who rests otherwise than completed has failed."""

    rested: int
    failed: int
    failure_rate: float
    duration_seconds: DurationModel


class SagaTypeStatsModel(ResponseModel):
    saga_type: str
    counts: dict[SagaStatus, int]
    lately: SagaSampleModel | None


class StepStatsModel(ResponseModel):
    """How often each was recorded; `failure_rate` of those that came to an end."""

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
    """`totals` and `counts` are of all sagas; the rest is a sample of the newest, after `since`."""

    totals: dict[SagaStatus, int]
    since: str
    sagas: list[SagaTypeStatsModel]
    steps: list[StepStatsModel]


class ParticipantStatsModel(ResponseModel):
    """Calls of this process: in flight, waiting for their turn, and answered since it began."""

    name: str
    url: str | None
    in_flight: int
    waiting: int
    outcomes: dict[Outcome, int]
    breaker: CircuitState


class ParticipantsResponse(ResponseModel):
    participants: list[ParticipantStatsModel]
