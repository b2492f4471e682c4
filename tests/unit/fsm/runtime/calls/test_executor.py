from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace
from saga_orchestrator.fsm.call_outcome import (
    CallResult,
    Direction,
    NotSent,
    Outcome,
    Response,
    ResponseLost,
)
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.instructions import CallParticipant
from saga_orchestrator.fsm.runtime.calls.circuit_breaker import FAILURES_TO_OPEN
from saga_orchestrator.fsm.runtime.calls.executor import Executor
from saga_orchestrator.fsm.testing import DONE, REJECTED, action_answer, define, given
from saga_orchestrator.tests.support.in_memory_service import (
    OK_REPLY,
    TIME_LIMIT,
    TOKENS,
    FakeClock,
)
from saga_orchestrator.tests.support.virtual_time import settle

TRIP = define("book", "pay")


class Counter:
    """Counts the calls that are with a participant at the same time; answers when it is opened."""

    def __init__(self, answer: CallResult = OK_REPLY) -> None:
        self.answer, self.opened = answer, asyncio.Event()
        self.now: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.received: list[CallParticipant] = []
        self.tokens: list[str | None] = []

    async def send(self, call: CallParticipant, epoch: int, token: str | None) -> CallResult:
        self.received.append(call)
        self.tokens.append(token)
        participant = call.participant
        self.now[participant] = self.now.get(participant, 0) + 1
        self.most[participant] = max(self.now[participant], self.most.get(participant, 0))
        try:
            await self.opened.wait()
        finally:
            self.now[participant] -= 1
        return self.answer


def call_of(step: str) -> CallParticipant:
    case = given(TRIP)
    return (case if step == "book" else case.when(action_answer("book", DONE))).calls[0]


def undo_of_book(definition: Definition = TRIP) -> CallParticipant:
    case = given(definition).when(action_answer("book", DONE)).when(action_answer("pay", REJECTED))
    return case.calls[0]


async def test_participant_gets_at_most_the_limit_of_concurrent_calls() -> None:
    participants = Counter()
    executor = Executor(participants, TOKENS, FakeClock(), limit=3)
    book, pay = call_of("book"), call_of("pay")

    calls = [asyncio.ensure_future(executor.call(book, TRIP, 1)) for _ in range(10)]
    await settle()

    assert participants.now == {"book-service": 3}
    calls.append(asyncio.ensure_future(executor.call(pay, TRIP, 1)))
    await settle()
    assert participants.now == {"book-service": 3, "pay-service": 1}
    participants.opened.set()
    call_outcomes = await asyncio.wait_for(asyncio.gather(*calls), TIME_LIMIT.total_seconds())
    assert [outcome.kind for outcome in call_outcomes] == [Outcome.DONE] * 11
    assert participants.most == {"book-service": 3, "pay-service": 1}


async def test_cancelled_call_passes_its_slot_to_the_next() -> None:
    participants = Counter()
    executor = Executor(participants, TOKENS, FakeClock(), limit=1)
    calls = [asyncio.ensure_future(executor.call(call_of("book"), TRIP, 1)) for _ in range(3)]
    await settle()

    calls[0].cancel()
    calls[1].cancel()
    await settle()

    assert len(participants.received) == 2
    participants.opened.set()
    assert (await calls[2]).kind is Outcome.DONE


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Response(200, {}, b"{}"), Outcome.DONE),
        (Response(409, {}, b""), Outcome.REJECTED),
        (Response(500, {}, b""), Outcome.UNKNOWN),
        (NotSent("refused"), Outcome.NOT_SENT),
        (ResponseLost("reset"), Outcome.UNKNOWN),
    ],
)
async def test_result_is_classified(answer: CallResult, outcome: Outcome) -> None:
    participants = Counter(answer)
    participants.opened.set()

    call_outcome = await Executor(participants, TOKENS, FakeClock(), limit=1).call(
        call_of("book"), TRIP, 1
    )

    assert call_outcome.kind is outcome
    assert participants.received[0].timeout == timedelta(seconds=10)


async def test_compensation_answered_with_410_succeeds() -> None:
    call = undo_of_book()
    participants = Counter(Response(410, {}, b""))
    participants.opened.set()

    outcome = await Executor(participants, TOKENS, FakeClock(), limit=1).call(call, TRIP, 1)

    assert call.direction is Direction.COMPENSATION
    assert outcome.kind is Outcome.DONE


def an_executor(participants: Counter, clock: FakeClock) -> Executor:
    participants.opened.set()
    return Executor(participants, TOKENS, clock, limit=1)


async def opened(executor: Executor, participants: Counter) -> None:
    participants.answer = NotSent("refused")
    for _ in range(FAILURES_TO_OPEN):
        await executor.call(call_of("book"), TRIP, 1)
    participants.received.clear()


async def test_open_circuit_holds_calls_of_its_participant_only() -> None:
    participants = Counter()
    executor = an_executor(participants, FakeClock())
    await opened(executor, participants)

    outcome = await executor.call(call_of("book"), TRIP, 1)

    assert (outcome.kind, outcome.retry_after) == (Outcome.CIRCUIT_OPEN, timedelta(seconds=3))
    assert participants.received == []
    assert (await executor.call(call_of("pay"), TRIP, 1)).kind is Outcome.NOT_SENT


async def test_only_an_action_completed_by_callback_carries_a_token() -> None:
    participants = Counter()
    executor = an_executor(participants, FakeClock())
    call = call_of("book")

    await executor.call(replace(call, awaits_callback=True), TRIP, 1)
    await executor.call(call, TRIP, 1)

    assert participants.tokens == [TOKENS.issue(call.saga_id, "book"), None]


async def test_callback_token_repeated_by_a_participant_is_in_no_output() -> None:
    definition = define("book callback")
    (call,) = given(definition).calls
    token = TOKENS.issue(call.saga_id, "book")
    participants = Counter(Response(200, {}, b'{"headers": {"token": "%s"}}' % token.encode()))
    participants.opened.set()
    executor = Executor(participants, TOKENS, FakeClock(), limit=1)

    outcome = await executor.call(call, definition, 1)

    assert outcome.output == {"headers": {"token": "[secret]"}}
