"""The primary dies for good, and its standby takes over: with every confirmed commit if replication
is synchronous, and without the last ones if it is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest
from saga_orchestrator.tests.acceptance.fix_house import house_next_door, service
from saga_orchestrator.tests.acceptance.house import House
from saga_orchestrator.tests.acceptance.reliability.conftest import a_server
from saga_orchestrator.tests.acceptance.reliability.load import Load, assert_whole
from saga_orchestrator.tests.acceptance.reliability.own_server import DATABASE, ROLE, OwnServer
from saga_orchestrator.tests.acceptance.reliability.signs import await_unwell, await_well
from saga_orchestrator.tests.acceptance.reliability.wire import Wire
from saga_orchestrator.tests.acceptance.waiting import until

pytestmark = pytest.mark.slow

SYNCHRONOUS = "select from pg_stat_replication where sync_state = 'sync'"
NO_LINE = "select where not exists (select from pg_stat_wal_receiver)"
HEADS = "select shard_id, max(seq) from event group by shard_id"


@dataclass(frozen=True, slots=True)
class Pair:
    house: House
    primary: OwnServer
    standby: OwnServer

    def fail_over(self) -> None:
        self.primary.crash()
        self.standby.promote()


@pytest.fixture
def pair(house: House, folder: Path, tmp_path: Path) -> Iterator[Pair]:
    """A service that knows both servers; they replicate asynchronously."""
    homes = [folder / f"{tmp_path.name}-{name}" for name in ("primary", "standby")]
    for home in homes:
        home.mkdir()
    with ExitStack() as stack:
        primary = stack.enter_context(a_server(homes[0]))
        standby = OwnServer(homes[1])
        stack.callback(standby.end)
        standby.make_standby_of(primary)
        wires = [stack.enter_context(Wire(one.socket).running()) for one in (primary, standby)]
        hosts = ",".join(one.address for one in wires)
        url = f"postgresql://{ROLE}@{hosts}/{DATABASE}?target_session_attrs=read-write"
        saga = service(tmp_path / "log", house.relay, DATABASE_URL=url)
        yield Pair(
            stack.enter_context(house_next_door(house, saga, primary.database_url)),
            primary,
            standby,
        )


def test_after_a_synchronous_failover_the_service_goes_on_by_itself(pair: Pair) -> None:
    pair.primary.set("synchronous_standby_names", "standby")
    pair.primary.await_one(SYNCHRONOUS)
    load = Load(pair.house)
    with load.running():
        load.await_confirmed()
        pair.primary.crash()
        await_unwell(pair.house)
        load.await_refusal()
        pair.standby.promote()
        await_well(pair.house)
        load.await_confirmed()

    assert_whole(pair.house, load.confirmed)


@pytest.mark.long
def test_after_an_asynchronous_failover_nothing_is_built_upon_what_is_left(pair: Pair) -> None:
    house, load = pair.house, Load(pair.house)
    with load.running():
        load.await_confirmed()
        pair.standby.set("primary_conninfo", "")
        pair.standby.await_one(NO_LINE)
        left = heads(pair.standby)
        load.await_confirmed(64 + 8)  # so that no shard is without a loss
        pair.fail_over()
        await_unwell(house)
        until(lambda: "confirmed" in house.web.get("/readyz").text, "the loss is told")

    assert heads(pair.standby) == left
    assert '"history lost", "shard_id"' in house.service.log.read_text()
    house.service.kill()
    house.service.start()
    there = [one for one in load.confirmed if status(house, one) == httpx.codes.OK]
    assert 8 <= len(there) < len(load.confirmed), "the last ones are gone, and that was told"
    assert_whole(house, there)


def heads(server: OwnServer) -> dict[int, int]:
    """The last event of each shard."""
    with psycopg.connect(server.database_url) as operator:
        return dict(operator.execute(HEADS.encode()).fetchall())


def status(house: House, saga_id: str) -> int:
    return house.web.get(f"/sagas/{saga_id}/status").status_code
