"""What is asked of a saga through another node counts once, though its own node dies in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from saga_orchestrator.tests.acceptance.nodes.errand_sagas import etag_of, start_errand
from saga_orchestrator.tests.acceptance.nodes.node_group import NodeGroup

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("verb", "recorded", "demands_version"),
    [("signals/approval", "SignalReceived", False), ("pause", "SagaPaused", True)],
)
def test_a_message_that_was_taken_and_not_answered_counts_once(
    pair: NodeGroup, verb: str, recorded: str, demands_version: bool
) -> None:
    """Its node is killed when the append has landed, while the answer waits in the database."""
    database = pair.deployment.database
    with pair.clients() as (here, there), ThreadPoolExecutor(1) as clients:
        saga_id = start_errand(there)
        headers = {"If-Match": etag_of(here, saga_id)} if demands_version else {}
        with database.locked() as appends:
            path = f"/sagas/{saga_id}/{verb}"
            asked = clients.submit(here.post, path, json={}, headers=headers)
            database.await_blocked_writers()
            with database.replies_locked() as answers:
                appends.release()
                held = database.await_blocked_replies()
                pair.other.kill()
                database.terminate(held)
                pair.await_shares(64)
                answers.release()
        answer = asked.result()

    types = database.event_types(saga_id)
    assert answer.status_code == 200, answer.text
    assert (types.count(recorded), types.count("ForwardedInputApplied")) == (1, 1)
    assert pair.deployment.run_doctor().violations == []
