"""Events that were stored before their types, or members of them, were renamed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import psycopg
from saga_orchestrator.eventstore.event import NewEvent, StreamId
from saga_orchestrator.eventstore.postgres.reader_pool import ReaderPool
from saga_orchestrator.fsm.codec import encode
from saga_orchestrator.fsm.events import (
    Event,
    SagaCompleted,
    SagaStarted,
    StepSucceeded,
    WaitStarted,
)
from saga_orchestrator.fsm.testing import NOON
from saga_orchestrator.projections import statement
from saga_orchestrator.projections.audit.doctor import Doctor
from saga_orchestrator.projections.audit.evidence import collect_evidence
from saga_orchestrator.projections.audit.saga_audit import AuditContext

from .conftest import Answer, Service

OLD = "018f0000-0000-7000-8000-000000000101"
NEW = "018f0000-0000-7000-8000-000000000201"
PARKED = "018f0000-0000-7000-8000-000000000301"
WAITED = NOON + timedelta(milliseconds=1)
SCHEDULED = SagaStarted(
    saga_type="quick",
    definition_version=1,
    entity_id=1,
    input={},
    start_at=NOON,
    callback_url="https://shop.example/sagas",
)
SLEPT: Sequence[Event] = (
    WaitStarted(step="nap", until=WAITED),
    StepSucceeded(step="nap", attempt=0),
    SagaCompleted(),
)


def now_written(event: Event) -> NewEvent:
    return NewEvent(event.type_name, event.schema_version, WAITED, encode(event))


def once_written(type_name: str, payload: bytes, schema_version: int = 1) -> NewEvent:
    return NewEvent(type_name, schema_version, WAITED, payload)


async def record_under_both_names(service: Service) -> None:
    await record(
        service,
        OLD,
        now_written(SCHEDULED),
        once_written("SagaFellDue", b"{}"),
        *map(now_written, SLEPT),
        once_written("CallbackDelivered", b'{"rested_version":5}'),
        once_written("MessageTaken", b'{"message_id":"m1"}'),
    )
    await record(
        service,
        NEW,
        now_written(SCHEDULED),
        once_written("ScheduledStartReached", b"{}"),
        *map(now_written, SLEPT),
        once_written("CompletionWebhookDelivered", b'{"rested_version":5}'),
        once_written("ForwardedInputApplied", b'{"message_id":"m1"}'),
    )


async def record(service: Service, saga_id: str, *events: NewEvent) -> None:
    await service.state["orchestrator"].repository.log.append(StreamId(saga_id), 0, events)


async def events_of_type(service: Service, type_name: str) -> list[Answer]:
    page = await service.get("/events", type=type_name)
    return sorted(page["events"], key=lambda event: event["saga_id"])


async def test_filter_by_type_finds_events_under_former_names(service: Service) -> None:
    await record_under_both_names(service)

    for former, present in [
        ("SagaFellDue", "ScheduledStartReached"),
        ("CallbackDelivered", "CompletionWebhookDelivered"),
        ("MessageTaken", "ForwardedInputApplied"),
    ]:
        events = await events_of_type(service, present)
        assert [(event["saga_id"], event["type"]) for event in events] == [
            (OLD, present),
            (NEW, present),
        ]
        assert await events_of_type(service, former) == events


async def test_sagas_with_former_names_read_as_sagas_without(service: Service) -> None:
    await record_under_both_names(service)

    old, new = [await service.get(f"/sagas/{saga_id}/status") for saga_id in (OLD, NEW)]

    assert (old["status"], old["version"]) == ("completed", 7)
    assert old | {"saga_id": NEW} == new


async def test_stored_bytes_and_their_chain_stay_as_they_were_written(service: Service) -> None:
    await record_under_both_names(service)

    audit = await service.get("/audit/verify")

    assert audit["valid"] is True
    with psycopg.connect(service.database_url) as operator:
        query = "select type from event where stream_id = %s order by version"
        types = [row[0] for row in operator.execute(query, (OLD,))]
    assert (types[1], types[5:]) == ("SagaFellDue", ["CallbackDelivered", "MessageTaken"])


async def test_doctor_finds_nothing_wrong_with_former_names(service: Service) -> None:
    await record_under_both_names(service)
    log = service.state["orchestrator"].repository.log
    known = service.state["orchestrator"].registry.known()
    grounds = AuditContext(
        definitions={(definition.name, definition.version): definition for definition in known},
        evidence=collect_evidence([], [], at=NOON + timedelta(days=1)),
        overdue=NOON,
    )
    readers = ReaderPool(service.database_url, timedelta(seconds=10), statement)
    try:
        doctor = Doctor(log, readers, await log.heads(), grounds)
        findings = [
            finding
            async for finding in doctor.findings()
            if getattr(finding, "saga_id", OLD) in (OLD, NEW)
        ]
    finally:
        await readers.close()

    assert [getattr(finding, "code", finding) for finding in findings] == []


async def test_cause_of_an_old_parking_is_shown_as_its_reason(service: Service) -> None:
    began = SagaStarted(saga_type="quick", definition_version=1, entity_id=1, input={})
    await record(
        service,
        PARKED,
        now_written(began),
        once_written("SagaParked", b'{"why":"lost","not_done":["nap"]}', schema_version=2),
    )

    trail = (await service.get(f"/sagas/{PARKED}/events"))["events"]
    status = await service.get(f"/sagas/{PARKED}/status")

    assert (trail[1]["reason"], trail[1]["data"]["not_done"]) == ("lost", ["nap"])
    assert status["parked"]["reason"] == "lost"
