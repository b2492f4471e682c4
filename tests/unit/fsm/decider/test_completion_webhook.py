"""R7, R8: sagas at rest, and the webhook that reports their rest."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.call_outcome import OutputLoss
from saga_orchestrator.fsm.events import CompletionWebhookDelivered
from saga_orchestrator.fsm.inputs import TimerFired, WebhookDelivered
from saga_orchestrator.fsm.testing import (
    DONE,
    REJECTED,
    UNKNOWN,
    Scenario,
    action_answer,
    compensation_answer,
    done_without_output,
    given,
)
from saga_orchestrator.tests.unit.fsm.decider.scenarios import MINUTE, TWO, all_done

ENDS = (
    all_done(given(TWO), "book", "pay"),
    given(TWO).when(action_answer("book", REJECTED)),
    given(TWO).when(action_answer("book", done_without_output(OutputLoss.TOO_LARGE))),
)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: str(end.state.status))
def test_saga_at_rest_makes_no_more_decisions(end: Scenario) -> None:
    for input_ in (
        action_answer("book", UNKNOWN),
        compensation_answer("pay", DONE),
        TimerFired(),
    ):
        end.when(input_, after=MINUTE).then_nothing_happened()


def test_delivery_of_the_webhook_is_recorded_and_changes_nothing_else() -> None:
    end = ENDS[0]
    version = end.state.version

    case = end.when(WebhookDelivered(rest_version=version))

    case.then(CompletionWebhookDelivered(rested_version=version)).then_calls().then_status(
        "completed"
    )
    assert (case.state.rest_version, case.state.notified_version) == (version, version)
