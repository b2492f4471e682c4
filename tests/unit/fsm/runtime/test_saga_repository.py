from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore.errors import LogUnavailable
from saga_orchestrator.eventstore.event import SHARD_COUNT, NewEvent, StreamId, shard_stream
from saga_orchestrator.eventstore.event_log import Document
from saga_orchestrator.eventstore.memory import InMemoryLog
from saga_orchestrator.fsm.call_outcome import Outcome
from saga_orchestrator.fsm.errors import CorruptStream
from saga_orchestrator.fsm.events import (
    CompensationSucceeded,
    Event,
    SagaStarted,
    StepBackedOff,
    StepCalled,
)
from saga_orchestrator.fsm.runtime.definition_registry import DefinitionRegistry
from saga_orchestrator.fsm.runtime.errors import DefinitionNotFound, SagaNotFound, VersionNotReached
from saga_orchestrator.fsm.runtime.saga_repository import SagaRepository
from saga_orchestrator.fsm.testing import define
from saga_orchestrator.tests.support.in_memory_service import NOON, FakeClock

SAGA = "018f0000-0000-7000-8000-000000000001"
OTHER = "018f0000-0000-7000-8000-000000000002"
NOBODY = "018f0000-0000-7000-8000-000000000003"
STARTED = SagaStarted(saga_type="trip", definition_version=1, entity_id=1, input={})
CALLED = StepCalled(step="book", attempt=1)
UNDONE = CompensationSucceeded(step="book", attempt=1)
BUSY = StepBackedOff(
    step="book", attempt=1, outcome=Outcome.BUSY, error="425", until=NOON + timedelta(seconds=1)
)


@pytest.fixture
async def journal() -> SagaRepository:
    log, clock = InMemoryLog(), FakeClock()
    await log.claim(range(SHARD_COUNT), recorded_at=NOON)
    registry = DefinitionRegistry(log, clock)
    await registry.register(define("book"))
    return SagaRepository(log, registry)


def a_long_wait(events: int) -> Sequence[Event]:
    rounds: list[Event] = [CALLED, BUSY] * events
    return [STARTED, *rounds][:events]


async def test_saga_is_replayed_from_more_events_than_one_read_returns(
    journal: SagaRepository,
) -> None:
    await journal.append(SAGA, 0, a_long_wait(2_345), at=NOON)

    saga = await journal.load(SAGA)

    assert saga.state.version == 2_345
    assert (saga.state.step("book").status, saga.state.step("book").attempts) == ("backing_off", 1)


@pytest.mark.parametrize("events", [999, 1_000, 1_001, 2_000])
async def test_events_come_in_order_whatever_the_page_size(
    journal: SagaRepository, events: int
) -> None:
    await journal.append(SAGA, 0, a_long_wait(events), at=NOON)

    entries = await journal.read_events(SAGA)

    assert [entry.recorded.version for entry in entries] == list(range(1, events + 1))
    assert [entry.event for entry in entries] == list(a_long_wait(events))


@pytest.mark.parametrize(
    ("after", "limit", "versions"),
    [
        (0, 3, range(1, 4)),
        (2, 1_400, range(3, 1_403)),
        (1_498, 1_500, range(1_499, 1_501)),
        (1_500, 10, range(0)),
        (9_999, 10, range(0)),
    ],
)
async def test_page_of_events_is_the_requested_one(
    journal: SagaRepository, after: int, limit: int, versions: range
) -> None:
    await journal.append(SAGA, 0, a_long_wait(1_500), at=NOON)

    entries, has_more = await journal.read_events_page(SAGA, after=after, limit=limit)

    assert [entry.recorded.version for entry in entries] == list(versions)
    assert has_more == (bool(versions) and versions[-1] < 1_500)


@pytest.mark.parametrize("saga_id", [NOBODY, shard_stream(5), "nonsense", SAGA.upper(), ""])
async def test_stream_of_no_saga_is_not_found(journal: SagaRepository, saga_id: str) -> None:
    with pytest.raises(SagaNotFound):
        await journal.load(saga_id)
    with pytest.raises(SagaNotFound):
        await journal.read_events_page(saga_id, after=3, limit=10)


