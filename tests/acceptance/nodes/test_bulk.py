"""Bulk jobs over several nodes: each saga gets the command once, whichever node dies or stops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from typing import Any

import httpx
import psycopg
import pytest
from saga_orchestrator.eventstore.event import SHARD_COUNT
from saga_orchestrator.examples.scenarios import order_request
from saga_orchestrator.tests.acceptance.deployment import PREFER_ASYNC, Deployment
from saga_orchestrator.tests.acceptance.nodes.node_group import NodeGroup
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

MANY = 60
FEW = 10
STOPPED_WITHIN = timedelta(seconds=10)
RECALL = {"action": "compensate", "filter": {"status": "completed"}, "reason": "recall"}
PAUSE: dict[str, Any] = {
    "action": "pause",
    "filter": {"tags": {"for": "drain"}},
    "reason": "a fire",
}
# The first outcomes are recorded. Each later one waits for a lock that the test holds.
HOLD_OUTCOMES = f"""
    create function hold_outcome() returns trigger language plpgsql as $$
    begin
      if (select count(*) from job_task where job_id = new.job_id and ended_at is not null) >= {FEW}
      then
        perform pg_advisory_xact_lock_shared(1);
      end if;
      return new;
    end
    $$;
    create trigger hold_outcome before update of ended_at on job_task
      for each row execute function hold_outcome()
"""
RELEASE_OUTCOMES = "drop function hold_outcome cascade"
NODES_WITH_HELD_OUTCOMES = """
    select count(distinct split_part(application_name, ' ', 2))
    from pg_stat_activity
    where datname = current_database() and wait_event = 'advisory'
      and application_name like 'node % reader'
"""


def job_at_its_end(client: httpx.Client, path: str) -> dict[str, Any]:
    wait_until(lambda: client.get(path).json().get("finished_at") is not None, "the job is done")
    job: dict[str, Any] = client.get(path).json()
    return job


@contextmanager
def held_outcomes(database_url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """Hold the outcomes of tasks, but for a few, until the block ends."""
    with psycopg.connect(database_url, autocommit=True) as holder:
        holder.execute(HOLD_OUTCOMES.encode())
        holder.execute("select pg_advisory_lock(1)")
        try:
            yield holder
        finally:
            holder.execute("select pg_advisory_unlock(1)")
            holder.execute(RELEASE_OUTCOMES)


def completed_sagas(pair: NodeGroup) -> list[str]:
    """Return new sagas of both nodes that are completed, and listed as that."""
    house = pair.deployment
    orders = [house.new_order() for _ in range(MANY)]
    with pair.clients() as apis:
        for order, api in zip(orders, cycle(apis), strict=False):
            assert house.start(order, PREFER_ASYNC, api).status_code == httpx.codes.ACCEPTED
    wait_until(
        lambda: house.api.post("/bulk", json={**RECALL, "dry_run": True}).json()["matched"] >= MANY,
        "all sagas are listed as completed",
    )
    return [house.saga_id(order) for order in orders]


def event_types(house: Deployment, saga_id: str) -> list[str]:
    return [event["type"] for event in house.api.get(f"/sagas/{saga_id}/events").json()["events"]]


def assert_compensated_once(pair: NodeGroup, sagas: Sequence[str]) -> None:
    house = pair.deployment
    for saga_id in sagas:
        wait_until(
            lambda saga_id=saga_id: house.status(saga_id)["status"] == "compensated",  # type: ignore[misc]
            f"saga {saga_id} is compensated",
        )
        assert event_types(house, saga_id).count("CompensationStarted") == 1
    assert house.run_doctor().violations == []


def test_job_of_a_killed_node_goes_on_without_a_second_command(pair: NodeGroup) -> None:
    house, sagas = pair.deployment, completed_sagas(pair)
    with pair.client_of_other() as beside:
        accepted = beside.post("/bulk", json=RECALL)
        assert accepted.status_code == httpx.codes.ACCEPTED
        pair.other.kill()

    job = job_at_its_end(house.api, accepted.headers["location"])

    assert (job["status"], job["refused"]) == ("done", 0)
    assert job["done"] == job["matched"] >= MANY
    assert_compensated_once(pair, sagas)


def waiting_sagas(pair: NodeGroup) -> list[str]:
    """Return new sagas of both nodes that begin tomorrow, with the tag of PAUSE."""
    house, tomorrow = pair.deployment, datetime.now(UTC) + timedelta(days=1)
    more = {"start_at": tomorrow.isoformat(), "tags": PAUSE["filter"]["tags"]}
    with pair.clients() as apis:
        started = [
            api.post(
                "/sagas/start",
                json={**order_request(house.new_order()), **more},
                headers={"Prefer": PREFER_ASYNC},
            )
            for api in islice(cycle(apis), MANY)
        ]
    return [response.json()["saga_id"] for response in started]


def resume_all_that_are_paused(api: httpx.Client) -> None:
    query = {"tag.for": "drain", "paused": "true", "limit": f"{MANY}"}
    paused = api.get("/sagas", params=query).json()["sagas"]
    assert len(paused) >= FEW
    for saga in paused:
        api.post(f"/sagas/{saga['saga_id']}/resume").raise_for_status()


def test_job_of_a_stopped_node_goes_on_and_each_saga_has_one_outcome(pair: NodeGroup) -> None:
    """Both nodes have commanded sagas whose outcome is not recorded when one of them stops. Those
    are resumed meanwhile, so that a second command would show."""
    house, sagas = pair.deployment, waiting_sagas(pair)
    with held_outcomes(house.database.url) as holder, pair.client_of_other() as beside:
        path = beside.post("/bulk", json=PAUSE).headers["location"]
        wait_until(
            lambda: holder.execute(NODES_WITH_HELD_OUTCOMES.encode()).fetchone() == (2,),
            "outcomes are held at both nodes",
        )
        resume_all_that_are_paused(house.api)
        pair.other.terminate()
        pair.other.wait(STOPPED_WITHIN)
        pair.await_shares(SHARD_COUNT)
        job = house.api.get(path).json()
        assert (job["status"], job["done"] < job["matched"]) == ("running", True)

    job = job_at_its_end(house.api, path)

    assert (job["status"], job["done"], job["refused"]) == ("done", MANY, 0)
    outcomes = house.api.get(f"{path}/sagas").json()["sagas"]
    assert {saga["saga_id"]: saga["outcome"] for saga in outcomes} == dict.fromkeys(sagas, "done")
    for saga_id in sagas:
        assert event_types(house, saga_id).count("SagaPaused") == 1
    cancelled = house.api.post("/bulk", json={**PAUSE, "action": "cancel"})
    assert job_at_its_end(house.api, cancelled.headers["location"])["done"] == MANY
    assert house.run_doctor().violations == []
