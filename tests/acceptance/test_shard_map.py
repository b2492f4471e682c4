"""Two deployments on two databases, each with half of the shards: an id says whose it is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from saga_orchestrator.eventstore.event import SHARD_COUNT, shard_of
from saga_orchestrator.examples.scenarios import order_request
from saga_orchestrator.tests.acceptance.process import (
    ROOT,
    SAGA_COMMAND,
    ServerProcess,
    clean_environ,
    free_port,
    http_client,
)
from saga_orchestrator.tests.support.postgres import database_url_of, execute

pytestmark = pytest.mark.slow

HALVES = {"first": "0-31", "second": "32-63"}
NOBODY = "http://127.0.0.1:1"
PLACES = re.compile(r'"~(\^/sagas/\S+)"\s+(\w+);')


@contextmanager
def deployment(folder: Path, database_url: str, shards: str) -> Iterator[httpx.Client]:
    port = free_port()
    environ = clean_environ(
        DATABASE_URL=database_url,
        SERVICE_PORT=str(port),
        SAGA_SHARDS=shards,
        ORDER_SERVICE_URL=NOBODY,
        PAYMENT_SERVICE_URL=NOBODY,
    )
    log = folder / f"{shards}-{port}.log"
    program = ServerProcess((*SAGA_COMMAND, "serve"), f"http://127.0.0.1:{port}", environ, log)
    try:
        program.start()
        with http_client(program.url) as web:
            yield web
    finally:
        program.end()


def started(web: httpx.Client, many: int) -> list[str]:
    headers = {"Prefer": "respond-async"}
    answers = [
        web.post("/sagas/start", json=order_request(number), headers=headers)
        for number in range(many)
    ]
    return [answer.raise_for_status().json()["saga_id"] for answer in answers]


def cluster_of(saga_id: str) -> str:
    """By the map of docs/scaling.md."""
    places = PLACES.findall((ROOT / "docs" / "scaling.md").read_text())
    (cluster,) = {name for place, name in places if re.match(place, f"/sagas/{saga_id}/status")}
    return str(cluster)


def statuses(web: httpx.Client, saga_ids: Sequence[str]) -> set[int]:
    return {web.get(f"/sagas/{saga_id}/status").status_code for saga_id in saga_ids}


def test_map_has_every_shard() -> None:
    for shard_id in range(SHARD_COUNT):
        for last in range(shard_id, 256, SHARD_COUNT):
            saga_id = f"01a20d5a-f5b4-7000-8000-0000000000{last:02x}"
            assert shard_of(saga_id) == shard_id
            assert cluster_of(saga_id) == ("first" if shard_id < SHARD_COUNT // 2 else "second")


def test_saga_id_leads_to_its_cluster(postgres_server: str, tmp_path: Path) -> None:
    execute(postgres_server, "create database {}", "map_first")
    execute(postgres_server, "create database {}", "map_second")
    first_url, second_url = (database_url_of(postgres_server, f"map_{half}") for half in HALVES)
    with (
        deployment(tmp_path, first_url, HALVES["first"]) as first,
        deployment(tmp_path, second_url, HALVES["second"]) as second,
    ):
        of_first, of_second = started(first, 40), started(second, 40)

        assert set(map(cluster_of, of_first)) == {"first"}
        assert set(map(cluster_of, of_second)) == {"second"}
        assert statuses(first, of_first) == statuses(second, of_second) == {200}
        assert statuses(first, of_second) == {404}


def test_cluster_is_split_in_two_by_a_copy(postgres_server: str, tmp_path: Path) -> None:
    execute(postgres_server, "create database {}", "whole")
    whole_url = database_url_of(postgres_server, "whole")
    with deployment(tmp_path, whole_url, "0-63") as whole:
        sagas = started(whole, 40)
    execute(postgres_server, "create database {} template {}", "copy", "whole")
    with (
        deployment(tmp_path, whole_url, HALVES["first"]) as first,
        deployment(tmp_path, database_url_of(postgres_server, "copy"), HALVES["second"]) as second,
    ):
        for saga_id in sagas:
            home = first if cluster_of(saga_id) == "first" else second
            answer = home.post(f"/sagas/{saga_id}/cancel")
            assert answer.is_success, answer.text
    for url, half in (
        (whole_url, range(32)),
        (database_url_of(postgres_server, "copy"), range(32, 64)),
    ):
        with psycopg.connect(url) as connection:
            asked = connection.execute(
                b"select shard_id from event where type = 'CompensationRequested'"
            ).fetchall()
        assert {shard_id for (shard_id,) in asked} <= set(half)
