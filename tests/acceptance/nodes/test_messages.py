"""A command forwarded by another node counts once, even if the owner of the saga dies meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from saga_orchestrator.tests.acceptance.nodes.errand_sagas import etag_of, start_errand
from saga_orchestrator.tests.acceptance.nodes.node_group import NodeGroup

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("deferring")
@pytest.mark.parametrize(
    ("command", "recorded", "requires_version"),
    [("signals/approval", "SignalReceived", False), ("pause", "SagaPaused", True)],
)
def test_command_applied_by_a_node_that_dies_before_its_reply_counts_once(
    pair: NodeGroup, command: str, recorded: str, requires_version: bool
) -> None:
    """The owner is killed after its append has committed, while the reply waits in the database."""
    database = pair.deployment.database
    with pair.clients() as (here, there), ThreadPoolExecutor(1) as clients:
        saga_id = start_errand(there)
        headers = {"If-Match": etag_of(here, saga_id)} if requires_version else {}
        with database.locked() as appends:
            path = f"/sagas/{saga_id}/{command}"
            response = clients.submit(here.post, path, json={}, headers=headers)
            database.await_blocked_writers()
            with database.replies_locked() as answers:
                appends.release()
                blocked = database.await_blocked_replies()
                pair.other.kill()
                database.terminate(blocked)
                pair.await_shares(64)
                answers.release()
        answer = response.result()

    types = database.event_types(saga_id)
    assert answer.status_code == 200, answer.text
    assert (types.count(recorded), types.count("ForwardedInputApplied")) == (1, 1)
    assert pair.deployment.run_doctor().violations == []
