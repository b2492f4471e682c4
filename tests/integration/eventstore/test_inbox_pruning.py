"""A running node keeps the table of messages between nodes small."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from saga_orchestrator.eventstore.cluster import inbox as inbox_module
from saga_orchestrator.eventstore.event import SHARD_COUNT
from saga_orchestrator.settings import Settings
from saga_orchestrator.tests.integration.eventstore.test_outages import until
from saga_orchestrator.wiring import open_service

SENDER = "00000001-0000-4000-8000-000000000001"
ANSWERED = (
    "insert into message (message_id, shard_id, sender, body, sent_at, answer, answered_at)"
    " select gen_random_uuid(), n %% %s, %s::uuid, '', now() - %s, 'yes', now() - %s"
    " from generate_series(1, %s) n"
)
COUNT = "select count(*) from message"


async def test_running_node_deletes_messages_that_were_answered_long_ago(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There are more of them than one statement deletes. Messages answered recently stay."""
    monkeypatch.setattr(inbox_module, "PRUNE_INTERVAL", timedelta(milliseconds=20))
    monkeypatch.setattr("saga_orchestrator.eventstore.cluster.postgres.MAX_MESSAGES_PER_PRUNE", 100)
    monkeypatch.setattr(inbox_module, "MAX_MESSAGES_PER_PRUNE", 100)
    with psycopg.connect(database_url, autocommit=True) as operator:
        for age, number in ((timedelta(days=1), 1_000), (timedelta(seconds=1), 10)):
            operator.execute(ANSWERED, [SHARD_COUNT, SENDER, age, age, number])

        async with open_service(Settings(database_url=database_url)):
            await until(lambda: operator.execute(COUNT).fetchone() == (10,))
