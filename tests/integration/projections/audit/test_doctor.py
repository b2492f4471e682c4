"""The doctor finds what is wrong in the database of an installation, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

import psycopg
import pytest
from msgspec import structs
from saga_orchestrator.eventstore.event import NewEvent, StreamId, shard_stream
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
PIVOTAL = b'"saga_type":"pivotal"'
UNKNOWN = "018f0000-0000-7000-8000-0000000000ff"
UNBORN = "018f0000-0000-7000-8000-0000000002ff"
ORPHAN = "018f0000-0000-7000-8000-0000000001ff"


@dataclass(slots=True)
class Installation:
    """The log of an in-memory service, copied into a database."""

    service: InMemoryService
    projector: Projector
    database_url: str
    log: PostgresLog
    readers: ReaderPool
    copied: int = 0

    async def live(self, seed: int, sagas: int = 30) -> None:
        await run_random_sagas(self.service, Random(seed), sagas)
        await self.copy()
        await self.projector.flush()

    async def append(self, saga_id: str, *events: Event | NewEvent) -> None:
        """Append events that no decision would produce."""
        version = len(self.service.log.store.streams.get(StreamId(saga_id), ()))
        new = [event if isinstance(event, NewEvent) else recordable(event) for event in events]
        await self.service.log.append(StreamId(saga_id), version, new)
        await self.copy()

    async def copy(self) -> None:
        """Copy the events that are not in the database yet."""
        shards = self.service.log.store.shards.values()
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
        """Return the first saga with this status."""
        return self.all_sagas(status)[0]

    def all_sagas(self, status: SagaStatus) -> list[str]:
        query = "select saga_id::text from saga_status where status = %s order by saga_id"
        with psycopg.connect(self.database_url) as operator:
            saga_ids = [str(row[0]) for row in operator.execute(query, (status.value,))]
        assert saga_ids, f"there is a saga that is {status}"
        return saga_ids

    @contextmanager
    def forger(self) -> Iterator[psycopg.Connection]:
        """Connect with the append-only trigger disabled."""
        with psycopg.connect(self.database_url) as operator:
            operator.execute("alter table event disable trigger event_is_append_only")
            yield operator

    async def doctor(self, grounds: AuditContext | None = None) -> Doctor:
        return Doctor(self.log, self.readers, await self.log.heads(), grounds or self.context())

    def context(self) -> AuditContext:
        known = self.service.registry.known()
        definitions = {(definition.name, definition.version): definition for definition in known}
        return AuditContext(definitions=definitions, evidence=NO_EVIDENCE, overdue=NOON)

    async def findings(self, grounds: AuditContext | None = None) -> list[AuditFinding]:
        return [finding async for finding in (await self.doctor(grounds)).findings()]


def recordable(event: Event) -> NewEvent:
    return NewEvent(
        type=event.type_name,
        schema_version=event.schema_version,
        recorded_at=LATER,
        payload=encode(event),
    )


@pytest.fixture
async def installation(
    service: InMemoryService, projector: Projector, database_url: str
) -> AsyncIterator[Installation]:
    """An installation with thirty random sagas."""
    log = PostgresLog(database_url)
    readers = ReaderPool(database_url, timedelta(seconds=10), statement)
    made = Installation(service, projector, database_url, log, readers)
    await made.live(seed=1)
    yield made
    await log.close()
    await readers.close()


def codes_of(findings: list[AuditFinding]) -> list[tuple[str, str, int | None]]:
    """Return invariant, saga and version of each violation; there must be no notices."""
    violations = [finding for finding in findings if isinstance(finding, Violation)]
    assert len(violations) == len(findings)
    return [(violation.code, violation.saga_id, violation.version) for violation in violations]


async def test_sound_installation_has_no_findings(installation: Installation) -> None:
    doctor = await installation.doctor()

    assert [finding async for finding in doctor.findings()] == []
    assert doctor.progress.sagas == len(installation.service.sagas)
    assert doctor.progress.events == len(installation.service.events)


async def test_events_recorded_during_an_audit_are_left_for_the_next(
    installation: Installation,
) -> None:
    doctor = await installation.doctor()
    sagas = len(installation.service.sagas)
    await installation.live(seed=2)

    assert [finding async for finding in doctor.findings()] == []
    assert doctor.progress.sagas == sagas
    assert await installation.findings() == []


async def test_streams_are_read_whole_whatever_the_page_size(
    installation: Installation,
) -> None:
    streams = installation.service.log.store.streams
    for shard_id, head in (await installation.log.heads()).items():
        pages = StreamReader(installation.readers, page=3)

        assert [stream async for stream in pages.read_shard(shard_id, head.seq)] == [
            events for _, events in sorted(streams.items()) if events[0].shard_id == shard_id
        ]


async def test_event_after_the_end_is_found(installation: Installation) -> None:
    compensated = installation.all_sagas(SagaStatus.COMPENSATED)
    sagas = [await installation.service.orchestrator.saga(saga_id) for saga_id in compensated]
    saga_id, step = next(
        (saga.state.saga_id, step.name)
        for saga in sagas
        for step in saga.steps_in(StepStatus.PENDING)
    )
    version = len(installation.service.log.store.streams[StreamId(saga_id)])
    await installation.append(saga_id, StepSkipped(step=step))

    assert codes_of(await installation.findings()) == [("I1", saga_id, version + 1)]


async def test_unreadable_event_is_found(installation: Installation) -> None:
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    version = len(installation.service.log.store.streams[StreamId(saga_id)])
    nonsense = NewEvent(type="Nonsense", schema_version=1, recorded_at=LATER, payload=b"{}")
    await installation.append(saga_id, nonsense)

    assert codes_of(await installation.findings()) == [("I8", saga_id, version + 1)]


async def test_saga_without_its_definition_is_found(installation: Installation) -> None:
    sound = installation.context()
    known = {key: value for key, value in sound.definitions.items() if key[0] != "pivotal"}
    pivotal = pivotal_sagas(installation)

    violations = codes_of(await installation.findings(replace(sound, definitions=known)))

    assert sorted(violations) == [("I8", saga_id, 1) for saga_id in pivotal]


def pivotal_sagas(installation: Installation) -> list[str]:
    events = installation.service.events
    return sorted(event.stream_id for event in events if PIVOTAL in event.payload)


@pytest.mark.parametrize("column", ["status = 'running'", "error = 'made up'", "idle = not idle"])
async def test_changed_row_is_found(installation: Installation, column: str) -> None:
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    with psycopg.connect(installation.database_url) as operator:
        change = f"update saga_status set {column} where saga_id = %s"
        operator.execute(change.encode(), (saga_id,))

    version = len(installation.service.log.store.streams[StreamId(saga_id)])
    assert codes_of(await installation.findings()) == [("I8", saga_id, version)]


async def test_missing_row_is_found(
    installation: Installation,
) -> None:
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    with psycopg.connect(installation.database_url) as operator:
        operator.execute("delete from saga_status where saga_id = %s", (saga_id,))

    version = len(installation.service.log.store.streams[StreamId(saga_id)])
    assert codes_of(await installation.findings()) == [("I8", saga_id, version)]


async def test_altered_event_breaks_the_chain(installation: Installation) -> None:
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    with installation.forger() as forger:
        forger.execute(
            "update event set recorded_at = recorded_at - interval '1 second'"
            " where stream_id = %s and version = 2",
            (saga_id,),
        )

    assert codes_of(await installation.findings()) == [("I9", saga_id, 2)]


async def test_removed_event_is_noticed(installation: Installation) -> None:
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    with installation.forger() as forger:
        forger.execute("delete from event where stream_id = %s and version = 3", (saga_id,))

    violations = codes_of(await installation.findings())

    assert {code for code, _, _ in violations} == {"I9"}
    assert ("I9", saga_id, 4) in violations


@pytest.mark.parametrize("lost", ["a later event", "the same place"])
async def test_shard_that_does_not_lead_to_its_head_is_found(
    installation: Installation, lost: str
) -> None:
    heads = dict(await installation.log.heads())
    shard_id, head = max(heads.items(), key=lambda item: item[1].seq)
    forged = head._replace(hash=bytes(32))
    heads[shard_id] = forged._replace(seq=head.seq + 1) if lost == "a later event" else forged
    doctor = Doctor(installation.log, installation.readers, heads, installation.context())

    findings = [finding async for finding in doctor.findings()]

    assert codes_of(findings) == [("I9", shard_stream(shard_id), None)]


async def test_saga_with_two_idempotency_keys_is_found(installation: Installation) -> None:
    saga_id = installation.first_saga(SagaStatus.COMPLETED)
    for key in ("order-1", "order-2"):
        await installation.log.claim_key(
            key, digest=b"", stream_id=StreamId(saga_id), claimed_at=NOON
        )

    assert codes_of(await installation.findings()) == [("I13", saga_id, None)]


async def test_overdue_sagas_are_found(installation: Installation) -> None:
    overdue = datetime.fromisoformat("2099-01-01T00:00:00Z")

    violations = codes_of(
        await installation.findings(replace(installation.context(), overdue=overdue))
    )

    unfinished = await installation.service.unfinished()
    waiting = [saga.saga_id for saga in unfinished if saga.wake_at is not None]
    assert waiting
    assert sorted((code, saga_id) for code, saga_id, _ in violations) == sorted(
        ("I14", saga_id) for saga_id in waiting
    )


async def test_parent_that_missed_the_end_of_its_child_is_found(
    installation: Installation,
) -> None:
    child_id = installation.first_saga(SagaStatus.COMPLETED)
    await installation.service.registry.register(definition_from_yaml(PARENT))
    start = SagaStarted(saga_type="parent", definition_version=1, entity_id=1, input={})
    waits = WaitStarted(step="order", child_id=child_id)
    await installation.append(UNKNOWN, start, waits)
    grounds = replace(installation.context(), overdue=LATER + timedelta(days=1))

    violations = codes_of(await installation.findings(grounds))

    assert ("I14", UNKNOWN, 2) in violations


async def test_contradictions_between_parents_and_children_are_found(
    installation: Installation,
) -> None:
    await installation.service.registry.register(definition_from_yaml(PARENT))
    start = SagaStarted(saga_type="parent", definition_version=1, entity_id=1, input={})
    waits = WaitStarted(step="order", child_id=UNBORN)
    await installation.append(UNKNOWN, start, waits, StepSucceeded(step="order", attempt=0))
    parent = Parent(saga_id=installation.first_saga(SagaStatus.COMPLETED), step="order")
    await installation.append(ORPHAN, structs.replace(start, parent=parent))

    violations = codes_of(await installation.findings())

    assert {codes for codes in violations if codes[0] == "child"} == {
        ("child", UNKNOWN, 3),
        ("child", ORPHAN, 1),
    }


async def test_secret_in_an_event_is_found(installation: Installation) -> None:
    grounds = replace(installation.context(), secrets=[PIVOTAL])
    pivotal = pivotal_sagas(installation)

    violations = codes_of(await installation.findings(grounds))

    assert sorted(violations) == [("I15", saga_id, 1) for saga_id in pivotal]


async def test_saga_known_only_from_evidence_is_found(
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

    violations = codes_of(await installation.findings(grounds))

    assert violations == [("I16", saga_id, None), ("I16", UNKNOWN, None), ("I6", UNKNOWN, None)]
