from __future__ import annotations

from datetime import timedelta

import pytest
from saga_orchestrator.fsm.runtime.completion_webhooks import PendingWebhooks
from saga_orchestrator.fsm.runtime.health import CheckResult, check_participants, check_webhooks


@pytest.mark.parametrize(
    "pending", [None, PendingWebhooks(900, timedelta(minutes=4, seconds=59), "s1")]
)
def test_recent_pending_webhooks_are_no_warning(pending: PendingWebhooks | None) -> None:
    assert check_webhooks(pending) == CheckResult(True)


@pytest.mark.parametrize(
    ("pending", "detail"),
    [
        (
            PendingWebhooks(1, timedelta(minutes=5), "s1"),
            "1 webhook is pending, that of saga s1 for 5 minutes",
        ),
        (
            PendingWebhooks(7, timedelta(hours=2), "s1"),
            "7 webhooks are pending, that of saga s1 for 120 minutes",
        ),
    ],
)
def test_old_pending_webhooks_are_a_warning(pending: PendingWebhooks, detail: str) -> None:
    check = check_webhooks(pending)

    assert (check.ok, check.warns) == (True, True)
    assert check.detail.startswith(detail)


def test_calls_without_a_url_are_a_warning_that_names_the_setting() -> None:
    assert check_participants({}) == CheckResult(True)

    check = check_participants({"thing-service": 2, "bank": 1})

    assert (check.ok, check.warns) == (True, True)
    bank, thing = check.detail.split(" | ")
    assert bank.startswith("1 saga waits: no URL is known for participant bank: set its url in")
    assert "SAGA_PARTICIPANTS_FILE" in bank
    assert "ends in -service" in bank
    assert thing.startswith(
        "2 sagas wait: no URL is known for participant thing-service: set THING"
    )
    assert "THING_SERVICE_URL" in thing
