"""Thousands of waiting sagas: a crash loses none, and each is woken once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta

import psycopg
from saga_orchestrator.fsm.inputs import SendSignal, StartSaga
from saga_orchestrator.tests.integration.projections.test_restart import Process, running_process
from saga_orchestrator.tests.support.in_memory_service import FakeClock, definition_from_yaml
from saga_orchestrator.tests.support.virtual_time import await_idle

EACH = 1000
AT_ONCE = 100
LONG = timedelta(minutes=3)  # far longer than all sagas take, even on a busy machine
LISTENING = """
saga: listening
version: 1
steps: [{name: approval, wait_for: {signal: approved, timeout: 30d}}]
"""
SLEEPING = """
saga: sleeping
version: 1
steps: [{name: nap, sleep: 1d}]
"""


async def test_thousands_of_waiting_sagas_are_each_woken_once_after_a_crash(
    database_url: str,
) -> None:
    async with running_process(database_url) as first:
        listening, sleeping = await started(first, LISTENING), await started(first, SLEEPING)
        await first.projector.flush()
        assert first.driver.active == {}

    async with running_process(database_url) as second:
        assert (second.resumed, second.driver.active) == (2 * EACH, {})
        await signalled(second, listening)
        await a_day_passes(second)
        await a_day_passes(second)

    assert woken(database_url) == Counter([*listening, *sleeping])


async def started(process: Process, document: str) -> Sequence[str]:
    definition = definition_from_yaml(document)
    await process.orchestrator.register(definition)

    async def start(number: int) -> str:
        request = StartSaga(entity_id=number, input={})
        return (await process.orchestrator.start(definition.name, request)).saga.state.saga_id

    saga_ids: list[str] = []
    for first in range(0, EACH, AT_ONCE):
        numbers = range(first, first + AT_ONCE)
        saga_ids += await asyncio.gather(*(start(number) for number in numbers))
    return saga_ids


async def signalled(process: Process, saga_ids: Sequence[str]) -> None:
    for first in range(0, EACH, AT_ONCE):
        page = saga_ids[first : first + AT_ONCE]
        signal = SendSignal(name="approved")
        await asyncio.gather(*(process.orchestrator.execute(saga_id, signal) for saga_id in page))


async def a_day_passes(process: Process) -> None:
    clock = process.driver.clock
    assert isinstance(clock, FakeClock)
    clock.advance(timedelta(days=1))
    process.driver.timers.step()
    await await_idle(process.driver, within=LONG)


def woken(database_url: str) -> Counter[str]:
    """Count, by saga, the recorded ends of waits."""
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "select stream_id::text, count(*) from event where type = 'StepSucceeded' group by 1"
        )
        return Counter(dict(rows.fetchall()))
