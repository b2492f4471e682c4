"""What repeats without news is recorded at first, at each power of two, and with what ends it.

R1 holds all the same: an action or a compensation is out only while the log says so.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from saga_orchestrator.fsm.command import commands, wake_up
from saga_orchestrator.fsm.decide import allowed_actions, decide, is_idle
from saga_orchestrator.fsm.events import (
    CompensationBackedOff,
    CompensationRequested,
    CompensationStarted,
    Event,
    SagaPaused,
    StatusAsked,
    StepAccepted,
    StepBackedOff,
    StepCalled,
    StepNotSent,
    StepSucceeded,
    StepUnknown,
)
from saga_orchestrator.fsm.happening import (
    CallAnswered,
    CancelAsked,
    ParticipantBack,
    PauseAsked,
    TimePassed,
)
from saga_orchestrator.fsm.outcome import Hold, Verdict
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.state import as_recorded, kept_of, with_kept
from saga_orchestrator.fsm.testing import (
    ACCEPTED,
    BUSY,
    DONE,
    HELD,
    REJECTED,
    THROTTLED,
    UNKNOWN,
    Case,
    answered,
    define,
    document,
    given,
    name_of,
    told,
    undo_answered,
)
from saga_orchestrator.tests.unit.fsm.decide.cases import MINUTE, mapped

POWERS = [1, 2, 4, 8, 16]
NEXT = 20 * MINUTE  # when whatever is waited for is due


def of(*steps: str) -> Case:
    return given(define(*steps))


def repeated(
    case: Case, answer: Callable[[], CallAnswered], times: int
) -> tuple[Case, dict[int, tuple[Event, ...]]]:
    """So often the same answer, and what was recorded of each. The last one is waited after."""
    recorded: dict[int, tuple[Event, ...]] = {}
    for number in range(1, times + 1):
        if number > 1:
            case = case.when(TimePassed(), after=NEXT)
            assert len(case.calls) == 1
        case = case.when(answer())
        recorded[number] = case.events
    return case, recorded


def busy_pay(times: int, verdict: Verdict = BUSY, *, pay: str = "pay") -> Case:
    case = of("book", pay).when(answered("book", DONE))
    return repeated(case, lambda: answered("pay", verdict), times)[0]


@pytest.mark.parametrize("verdict", [BUSY, THROTTLED, HELD])
def test_an_action_that_is_repeated_is_recorded_at_powers_of_two(verdict: Verdict) -> None:
    _, recorded = repeated(of("book"), lambda: answered("book", verdict), 20)

    assert [number for number, events in recorded.items() if events] == POWERS
    for number in POWERS:
        (event,) = recorded[number]
        assert isinstance(event, StepBackedOff)
        assert (event.times, event.attempt) == (number, 1)


def test_so_is_a_compensation() -> None:
    case = of("book", "pay").when(answered("book", DONE)).when(answered("pay", REJECTED))
    case, recorded = repeated(case, lambda: undo_answered("book", THROTTLED), 20)

    assert [number for number, events in recorded.items() if events] == POWERS
    assert all(isinstance(recorded[number][-1], CompensationBackedOff) for number in POWERS)
    case.when(TimePassed(), after=NEXT).then().then_calls("undo book#1")
    case.when(TimePassed(), after=NEXT).when(undo_answered("book", DONE)).then_status("compensated")


def test_so_is_a_poll() -> None:
    case = of("book poll").when(answered("book", ACCEPTED))
    asked = case.when(TimePassed(), after=MINUTE).then(StatusAsked(step="book", attempt=1))
    recorded = []
    for number in range(2, 12):
        asked = asked.when(told("book", BUSY))
        recorded += [number - 1 for one in asked.events if isinstance(one, StepAccepted)]
        asked = asked.when(TimePassed(), after=MINUTE)
        asked.then_calls("ask book#1")

    assert recorded == [1, 2, 4, 8]
    assert asked.step("book").polls == 11


def test_so_is_a_question_about_what_is_in_doubt() -> None:
    case = of("book status").when(answered("book", UNKNOWN)).when(TimePassed(), after=MINUTE)
    case, recorded = repeated(case, lambda: told("book", BUSY), 20)

    assert [number for number, events in recorded.items() if events] == POWERS
    assert case.step("book").attempts == 1


@pytest.mark.parametrize(
    ("end", "last"),
    [
        (DONE, StepSucceeded(step="pay", attempt=1)),
        (UNKNOWN, None),
        (THROTTLED, None),
    ],
)
def test_the_count_is_recorded_with_what_ends_it(end: Verdict, last: Event | None) -> None:
    case = busy_pay(11).when(TimePassed(), after=NEXT).then().then_calls("pay#1")

    case = case.when(answered("pay", end))

    counted = [one for one in case.events if isinstance(one, StepBackedOff)]
    assert counted[0].times == (12 if end is THROTTLED else 11)
    assert last is None or last in case.events


def test_an_answer_of_another_kind_is_news() -> None:
    case = busy_pay(11, THROTTLED).when(TimePassed(), after=NEXT).when(answered("pay", BUSY))

    assert case.step("pay").was_busy
    assert as_recorded(case.state).step("pay").was_busy


def test_a_crash_finds_the_call_in_the_log_and_its_attempt_and_doubts_it() -> None:
    case = busy_pay(11, THROTTLED)
    logged = Case(now=case.now, moved=saga_as_logged(case), events=())

    assert [name_of(one) for one in commands(logged.saga)] == ["pay#1"]
    assert logged.step("pay").times == 8
    again = logged.when(answered("pay", THROTTLED, resent=True))
    (event,) = again.events
    assert isinstance(event, StepBackedOff)
    assert (event.times, event.resent) == (9, True)
    again.when(CancelAsked()).then_calls("undo pay#1")


def test_a_wait_that_is_recorded_survives_a_crash_as_it_is() -> None:
    case = busy_pay(8, THROTTLED)

    assert as_recorded(case.state) == case.state
    assert wake_up(case.saga) == case.step("pay").next_attempt_at
    case.when(CancelAsked()).then_status("compensating", pay="not_sent")


@pytest.mark.parametrize("pay", ["pay", "pay pivot"])
def test_a_cancel_while_it_waits_finds_out_that_it_was_not_executed(pay: str) -> None:
    case = busy_pay(11, THROTTLED, pay=pay).when(CancelAsked())

    counted, turned, settled, _ = case.events
    assert isinstance(counted, StepBackedOff)
    assert counted.times == 11
    assert isinstance(turned, CompensationStarted)
    assert settled == StepNotSent(step="pay", attempt=1, error="429 not now")


def test_a_cancel_while_it_is_out_waits_for_it() -> None:
    case = busy_pay(11, THROTTLED, pay="pay pivot").when(TimePassed(), after=NEXT)

    case = case.when(CancelAsked(reason="enough"))

    assert [type(one) for one in case.events] == [StepBackedOff, StepCalled, CompensationRequested]
    case.when(answered("pay", THROTTLED)).then_status("compensating", pay="not_sent")
    case.when(answered("pay", UNKNOWN)).then_status("running", pay="backing_off")


def test_a_busy_one_is_undone() -> None:
    case = busy_pay(11).when(CancelAsked())

    assert isinstance(case.events[2], StepUnknown)
    case.then_calls("undo pay#1")


def test_a_pause_finds_all_recorded() -> None:
    case = busy_pay(11, THROTTLED).when(PauseAsked())

    assert [type(one) for one in case.events] == [StepBackedOff, SagaPaused]
    assert as_recorded(case.state) == case.state


def test_what_is_held_back_at_once_is_not_recorded_as_called() -> None:
    held = {"book-service": Hold(MINUTE)}
    saga = given(define("rest sleep=1m", "book")).saga
    now = saga.state.updated_at + MINUTE
    woken = decide(saga, TimePassed(), now=now, jitter=0, held=held)

    assert [type(one) for one in woken.events] == [StepSucceeded, StepBackedOff]
    assert (woken.calls, woken.saga.status_of("book")) == ((), "backing_off")
    recorded = []
    saga = woken.saga
    for number in range(2, 18):
        now += NEXT
        decision = decide(saga, TimePassed(), now=now, jitter=0, held=held)
        recorded += [number] * bool(decision.events)
        assert decision.calls == ()
        saga = decision.saga
    assert recorded == POWERS[1:]
    back = decide(saga, ParticipantBack("book-service"), now=now, jitter=0)
    assert [type(one) for one in back.events] == [StepBackedOff, StepCalled]
    assert [name_of(one) for one in back.calls] == ["book#1"]


def test_what_cannot_be_called_is_not_held_back_but_parks_and_can_be_skipped() -> None:
    body = {"of": "${steps.book.output.id}"}
    action = {"path": "/pay", "body": body}
    case = given(mapped(dict(document("book", "pay")), 1, action=action))
    saga, now = case.saga, case.state.updated_at
    parked = decide(
        saga, answered("book", DONE), now=now, jitter=0, held={"pay-service": Hold(MINUTE)}
    )

    assert (parked.saga.state.status, parked.saga.status_of("pay")) == ("parked", "pending")
    assert "skip" in allowed_actions(parked.saga)


def test_who_waits_without_news_may_leave_memory_and_comes_back_as_it_was() -> None:
    case = busy_pay(11, THROTTLED)

    assert with_kept(as_recorded(case.state), kept_of(case.state)) == case.state
    assert is_idle(case.saga)


def test_what_is_kept_of_an_earlier_version_counts_no_more() -> None:
    case = busy_pay(11, THROTTLED)
    later = case.when(PauseAsked()).state

    assert with_kept(later, kept_of(case.state)) == later


@drawn(st.lists(st.sampled_from([BUSY, THROTTLED, HELD]), max_size=70))
def test_however_answers_alternate_few_of_them_are_recorded(verdicts: list[Verdict]) -> None:
    case, events = of("book"), 0
    for verdict in verdicts:
        case = case.when(answered("book", verdict))
        events += len(case.events)
        case = case.when(TimePassed(), after=NEXT)
        events += len(case.events)

    assert events <= 2 * (7 + 3)
    assert case.step("book").times == len(verdicts)
    assert case.step("book").was_busy == (BUSY in verdicts)


def saga_as_logged(case: Case) -> Saga:
    """What another process reads."""
    return Saga(case.saga.definition, as_recorded(case.state))
