"""What clients were answered, and secrets, against the log."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.events import SagaCompleted
from saga_orchestrator.fsm.formats.redaction import secret_forms
from saga_orchestrator.fsm.invariants import (
    Breach,
    ClientAck,
    acknowledgements_hold,
    one_key_one_saga,
    secrets_are_absent,
)
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.testing import NOON, SAGA_ID, define
from saga_orchestrator.tests.unit.fsm.invariants.histories import called, done, history_of_events

TWO = define("book", "pay")
COMPLETED = history_of_events(
    TWO, called("book"), done("book"), called("pay"), done("pay"), SagaCompleted()
)


def answer(
    saga_id: str = SAGA_ID,
    *,
    status: SagaStatus | int | None = None,
    version: int | None = None,
    request: str | None = None,
) -> ClientAck:
    return ClientAck(at=NOON, saga_id=saga_id, status=status, version=version, request=request)


@pytest.mark.parametrize(
    "kept",
    [
        answer(),
        answer(status=202),
        answer(status=SagaStatus.RUNNING),
        answer(status=SagaStatus.COMPLETED, version=6),
        answer(status=SagaStatus.RUNNING, version=5),
    ],
)
def test_acknowledgement_in_the_log_holds(kept: ClientAck) -> None:
    assert list(acknowledgements_hold(COMPLETED, [kept])) == []


@pytest.mark.parametrize(
    ("lost", "detail"),
    [
        (answer(version=7), "version 7 was acknowledged, and the log ends at 6"),
        (
            answer(status=SagaStatus.PARKED),
            "parked was acknowledged, and the saga was not at any version",
        ),
        (
            answer(status=SagaStatus.COMPLETED, version=5),
            "completed was acknowledged, and the saga was not at version 5",
        ),
    ],
)
def test_acknowledgement_that_the_log_lacks_is_a_breach(lost: ClientAck, detail: str) -> None:
    assert [breach.detail for breach in acknowledgements_hold(COMPLETED, [lost])] == [detail]


def test_request_that_was_answered_with_two_sagas_is_a_violation() -> None:
    first, again = answer(request="order-1"), answer(request="order-1")
    other = answer(request="order-1", saga_id="another")

    assert list(one_key_one_saga([first, again, answer(), answer(saga_id="another")])) == []
    assert [
        (violation.code, violation.saga_id) for violation in one_key_one_saga([first, other])
    ] == [("I13", "another")]


@pytest.mark.parametrize(
    "payload",
    [
        b'{"error":"Bearer s3cret-token"}',
        b'{"error":"said s3cret-token"}',
        b'{"error":"7333637265742d746f6b656e"}',
        b'{"error":"QmVhcmVyIHMzY3JldC10b2tlbg=="}',
    ],
)
def test_secret_in_an_event_is_found_in_every_form(payload: bytes) -> None:
    secrets = secret_forms([b"Bearer s3cret-token"])

    found = list(secrets_are_absent([(1, b"{}"), (2, payload)], secrets))

    assert found == [Breach(2, "it contains a secret")]
    assert list(secrets_are_absent([(1, b'{"error":"Bearer"}')], secrets)) == []
