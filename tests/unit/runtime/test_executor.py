from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.answer import Answer, Lost, NotSent, Reply
from saga_orchestrator.fsm.command import CallParticipant
from saga_orchestrator.fsm.definition import Definition
from saga_orchestrator.fsm.outcome import Direction, Outcome
from saga_orchestrator.fsm.runtime.executor import Executor, headers_of
from saga_orchestrator.fsm.testing import DONE, REJECTED, answered, define, given
from saga_orchestrator.tests.world import ENOUGH, YES, FakeClock

TRIP = define("book", "pay")


class Counter:
    """Counts the calls that are with a participant at the same time; answers when it is opened."""

    def __init__(self, answer: Answer = YES) -> None:
        self.answer, self.opened = answer, asyncio.Event()
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.received: list[tuple[str, Mapping[str, str], timedelta]] = []

    async def send(
        self,
        participant: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        within: timedelta,
    ) -> Answer:
        self.received.append((participant, headers, within))
        self.now[participant] = self.now.get(participant, 0) + 1
        self.most[participant] = max(self.now[participant], self.most.get(participant, 0))
        try:
            await self.opened.wait()
        finally:
            self.now[participant] -= 1
        return self.answer


def call_of(step: str) -> CallParticipant:
    case = given(TRIP)
    return (case if step == "book" else case.when(answered("book", DONE))).calls[0]


def undo_of_book(definition: Definition = TRIP) -> CallParticipant:
    case = given(definition).when(answered("book", DONE)).when(answered("pay", REJECTED))
    return case.calls[0]


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_participant_has_at_most_the_limit_of_calls_at_once() -> None:
    participants = Counter()
    executor = Executor(participants, FakeClock(), limit=3)
    book, pay = call_of("book"), call_of("pay")

    calls = [asyncio.ensure_future(executor.call(book, TRIP, 1)) for _ in range(10)]
    await settle()

    assert participants.now == {"book-service": 3}
    calls.append(asyncio.ensure_future(executor.call(pay, TRIP, 1)))
    await settle()
    assert participants.now == {"book-service": 3, "pay-service": 1}
    participants.opened.set()
    verdicts = await asyncio.wait_for(asyncio.gather(*calls), ENOUGH.total_seconds())
    assert [one.outcome for one in verdicts] == [Outcome.DONE] * 11
    assert participants.most == {"book-service": 3, "pay-service": 1}


async def test_a_call_that_is_dropped_gives_its_turn_to_the_next() -> None:
    participants = Counter()
    executor = Executor(participants, FakeClock(), limit=1)
    calls = [asyncio.ensure_future(executor.call(call_of("book"), TRIP, 1)) for _ in range(3)]
    await settle()

    calls[0].cancel()
    calls[1].cancel()
    await settle()

    assert len(participants.received) == 2
    participants.opened.set()
    assert (await calls[2]).outcome is Outcome.DONE


def test_every_call_says_who_it_is() -> None:
    call = call_of("book")

    headers = headers_of(call, epoch=7)

    trace = headers.pop("traceparent")
    assert headers == {
        "idempotency-key": f"{call.saga_id}/book/action",
        "saga-id": call.saga_id,
        "saga-step": "book",
        "saga-attempt": "1",
        "saga-epoch": "7",
    }
    assert trace.startswith(f"00-{call.saga_id.replace('-', '')}-")
    assert [len(part) for part in trace.split("-")] == [2, 32, 16, 2]


def test_the_way_back_has_a_key_and_a_span_of_its_own() -> None:
    there, back = headers_of(call_of("book"), 1), headers_of(undo_of_book(), 1)

    assert back["idempotency-key"].endswith("/book/compensation")
    assert there["traceparent"].split("-")[1] == back["traceparent"].split("-")[1]
    assert there["traceparent"] != back["traceparent"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Reply(200, {}, b"{}"), Outcome.DONE),
        (Reply(409, {}, b""), Outcome.REJECTED),
        (Reply(500, {}, b""), Outcome.UNKNOWN),
        (NotSent("refused"), Outcome.NOT_SENT),
        (Lost("reset"), Outcome.UNKNOWN),
    ],
)
async def test_an_answer_comes_back_classified(answer: Answer, outcome: Outcome) -> None:
    participants = Counter(answer)
    participants.opened.set()

    verdict = await Executor(participants, FakeClock(), limit=1).call(call_of("book"), TRIP, 1)

    assert verdict.outcome is outcome
    assert participants.received[0][2] == timedelta(seconds=10)


async def test_what_is_gone_is_undone() -> None:
    call = undo_of_book()
    participants = Counter(Reply(410, {}, b""))
    participants.opened.set()

    verdict = await Executor(participants, FakeClock(), limit=1).call(call, TRIP, 1)

    assert call.direction is Direction.COMPENSATION
    assert verdict.outcome is Outcome.DONE
