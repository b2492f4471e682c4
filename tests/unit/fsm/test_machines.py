from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from saga_orchestrator.fsm.codec import TYPES
from saga_orchestrator.fsm.machines import (
    SAGA_TRANSITIONS,
    STEP_TRANSITIONS,
    IllegalTransition,
    SagaStatus,
    StepStatus,
    next_saga_status,
    next_step_status,
)

# The arrows of section 2 of the semantics, written down a second time: what is neither here nor
# there cannot happen to a saga.
SAGA_ARROWS: dict[tuple[str, str], str] = {
    ("pending", "schedule"): "pending",
    ("pending", "begin"): "running",
    ("running", "complete"): "completed",
    ("running", "request_compensation"): "running",
    ("pending", "start_compensation"): "compensating",
    ("running", "start_compensation"): "compensating",
    ("completed", "start_compensation"): "compensating",
    ("parked", "start_compensation"): "compensating",
    ("compensating", "finish_compensation"): "compensated",
    ("running", "park"): "parked",
    ("compensating", "park"): "parked",
    ("parked", "unpark_running"): "running",
    ("parked", "unpark_compensating"): "compensating",
    ("pending", "abandon"): "abandoned",
    ("running", "abandon"): "abandoned",
    ("compensating", "abandon"): "abandoned",
    ("parked", "abandon"): "abandoned",
    ("running", "request_retry"): "running",
    ("compensating", "request_retry"): "compensating",
    **{
        (status, trigger): status
        for status in ("pending", "running", "compensating")
        for trigger in ("pause", "resume", "receive_signal")
    },
    ("parked", "receive_signal"): "parked",
    **{(status, "record_webhook"): str(status) for status in SagaStatus},
    **{(status, "apply_forwarded"): str(status) for status in SagaStatus},
}
STEP_ARROWS: dict[tuple[str, str], str] = {
    ("pending", "skip"): "skipped",
    ("backing_off", "query_status"): "calling",
    ("waiting", "query_status"): "calling",
    ("pending", "call"): "calling",
    ("backing_off", "call"): "calling",
    ("rejected", "call"): "calling",
    ("unknown", "call"): "calling",
    ("not_sent", "call"): "calling",
    ("calling", "accept"): "waiting",
    ("pending", "wait"): "waiting",
    ("waiting", "wait"): "waiting",
    ("rejected", "wait"): "waiting",
    ("unknown", "wait"): "waiting",
    ("not_sent", "wait"): "waiting",
    ("waiting", "succeed"): "succeeded",
    ("waiting", "reject"): "rejected",
    ("waiting", "reject_uncertain"): "unknown",
    ("waiting", "mark_unknown"): "unknown",
    ("calling", "succeed"): "succeeded",
    **{
        ("succeeded", trigger): "succeeded"
        for trigger in ("call", "query_status", "succeed", "miss_output")
    },
    ("succeeded", "resolve_done"): "succeeded",
    ("succeeded", "revoke"): "rejected",
    ("calling", "reject"): "rejected",
    ("calling", "reject_uncertain"): "unknown",
    ("calling", "back_off"): "backing_off",
    ("pending", "back_off"): "backing_off",
    ("backing_off", "back_off"): "backing_off",
    ("calling", "mark_unknown"): "unknown",
    ("backing_off", "mark_unknown"): "unknown",
    ("calling", "mark_not_sent"): "not_sent",
    ("backing_off", "mark_not_sent"): "not_sent",
    ("succeeded", "compensate"): "compensating",
    ("unknown", "compensate"): "compensating",
    ("rejected", "compensate"): "compensating",
    ("compensation_backing_off", "compensate"): "compensating",
    ("compensation_failed", "compensate"): "compensating",
    ("compensating", "succeed_compensation"): "compensated",
    ("succeeded", "imply_compensation"): "compensated",
    ("unknown", "imply_compensation"): "compensated",
    ("rejected", "imply_compensation"): "compensated",
    ("compensating", "back_off_compensation"): "compensation_backing_off",
    ("compensating", "fail_compensation"): "compensation_failed",
    **{
        (status, f"resolve_{resolution}"): to
        for status in ("unknown", "rejected", "not_sent")
        for resolution, to in (("done", "succeeded"), ("not_done", "not_sent"))
    },
    ("compensation_failed", "resolve_undone"): "resolved",
    ("succeeded", "resolve_undone"): "resolved",
    ("unknown", "resolve_undone"): "resolved",
    ("calling", "buffer_callback"): "calling",
    ("backing_off", "buffer_callback"): "backing_off",
    **{(status, "ignore_late_reply"): str(status) for status in StepStatus},
}


FIRED_BY_WHAT_THE_EVENT_SAYS = {
    *("schedule", "reject_uncertain", "revoke", "unpark_running", "unpark_compensating"),
    *("resolve_done", "resolve_not_done", "resolve_undone"),
}


def _triggers(transitions: Sequence[Any]) -> list[str]:
    return list(dict.fromkeys(trigger for trigger, *_ in transitions))


SAGA_TRIGGERS = _triggers(SAGA_TRANSITIONS)
STEP_TRIGGERS = _triggers(STEP_TRANSITIONS)
SAGA_PAIRS = list(product(SagaStatus, SAGA_TRIGGERS))
STEP_PAIRS = list(product(StepStatus, STEP_TRIGGERS))


@pytest.mark.parametrize(("status", "trigger"), SAGA_PAIRS)
def test_every_trigger_of_a_saga_leads_where_the_semantics_say(
    status: SagaStatus, trigger: str
) -> None:
    if (status, trigger) in SAGA_ARROWS:
        assert next_saga_status(status, trigger) == SAGA_ARROWS[status, trigger]
    else:
        with pytest.raises(IllegalTransition):
            next_saga_status(status, trigger)


@pytest.mark.parametrize(("status", "trigger"), STEP_PAIRS)
def test_every_trigger_of_a_step_leads_where_the_semantics_say(
    status: StepStatus, trigger: str
) -> None:
    if (status, trigger) in STEP_ARROWS:
        assert next_step_status(status, trigger) == STEP_ARROWS[status, trigger]
    else:
        with pytest.raises(IllegalTransition):
            next_step_status(status, trigger)


def test_every_arrow_has_its_trigger() -> None:
    assert {trigger for _, trigger in SAGA_ARROWS} == set(SAGA_TRIGGERS)
    assert {trigger for _, trigger in STEP_ARROWS} == set(STEP_TRIGGERS)


def test_an_end_absorbs() -> None:
    leaving = {status for (status, _), to in SAGA_ARROWS.items() if status != to}
    leaving_step = {status for (status, _), to in STEP_ARROWS.items() if status != to}

    assert leaving == {"pending", "running", "compensating", "completed", "parked"}
    assert leaving_step.isdisjoint({"compensated", "resolved", "skipped"})


def test_every_event_fires_a_trigger_that_its_machine_has() -> None:
    triggers = {*SAGA_TRIGGERS, *STEP_TRIGGERS}
    fired = {kind.trigger for kind in TYPES.values() if isinstance(kind.trigger, str)}

    assert fired | FIRED_BY_WHAT_THE_EVENT_SAYS == triggers


@pytest.mark.parametrize("status", SagaStatus)
def test_a_saga_rests_where_nothing_happens_of_itself(status: SagaStatus) -> None:
    assert status.is_at_rest is (status in ("completed", "compensated", "parked", "abandoned"))


def test_unknown_trigger_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        next_saga_status(SagaStatus.RUNNING, "explode")
