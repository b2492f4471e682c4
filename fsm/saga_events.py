"""What can be recorded of a saga as a whole: each fires a trigger of the saga's machine."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from msgspec import Struct, field

from .strict_json import Json, JsonObject


class Cause(StrEnum):
    """Why a saga turned round."""

    STEP_FAILED = "step_failed"
    DEADLINE = "deadline"
    REQUEST = "request"


class SagaEvent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fires `trigger` on the saga's machine."""

    trigger: ClassVar[str]
    schema_version: ClassVar[int] = 1


class Parent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The step that a child saga is. `depth` counts the sagas above the child."""

    saga_id: str
    step: str
    depth: int = 1


class SagaStarted(SagaEvent, frozen=True, kw_only=True):
    """Always the first. `input` is what expressions read; a `start_at` is waited for.

    Without `input_checked` nobody has looked whether the input has what expressions need, and null
    stands for what it lacks.
    """

    schema_version = 2
    saga_type: str
    definition_version: int
    entity_id: Json
    input: JsonObject
    tags: dict[str, str] = field(default_factory=dict)
    deadline: datetime | None = None
    start_at: datetime | None = None
    callback_url: str | None = None
    actor: str | None = None
    parent: Parent | None = None
    input_checked: bool = True

    @property
    def trigger(self) -> str:  # type: ignore[override]
        return "begin" if self.start_at is None else "schedule"


class SagaFellDue(SagaEvent, frozen=True, kw_only=True):
    """The time that a start was put off to has come."""

    trigger = "begin"


class CompensationRequested(SagaEvent, frozen=True, kw_only=True):
    """Somebody asked while a pivot was in doubt: its outcome decides."""

    trigger = "ask_back"
    actor: str | None = None
    reason: str | None = None


class CompensationStarted(SagaEvent, frozen=True, kw_only=True):
    trigger = "turn_back"
    cause: Cause
    error: str
    actor: str | None = None
    reason: str | None = None


class SagaCompleted(SagaEvent, frozen=True, kw_only=True):
    trigger = "complete"


class SagaCompensated(SagaEvent, frozen=True, kw_only=True):
    trigger = "finish_undo"


class SagaParked(SagaEvent, frozen=True, kw_only=True):
    """`not_done` and `not_undone` name steps, in the order of the definition.

    `without_output` are the done steps whose output is lost, or lacks what was needed; None where
    an event of schema version 1 does not say.
    """

    trigger = "park"
    schema_version = 2
    why: str
    not_done: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()
    without_output: tuple[str, ...] | None = ()


class CallbackDelivered(SagaEvent, frozen=True, kw_only=True):
    """Whoever asked for it has been told that the saga rested at `rested_version`."""

    trigger = "tell"
    rested_version: int


class SignalReceived(SagaEvent, frozen=True, kw_only=True):
    """Kept until a step waits for it. `key` is what makes a repeated one known."""

    trigger = "hear"
    name: str
    body: Json = None
    key: str | None = None
    actor: str | None = None


class MessageTaken(SagaEvent, frozen=True, kw_only=True):
    """The events before it in the same append came of a message, which is not to count twice."""

    trigger = "take"
    message_id: str


class SagaUnparked(SagaEvent, frozen=True, kw_only=True):
    """An operator has dealt with what it was parked for. `back`: it was on its way back.

    `accepted` are the steps whose lost outputs it goes on without, `undo_again` those whose failed
    compensations are tried again. None, in events of schema version 1, means all of them, and of
    lost outputs also all later ones.
    """

    schema_version = 2
    back: bool
    actor: str | None = None
    reason: str | None = None
    accepted: tuple[str, ...] | None = ()
    undo_again: tuple[str, ...] | None = ()

    @property
    def trigger(self) -> str:  # type: ignore[override]
        return "unpark_back" if self.back else "unpark_forward"


class RetryRequested(SagaEvent, frozen=True, kw_only=True):
    """An operator does not want to wait for the next try, of `step` or of all."""

    trigger = "hurry"
    step: str | None = None
    actor: str | None = None
    reason: str | None = None


class SagaPaused(SagaEvent, frozen=True, kw_only=True):
    """Nothing new is sent from here on, and its clocks stand still.

    `by_parent`: because its parent is paused, until that goes on.
    """

    trigger = "pause"
    actor: str | None = None
    reason: str | None = None
    by_parent: bool = False


class SagaResumed(SagaEvent, frozen=True, kw_only=True):
    """Its times are put off by as long as it was paused. `by_parent` as of the pause it ends."""

    trigger = "resume"
    actor: str | None = None
    reason: str | None = None
    by_parent: bool = False


class SagaAbandoned(SagaEvent, frozen=True, kw_only=True):
    """Given up by a person: nothing is done or undone any more, and this is what stays.

    `children` are the child sagas that were under way; they are left, or else cancelled.
    """

    trigger = "abandon"
    reason: str
    not_done: tuple[str, ...] = ()
    not_undone: tuple[str, ...] = ()
    actor: str | None = None
    children: tuple[str, ...] = ()
    children_cancelled: bool = False
