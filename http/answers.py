"""What clients are sent, as the API document describes it.

Nothing is built through these models, answers are made of the views: the models say what a view
promises, and a test reads every answer with them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue, RootModel

from ..fsm.errors import Severity
from ..fsm.language import DefinitionModel
from ..fsm.machines import SagaStatus, StepStatus


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OutputLinkAnswer(Answer):
    """Of an output that is too large to stand in an answer: its size as JSON, and where it is."""

    bytes: int
    href: str


class OutputAnswer(RootModel[JsonValue]):
    """Whatever the step has said."""


class StartAnswer(Answer):
    """An output that is too large is not in `outputs` but in `outputs_by_link`."""

    success: bool
    saga_id: str
    saga_type: str
    entity_id: int | str
    status: SagaStatus
    error: str | None
    outputs: dict[str, JsonValue]
    outputs_by_link: dict[str, OutputLinkAnswer] = {}


class StepStatusAnswer(Answer):
    """With an `output_link`, `output` is null: it is too large."""

    name: str
    status: StepStatus
    attempts: int
    started_at: str | None
    finished_at: str | None
    next_attempt_at: str | None
    last_error: str | None
    output: JsonValue
    output_link: OutputLinkAnswer | None = None


class ParkedAnswer(Answer):
    reason: str
    since: str
    not_done: list[str]
    not_undone: list[str]


class SagaStatusAnswer(Answer):
    saga_id: str
    saga_type: str
    definition_version: int
    entity_id: int | str
    status: SagaStatus
    current_step: str | None
    error: str | None
    success: bool
    steps: list[StepStatusAnswer]
    remaining_steps: list[str]
    version: int
    deadline: str | None
    created_at: str
    updated_at: str
    paused: bool
    parked: ParkedAnswer | None


class SagaAnswer(SagaStatusAnswer):
    """Everything: the status, what it came from, and what people can ask of it now."""

    definition: DefinitionModel
    input: dict[str, JsonValue]
    outputs: dict[str, JsonValue]
    outputs_by_link: dict[str, OutputLinkAnswer] = {}
    tags: dict[str, str]
    allowed_actions: list[str]
    start_at: str | None


class PlannedCallAnswer(Answer):
    step: str
    method: str
    path: str
    body: JsonValue


class UndoPlanAnswer(Answer):
    """The calls in the order they would be sent."""

    calls: list[PlannedCallAnswer]
    cannot_undo: list[str]


class CompensationAnswer(RootModel[SagaStatusAnswer | UndoPlanAnswer]):
    """The plan answers a dry run."""


class EventAnswer(Answer):
    version: int
    seq: int
    epoch: int
    type: str
    recorded_at: str
    actor: str | None = None
    reason: str | None = None
    data: dict[str, JsonValue]


class EventsAnswer(Answer):
    events: list[EventAnswer]


class SagaSummaryAnswer(Answer):
    saga_id: str
    saga_type: str
    definition_version: int
    entity_id: int | str
    status: SagaStatus
    current_step: str | None
    error: str | None
    parked: ParkedAnswer | None
    paused: bool
    tags: dict[str, str]
    version: int
    created_at: str
    updated_at: str


class SagasAnswer(Answer):
    """Newest first; of the parked the one that was parked first."""

    sagas: list[SagaSummaryAnswer]
    next_cursor: str | None


class FindingAnswer(Answer):
    code: str
    pointer: str
    detail: str
    severity: Severity


class FindingsAnswer(Answer):
    findings: list[FindingAnswer]


class RegisteredAnswer(DefinitionModel):
    """The document, with what its author should know."""

    findings: list[FindingAnswer]


class DefinitionSummaryAnswer(Answer):
    saga: str
    version: int
    description: str | None
    steps: list[str]


class DefinitionsAnswer(Answer):
    definitions: list[DefinitionSummaryAnswer]


class CheckAnswer(Answer):
    status: Literal["pass", "warn", "fail"]
    detail: str


class HealthAnswer(Answer):
    status: Literal["pass", "warn", "fail"]
    checks: dict[str, CheckAnswer]


class BulkMatchAnswer(Answer):
    """`saga_ids` are the first of them."""

    matched: int
    saga_ids: list[str]


class BulkJobAnswer(Answer):
    """`refusals` say why, by saga; not all of them are kept."""

    job_id: str
    action: str
    matched: int
    done: int
    refused: int
    refusals: dict[str, str]
    started_at: str
    finished_at: str | None


class HeadAnswer(Answer):
    seq: int
    epoch: int
    hash: str


class BadEventAnswer(Answer):
    shard_id: int
    seq: int
    saga_id: str
    why: str


class AuditAnswer(Answer):
    """`heads` by shard: what a later look must still find."""

    valid: bool
    events: int | None = None
    heads: dict[str, HeadAnswer] | None = None
    first_bad: BadEventAnswer | None = None


class ProblemErrorAnswer(Answer):
    pointer: str
    detail: str
    code: str


class ProblemAnswer(Answer):
    """RFC 9457. `retryable`: the same request may succeed later."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    retryable: bool
    errors: list[ProblemErrorAnswer] = []
    allowed_actions: list[str] = []
    known: list[str] = []
    parent: str | None = None
    children: list[str] = []
