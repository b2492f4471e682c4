"""kill -9 at every point of an order, and at every point of its way back.

An answer and the intent that follows from it are one append, so "the answer is not stored" of one
call is "the intent is not committed" of the next. An append is stopped in the database, from
outside: by a lock on the table. What waits there when its process is killed is then terminated
(never stored), or let go on (stored, with nobody left who knows).
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from saga_orchestrator.tests.acceptance.deployment import (
    CANCEL,
    CONFIRM,
    CREATE,
    PAY,
    Deployment,
    Outcome,
)
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint

pytestmark = pytest.mark.slow

FORWARD = (CREATE, PAY, CONFIRM)
AND_BACK = (CREATE, PAY, CANCEL)


def twice(call: str, calls: Sequence[str]) -> list[str]:
    """`calls` in order, and that one sent again. Nothing else may have left before the kill."""
    return [sent for each in calls for sent in ([each, each] if each == call else [each])]


def kill_while_its_answer_is_stored(
    deployment: Deployment, entity_id: int, call: str, *, stored: bool
) -> None:
    with deployment.proxy.hold(call, HoldPoint.EFFECT) as hold:
        deployment.submit_start(entity_id)
        hold.await_call()
        with deployment.database.locked() as lock:
            hold.release()
            blocked = deployment.database.await_blocked_writers()
            deployment.service.kill()
            if not stored:
                deployment.database.terminate(blocked)
            lock.release()
            deployment.database.await_end_of(blocked)


def kill_while_the_start_is_stored(deployment: Deployment, entity_id: int, *, stored: bool) -> None:
    with deployment.database.locked() as lock:
        unanswered = deployment.submit_start(entity_id)
        blocked = deployment.database.await_blocked_writers()
        deployment.service.kill()
        if not stored:
            deployment.database.terminate(blocked)
        lock.release()
        deployment.database.await_end_of(blocked)
    assert unanswered.exception() is not None, "the client saw no answer"


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("call", FORWARD)
def test_kill_while_a_reply_is_stored_does_not_change_the_outcome(
    deployment: Deployment, undisturbed: Outcome, call: str, stored: bool
) -> None:
    entity_id = deployment.new_order()
    kill_while_its_answer_is_stored(deployment, entity_id, call, stored=stored)

    deployment.service.start()

    assert deployment.outcome_of(entity_id) == undisturbed
    sent = [*FORWARD] if stored else twice(call, FORWARD)
    assert deployment.calls_in_order(deployment.saga_id(entity_id)) == sent
    assert deployment.database.broken_event() is None


@pytest.mark.parametrize("stored", [False, True])
def test_start_repeated_after_a_kill_makes_one_saga(
    deployment: Deployment, undisturbed: Outcome, stored: bool
) -> None:
    entity_id = deployment.new_order()
    kill_while_the_start_is_stored(deployment, entity_id, stored=stored)

    deployment.service.start()

    assert deployment.outcome_of(entity_id) == undisturbed
    assert deployment.database.sagas_of(entity_id) == [deployment.saga_id(entity_id)]
    assert deployment.calls_in_order(deployment.saga_id(entity_id)) == [*FORWARD]
    assert deployment.database.broken_event() is None


@pytest.mark.parametrize(("call", "stored"), [(PAY, True), (CANCEL, False), (CANCEL, True)])
def test_kill_while_a_reply_to_a_compensation_is_stored_does_not_change_the_outcome(
    deployment: Deployment, undisturbed_decline: Outcome, call: str, stored: bool
) -> None:
    entity_id = deployment.new_order()
    with deployment.declining():
        kill_while_its_answer_is_stored(deployment, entity_id, call, stored=stored)

    deployment.service.start()

    assert deployment.outcome_of(entity_id) == undisturbed_decline
    sent = [*AND_BACK] if stored else twice(call, AND_BACK)
    assert deployment.calls_in_order(deployment.saga_id(entity_id)) == sent
    assert deployment.database.broken_event() is None


def test_refusal_lost_in_a_kill_is_compensated_by_key(
    deployment: Deployment, undisturbed_decline: Outcome
) -> None:
    """The repeated call is refused too, but the first may have worked: the payment is undone by the
    key that may have made it, and then the saga rests as it would have without the crash."""
    entity_id = deployment.new_order()
    with deployment.declining():
        kill_while_its_answer_is_stored(deployment, entity_id, PAY, stored=False)
        deployment.service.start()
        ending = deployment.outcome_of(entity_id)

    assert ending.steps[1] == ("process_payment", "compensated", 1)
    assert (ending.status, ending.parked) == ("compensated", None)
    assert ending.orders == undisturbed_decline.orders == ("CANCELLED",)
    assert ending.payments == undisturbed_decline.payments == ()
    asked = [*AND_BACK[:2], PAY, "process_payment/compensation", CANCEL]
    assert deployment.calls_in_order(deployment.saga_id(entity_id)) == asked
    assert deployment.database.broken_event() is None
