"""What is wrong with an installation is found in its database, and nothing else is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

import psycopg
import pytest
from msgspec import structs
from saga_orchestrator.eventstore.event import NewEvent, StreamId
from saga_orchestrator.eventstore.postgres.binary_arrays import event_parameters, head_parameters
from saga_orchestrator.eventstore.postgres.connection import connect
from saga_orchestrator.eventstore.postgres.event_log import PostgresLog
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.eventstore.postgres.statements import statement as log_statement
from saga_orchestrator.fsm.call_outcome import Direction
from saga_orchestrator.fsm.codec import encode
from saga_orchestrator.fsm.events import (
    Event,
    Parent,
    SagaStarted,
    StepSkipped,
    StepSucceeded,
    WaitStarted,
)
from saga_orchestrator.fsm.invariants import ClientAck, LedgerEntry, Violation
from saga_orchestrator.fsm.machines import SagaStatus, StepStatus
from saga_orchestrator.projections import statement
from saga_orchestrator.projections.audit.doctor import Doctor
from saga_orchestrator.projections.audit.evidence import collect_evidence
from saga_orchestrator.projections.audit.saga_audit import AuditContext, AuditFinding
from saga_orchestrator.projections.audit.streams import StreamReader
from saga_orchestrator.projections.projector import Projector
from saga_orchestrator.tests.integration.projections.random_sagas import run_random_sagas
from saga_orchestrator.tests.support.in_memory_service import (
    NOON,
    InMemoryService,
    definition_from_yaml,
)

LATER = NOON + timedelta(days=1)
NO_EVIDENCE = collect_evidence([], [], at=LATER)
PARENT = "{saga: parent, version: 1, steps: [{name: order, saga: {type: order_processing}}]}"
UNKNOWN = "018f0000-0000-7000-8000-0000000000ff"
UNBORN = "018f0000-0000-7000-8000-0000000002ff"
ORPHAN = "018f0000-0000-7000-8000-0000000001ff"


@dataclass(slots=True)
class Installation:
    """What a world in memory has recorded, in a database."""

    world: InMemoryService
    projector: Projector
    database_url: str
    log: PostgresLog
    readers: ReaderPool
    copied: int = 0

    async def live(self, seed: int, sagas: int = 30) -> None:
        await run_random_sagas(self.world, Random(seed), sagas)
        await self.copy()
        await self.projector.flush()

    async def append(self, saga_id: str, *events: Event | NewEvent) -> None:
        """As nobody who decides does."""
        version = len(self.world.log.store.streams.get(StreamId(saga_id), ()))
        new = [one if isinstance(one, NewEvent) else recordable(one) for one in events]
        await self.world.log.append(StreamId(saga_id), version, new)
        await self.copy()

    async def copy(self) -> None:
        """What is not in the database yet."""
        shards = self.world.log.store.shards.values()
        heads = await self.log.heads()
        rows = [
            row
            for shard in shards
            for row in shard
            if row.shard_id not in heads or row.seq > heads[row.shard_id].seq
        ]
        async with await connect(self.database_url, "tests") as connection:
            parameters = event_parameters(rows) | head_parameters({})
            await connection.execute(log_statement("append_events"), parameters)

    def first_saga(self, status: SagaStatus) -> str:
        """A saga that rests like that."""
        return self.all_sagas(status)[0]

    def all_sagas(self, status: SagaStatus) -> list[str]:
        query = "select saga_id::text from saga_status where status = %s order by saga_id"
        with psycopg.connect(self.database_url) as operator:
            found = [str(row[0]) for row in operator.execute(query, (status.value,))]
        assert found, f"a saga that is {status}"
        return found

    @contextmanager
    def forger(self) -> Iterator[psycopg.Connection]:
        """Somebody with all rights, and no scruples."""
        with psycopg.connect(self.database_url) as operator:
            operator.execute("alter table event disable trigger event_is_append_only")
            yield operator

    async def doctor(self, grounds: AuditContext | None = None) -> Doctor:
        known = grounds or self.context()
        return Doctor(self.log, self.readers, await self.log.heads(), known)

    def context(self) -> AuditContext:
        known = {(one.name, one.version): one for one in self.world.registry.known()}
        return AuditContext(definitions=known, evidence=NO_EVIDENCE, overdue=NOON)

    async def findings(self, grounds: AuditContext | None = None) -> list[AuditFinding]:
        return [one async for one in (await self.doctor(grounds)).findings()]


def recordable(event: Event) -> NewEvent:
    return NewEvent(
        type=event.type_name,
        schema_version=event.schema_version,
        recorded_at=LATER,
        payload=encode(event),
    )


@pytest.fixture
async def installation(
    world: InMemoryService, projector: Projector, database_url: str
) -> AsyncIterator[Installation]:
    """Thirty sagas with all sorts of fates."""
    log = PostgresLog(database_url)
    readers = ReaderPool(database_url, timedelta(seconds=10), statement)
    made = Installation(world, projector, database_url, log, readers)
    await made.live(seed=1)
    yield made
    await log.close()
    await readers.close()


def codes_of(findings: list[AuditFinding]) -> list[tuple[str, str, int | None]]:
    """Promise, saga and version of each."""
    assert all(isinstance(one, Violation) for one in findings)
    return [(one.code, one.saga_id, one.version) for one in findings if isinstance(one, Violation)]


async def test_of_a_sound_installation_nothing_is_found(installation: Installation) -> None:
    doctor = await installation.doctor()

    assert [one async for one in doctor.findings()] == []
    assert doctor.progress.sagas == len(installation.world.sagas)
    assert doctor.progress.events == len(installation.world.events)


async def test_what_is_recorded_meanwhile_is_left_for_the_next_time(
    installation: Installation,
) -> None:
    doctor = await installation.doctor()
    sagas = len(installation.world.sagas)
    await installation.live(seed=2)

    assert [one async for one in doctor.findings()] == []
    assert doctor.progress.sagas == sagas
    assert await installation.findings() == []


async def test_streams_are_read_whole_and_one_by_one_whatever_the_page(
    installation: Installation,
) -> None:
    streams = installation.world.log.store.streams
    for shard_id, head in (await installation.log.heads()).items():
        pages = StreamReader(installation.readers, page=3)
        found = [one async for one in pages.read_shard(shard_id, head.seq)]

        assert found == [
            events for _, events in sorted(streams.items()) if events[0].shard_id == shard_id
        ]


async def test_an_event_after_the_end_is_found(installation: Installation) -> None:
    compensated = installation.all_sagas(SagaStatus.COMPENSATED)
    sagas = [await installation.world.orchestrator.saga(one) for one in compensated]
    saga_id, step = next(
        (one.state.saga_id, step.name) for one in sagas for step in one.steps_in(StepStatus.PENDING)
    )
    version = len(installation.world.log.store.streams[StreamId(saga_id)])
    await installation.append(saga_id, StepSkipped(step=step))

    assert codes_of(await installation.findings()) == [("I1", saga_id, version + 1)]


async def test_an_event_that_cannot_be_read_is_found(installation: Installation) -> None:
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    version = len(installation.world.log.store.streams[StreamId(saga_id)])
    nonsense = NewEvent(type="Nonsense", schema_version=1, recorded_at=LATER, payload=b"{}")
    await installation.append(saga_id, nonsense)

    assert codes_of(await installation.findings()) == [("I8", saga_id, version + 1)]


async def test_a_saga_whose_definition_is_gone_is_found(installation: Installation) -> None:
    sound = installation.context()
    known = {name: one for name, one in sound.definitions.items() if name[0] != "pivotal"}
    pivotal = sorted(one.stream_id for one in installation.world.events if is_pivotal(one.payload))

    found = codes_of(await installation.findings(replace(sound, definitions=known)))

    assert sorted(found) == [("I8", one, 1) for one in pivotal]


def is_pivotal(payload: bytes) -> bool:
    return b'"saga_type":"pivotal"' in payload


@pytest.mark.parametrize("column", ["status = 'running'", "error = 'made up'", "idle = not idle"])
async def test_a_row_of_the_status_view_that_was_changed_is_found(
    installation: Installation, column: str
) -> None:
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    with psycopg.connect(installation.database_url) as operator:
        change = f"update saga_status set {column} where saga_id = %s"
        operator.execute(change.encode(), (saga_id,))

    version = len(installation.world.log.store.streams[StreamId(saga_id)])
    assert codes_of(await installation.findings()) == [("I8", saga_id, version)]


async def test_a_row_of_the_status_view_that_is_missing_is_found(
    installation: Installation,
) -> None:
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    with psycopg.connect(installation.database_url) as operator:
        operator.execute("delete from saga_status where saga_id = %s", (saga_id,))

    version = len(installation.world.log.store.streams[StreamId(saga_id)])
    assert codes_of(await installation.findings()) == [("I8", saga_id, version)]


async def test_an_altered_event_breaks_the_chain(installation: Installation) -> None:
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    with installation.forger() as forger:
        forger.execute(
            "update event set recorded_at = recorded_at - interval '1 second'"
            " where stream_id = %s and version = 2",
            (saga_id,),
        )

    assert codes_of(await installation.findings()) == [("I9", saga_id, 2)]


async def test_an_event_that_was_taken_out_is_missed(installation: Installation) -> None:
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    with installation.forger() as forger:
        forger.execute("delete from event where stream_id = %s and version = 3", (saga_id,))

    found = codes_of(await installation.findings())

    assert {code for code, _, _ in found} == {"I9"}
    assert ("I9", saga_id, 4) in found


async def test_a_saga_that_two_keys_stand_for_is_found(installation: Installation) -> None:
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    for key in ("order-1", "order-2"):
        await installation.log.claim_key(
            key, digest=b"", stream_id=StreamId(saga_id), claimed_at=NOON
        )

    assert codes_of(await installation.findings()) == [("I13", saga_id, None)]


async def test_sagas_that_stand_still_are_found(installation: Installation) -> None:
    overdue = datetime.fromisoformat("2099-01-01T00:00:00Z")

    found = codes_of(await installation.findings(replace(installation.context(), overdue=overdue)))

    waiting = [
        one.saga_id for one in await installation.world.unfinished() if one.wake_at is not None
    ]
    assert waiting
    assert sorted((code, saga_id) for code, saga_id, _ in found) == sorted(
        ("I14", saga_id) for saga_id in waiting
    )


async def test_a_parent_whose_child_has_ended_unheard_is_found(
    installation: Installation,
) -> None:
    child_id = installation.first_saga(SagaStatus.COMPLETED)
    await installation.world.registry.register(definition_from_yaml(PARENT))
    start = SagaStarted(saga_type="parent", definition_version=1, entity_id=1, input={})
    waits = WaitStarted(step="order", child_id=child_id)
    await installation.append(UNKNOWN, start, waits)
    grounds = replace(installation.context(), overdue=LATER + timedelta(days=1))

    found = codes_of(await installation.findings(grounds))

    assert ("I14", UNKNOWN, 2) in found


async def test_parents_and_children_that_contradict_each_other_are_found(
    installation: Installation,
) -> None:
    await installation.world.registry.register(definition_from_yaml(PARENT))
    start = SagaStarted(saga_type="parent", definition_version=1, entity_id=1, input={})
    waits = WaitStarted(step="order", child_id=UNBORN)
    await installation.append(UNKNOWN, start, waits, StepSucceeded(step="order", attempt=0))
    parent = Parent(saga_id=installation.first_saga(SagaStatus.COMPLETED), step="order")
    await installation.append(ORPHAN, structs.replace(start, parent=parent))

    found = codes_of(await installation.findings())

    assert {one for one in found if one[0] == "child"} == {
        ("child", UNKNOWN, 3),
        ("child", ORPHAN, 1),
    }


async def test_a_secret_in_an_event_is_found(installation: Installation) -> None:
    grounds = replace(installation.context(), secrets=[b'"saga_type":"pivotal"'])
    pivotal = sorted(one.stream_id for one in installation.world.events if is_pivotal(one.payload))

    found = codes_of(await installation.findings(grounds))

    assert sorted(found) == [("I15", one, 1) for one in pivotal]


async def test_what_was_acknowledged_or_called_and_is_unknown_is_found(
    installation: Installation,
) -> None:
    call = LedgerEntry(
        at=NOON,
        participant="order-service",
        key=f"{UNKNOWN}/create_order/action",
        saga_id=UNKNOWN,
        step="create_order",
        direction=Direction.ACTION,
        attempt=1,
        effect=True,
    )
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    answers = [
        ClientAck(at=NOON, saga_id=UNKNOWN, status=SagaStatus.RUNNING),
        ClientAck(at=NOON, saga_id=saga_id, status=SagaStatus.COMPLETED),
        ClientAck(at=NOON, saga_id=saga_id, status=SagaStatus.PARKED),
    ]
    grounds = replace(installation.context(), evidence=collect_evidence([call], answers, at=NOON))

    found = codes_of(await installation.findings(grounds))

    assert found == [("I16", saga_id, None), ("I16", UNKNOWN, None), ("I6", UNKNOWN, None)]