async def test_shard_stream_of_many_claims_is_not_found(journal: SagaRepository) -> None:
    for _ in range(3):
        await journal.log.claim([5], recorded_at=NOON)

    for after in range(6):
        with pytest.raises(SagaNotFound):
            await journal.read_events_page(shard_stream(5), after=after, limit=10)


async def test_past_state_is_returned_by_version_and_by_time(journal: SagaRepository) -> None:
    await journal.append(SAGA, 0, [STARTED, CALLED], at=NOON)
    await journal.append(SAGA, 2, [BUSY], at=NOON + timedelta(seconds=1))

    by_version = await journal.load_as_of(SAGA, version=1)
    by_time = await journal.load_as_of(SAGA, at=NOON + timedelta(milliseconds=999))
    by_both = await journal.load_as_of(SAGA, version=3, at=NOON)
    newest = await journal.load_as_of(SAGA)

    versions = [saga.state.version for saga in (by_version, by_time, by_both, newest)]
    assert versions == [1, 2, 2, 3]


async def test_future_version_and_time_before_the_start_are_refused(
    journal: SagaRepository,
) -> None:
    await journal.append(SAGA, 0, [STARTED, CALLED], at=NOON)

    with pytest.raises(VersionNotReached, match="has no version 3, only 2"):
        await journal.load_as_of(SAGA, version=3)
    with pytest.raises(VersionNotReached, match="had not been started at that time"):
        await journal.load_as_of(SAGA, at=NOON - timedelta(microseconds=1))


async def test_broken_history_is_returned_as_its_error_and_blocks_no_other(
    journal: SagaRepository,
) -> None:
    await journal.append(SAGA, 0, [STARTED, UNDONE], at=NOON)
    await journal.append(OTHER, 0, [STARTED, CALLED], at=NOON)

    loaded = await journal.load_many([SAGA, OTHER, NOBODY])

    assert {saga_id: type(found).__name__ for saga_id, found in loaded.items()} == {
        SAGA: "CorruptStream",
        OTHER: "Saga",
    }
    with pytest.raises(
        CorruptStream, match="corrupt at version 2: 'succeed_compensation' is not possible"
    ):
        await journal.load(SAGA)


async def test_unreadable_event_breaks_only_its_saga(journal: SagaRepository) -> None:
    strange = NewEvent(type="Strange", schema_version=1, recorded_at=NOON, payload=b"{}")
    await journal.log.append(StreamId(SAGA), 0, [strange])
    await journal.append(OTHER, 0, [STARTED], at=NOON)

    loaded = await journal.load_many([SAGA, OTHER])

    assert isinstance(loaded[SAGA], Exception)
    assert not isinstance(loaded[OTHER], Exception)


async def test_missing_definition_breaks_only_its_sagas(journal: SagaRepository) -> None:
    elsewhere = SagaStarted(saga_type="journey", definition_version=1, entity_id=1, input={})
    await journal.append(SAGA, 0, [elsewhere], at=NOON)
    await journal.append(OTHER, 0, [STARTED], at=NOON)

    loaded = await journal.load_many([SAGA, OTHER])

    assert isinstance(loaded[SAGA], DefinitionNotFound)
    assert not isinstance(loaded[OTHER], Exception)


class WithoutDefinitions(InMemoryLog):
    """The database went away between two reads."""

    async def get_document(self, kind: str, name: str, version: int | None) -> Document | None:
        raise LogUnavailable("no database")


async def test_unavailable_definition_breaks_no_history(
    journal: SagaRepository,
) -> None:
    await journal.append(SAGA, 0, [STARTED, CALLED], at=NOON)
    forgetful = SagaRepository(journal.log, DefinitionRegistry(WithoutDefinitions(), FakeClock()))

    with pytest.raises(LogUnavailable):
        await forgetful.load_many([SAGA])
