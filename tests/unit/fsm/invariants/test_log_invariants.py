"""Each invariant of the log is violated once, and only that is reported."""

from __future__ import annotations

import pytest
from msgspec.structs import replace as replace_struct
from saga_orchestrator.fsm.call_outcome import Outcome
from saga_orchestrator.fsm.decider.reactions import FORMER_RESTARTED, RESTARTED
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.events import (
    CallbackReceived,
    CompensationBackedOff,
    CompensationFailed,
    CompensationImplied,
    CompensationRequested,
    CompletionWebhookDelivered,
    Event,
    LateReplyIgnored,
    OutputNotReceived,
    Resolution,
    SagaAbandoned,
    SagaCompensated,
    SagaCompleted,
    SagaParked,
    SagaPaused,
    SagaResumed,
    SagaUnparked,
    StatusQueried,
    StepAccepted,
    StepBackedOff,
    StepConfirmedNotExecuted,
    StepNotSent,
    StepResolved,
    StepSkipped,
    StepUnknown,
    WaitStarted,
)
from saga_orchestrator.fsm.invariants import (
    violations,
)
from saga_orchestrator.fsm.testing import NOON, define
from saga_orchestrator.tests.unit.fsm.invariants.histories import (
    BACK,
    called,
    done,
    history_of_events,
    rejected,
    undo,
    undone,
)

TWO = define("book", "pay")
PIVOTAL = define("book", "pay pivot", "ship")
PASSING = define("book", "pay continue", "ship")
ASKING = define("book", "pay status attempts=3")
BESIDE = define("book", "pay after=", "ship after=book,pay")
LATER = define("book callback", "pay after=", "ship after=book,pay")
COVERED = define("book", "pay undone_by=book", "ship")
NESTED = define("trip child=room", "pay after=", "ship after=trip,pay")
Case = tuple[Definition, list[Event], list[tuple[str, int]]]

BOTH: list[Event] = [called("book"), done("book"), called("pay"), done("pay")]
DECLINED: list[Event] = [called("book"), done("book"), called("pay"), rejected("pay"), BACK]
FAILED = CompensationFailed(step="pay", attempt=1, error="no")
LOST = StepBackedOff(step="pay", attempt=1, outcome=Outcome.UNKNOWN, error="", until=NOON)
THROTTLED = StepBackedOff(step="pay", attempt=1, outcome=Outcome.THROTTLED, error="", until=NOON)
UNKNOWN = StepUnknown(step="book", attempt=1, error="")
DOUBTED = StepUnknown(step="pay", attempt=1, error="")
ACCEPTED = StepAccepted(step="book", attempt=1, until=NOON)
BOOK_LOST = replace_struct(LOST, step="book")
REPORTED = CallbackReceived(step="book", done=True)
SENT_AGAIN = replace_struct(rejected("pay"), resent=True)
PAY_PARKED = SagaParked(reason="", not_done=("pay", "ship"))
NONE_DONE = SagaParked(reason="", not_done=("book", "pay", "ship"))
TRIP_PARKED = SagaParked(reason="", not_done=("trip", "pay", "ship"))
BUSY = replace_struct(THROTTLED, outcome=Outcome.BUSY)
UNDO_BUSY = CompensationBackedOff(step="pay", attempt=1, outcome=Outcome.BUSY, error="", until=NOON)
UNDO_LOST = CompensationBackedOff(
    step="pay", attempt=1, outcome=Outcome.UNKNOWN, error="", until=NOON
)
WITHOUT_OUTPUT: list[Event] = [
    called("book"),
    done("book"),
    SagaParked(reason="no output", not_done=("pay",), without_output=("book",)),
    SagaUnparked(back=False),
    called("book", 2),
]
KEPT: dict[str, tuple[Definition, list[Event]]] = {
    "an output that is asked for again": (TWO, WITHOUT_OUTPUT),
    "an output that came again, and a later step that is undone first": (
        TWO,
        [*WITHOUT_OUTPUT, done("book", 2), called("pay"), done("pay"), BACK, undo("pay")],
    ),
    "an output that was not received": (
        TWO,
        [
            *WITHOUT_OUTPUT,
            OutputNotReceived(step="book", attempt=2, error="no"),
            SagaParked(reason="no output", not_done=("pay",), without_output=("book",)),
        ],
    ),
    "a completion": (TWO, [*BOTH, SagaCompleted()]),
    "a completion whose webhook was delivered": (
        TWO,
        [
            *BOTH,
            SagaCompleted(),
            LateReplyIgnored(step="pay", what="said again"),
            CompletionWebhookDelivered(rested_version=6),
        ],
    ),
    "a completion that is turned back on": (
        TWO,
        [*BOTH, SagaCompleted(), BACK, undo("pay"), undone("pay"), undo("book"), undone("book"),
         SagaCompensated()],
    ),
    "a decline": (TWO, [*DECLINED, undo("book"), undone("book"), SagaCompensated()]),
    "a step that was skipped": (
        TWO,
        [called("book"), done("book"), StepSkipped(step="pay"), SagaCompleted()],
    ),
    "a doubt that a question has settled": (
        ASKING,
        [called("book"), done("book"), called("pay"), LOST, StatusQueried(step="pay", attempt=1),
         StepConfirmedNotExecuted(step="pay", attempt=1, error="unknown key"), 
         called("pay", 2), rejected("pay", 2), BACK, undo("book"),
         undone("book"), SagaCompensated()],
    ),
    "a doubt that the last question has settled": (
        ASKING,
        [called("book"), done("book"), called("pay"), LOST, StatusQueried(step="pay", attempt=1),
         StepNotSent(step="pay", attempt=1, error="unknown key"), BACK, undo("book"),
         undone("book"), SagaCompensated()],
    ),
    "a question that uses an attempt up": (
        ASKING,
        [called("book"), done("book"), called("pay"), LOST, StatusQueried(step="pay", attempt=1),
         StepUnknown(step="pay", attempt=2, error="no answer"), BACK, undo("pay"), undone("pay"),
         undo("book"), undone("book"), SagaCompensated()],
    ),
    "a retry and a request after the rejection of a pivot that was sent again": (
        PIVOTAL,
        [*BOTH[:3], SENT_AGAIN, PAY_PARKED, SagaUnparked(back=False), called("pay", 2),
         rejected("pay", 2), PAY_PARKED, SagaUnparked(back=False), called("pay", 3),
         StepBackedOff(step="pay", attempt=3, outcome=Outcome.NOT_SENT, error="", until=NOON),
         CompensationRequested(), called("pay", 4)],
    ),
    "an early callback that is contradicted": (
        define("pay callback"),
        [called("pay"), CallbackReceived(step="pay", done=True), rejected("pay"), BACK,
         undo("pay"), undone("pay"), SagaCompensated()],
    ),
    "a call that is repeated for its output": (
        TWO,
        [*BOTH, SagaParked(reason="lost", without_output=("pay",)), SagaUnparked(back=False),
         called("pay", 2)],
    ),
    "an undo that covers another": (
        COVERED,
        [*BOTH, called("ship"), rejected("ship"), BACK, undo("book"), undone("book"),
         CompensationImplied(step="pay", by="book"), SagaCompensated()],
    ),
    "a failure that may be passed over": (
        PASSING,
        [*BOTH, BACK, undo("pay"), FAILED, undo("book"), undone("book"),
         SagaParked(reason="no", not_undone=("pay",))],
    ),
    "a failure that an operator has resolved": (
        TWO,
        [*BOTH, BACK, undo("pay"), FAILED, SagaParked(reason="no", not_undone=("book", "pay")),
         StepResolved(step="pay", verdict=Resolution.UNDONE, evidence="seen"),
         SagaUnparked(back=True), undo("book"), undone("book"), SagaCompensated()],
    ),
    "a parking place": (
        TWO, [called("book"), done("book"), SagaParked(reason="", not_done=("pay",))],
    ),
    "a pivot that had happened, as an operator finds out during compensation": (
        PIVOTAL,
        [called("book"), done("book"), called("pay"), rejected("pay"), BACK, undo("book"),
         CompensationFailed(step="book", attempt=1, error="no"),
         SagaParked(reason="no", not_undone=("book",)),
         StepResolved(step="pay", verdict=Resolution.DONE, evidence="seen"),
         SagaUnparked(back=True), undo("book", 2)],
    ),
    "a request that waits for a pivot that is busy": (
        PIVOTAL,
        [*BOTH[:3], BUSY, CompensationRequested()],
    ),
    "a request that waits for a pivot that is called again after an unknown outcome": (
        PIVOTAL,
        [*BOTH[:3], DOUBTED, SagaParked(reason="", not_done=("pay", "ship")),
         SagaUnparked(back=False), called("pay", 2), replace_struct(THROTTLED, attempt=2),
         CompensationRequested(), called("pay", 2)],
    ),
    "a turn after the rejection of a pivot that was busy": (
        PIVOTAL,
        [*BOTH[:3], BUSY, called("pay"), rejected("pay"), BACK, undo("book")],
    ),
    "a request that waits for a pivot that a crash has sent again": (
        PIVOTAL,
        [*BOTH[:3], replace_struct(THROTTLED, resent=True), CompensationRequested()],
    ),
    "a request that a passed pivot overtakes": (
        PIVOTAL,
        [*BOTH[:3], CompensationRequested(), done("pay"), called("ship"), done("ship"),
         SagaCompleted()],
    ),
    "a call after a failure, and a pivot is in doubt": (
        define("book after=", "pay pivot after=", "ship after=book,pay"),
        [called("book"), called("pay"), rejected("book"), replace_struct(LOST, resent=True),
         called("pay", 2)],
    ),
    "an undo that is busy for long": (
        define("book", "pay undo_attempts=1"),
        [*BOTH, BACK, undo("pay"), UNDO_BUSY, undo("pay"), UNDO_BUSY, undo("pay")],
    ),
    "a pause that ends": (
        TWO,
        [called("book"), SagaPaused(), done("book"), SagaResumed(), called("pay")],
    ),
    "a pause that a request ends": (TWO, [*BOTH[:3], SagaPaused(), done("pay"), BACK, undo("pay")]),
    "outcomes of what a parked saga had begun": (
        LATER,
        [called("book"), ACCEPTED, called("pay"), DOUBTED, NONE_DONE, done("book"),
         StepResolved(step="pay", verdict=Resolution.DONE, evidence="seen"),
         SagaUnparked(back=False), called("ship")],
    ),
    "a callback about a step that backs off while the saga is parked": (
        LATER,
        [called("book"), BOOK_LOST, called("pay"), DOUBTED, NONE_DONE, REPORTED],
    ),
    "a child that is abandoned while its parent is parked": (
        NESTED,
        [WaitStarted(step="trip"), called("pay"), DOUBTED, TRIP_PARKED,
         StepUnknown(step="trip", attempt=0, error="abandoned")],
    ),
    "a child that is compensated while its parent is parked": (
        NESTED,
        [WaitStarted(step="trip", child_id="4711"), called("pay"), DOUBTED, TRIP_PARKED,
         done("trip", 0), rejected("trip", 0)],
    ),
    "a step that was turned away and counts as not sent": (
        TWO,
        [*BOTH[:3], THROTTLED, BACK, StepNotSent(step="pay", attempt=1, error=""), undo("book"),
         undone("book"), SagaCompensated()],
    ),
    "a busy step that counts as not sent, as a question has settled": (
        ASKING,
        [*BOTH[:3], BUSY, StatusQueried(step="pay", attempt=1), BACK,
         StepNotSent(step="pay", attempt=1, error=""), undo("book"), undone("book"),
         SagaCompensated()],
    ),
    "a parked saga that is abandoned": (
        TWO,
        [called("book"), done("book"), SagaParked(reason="", not_done=("pay",)),
         SagaAbandoned(reason="", not_done=("pay",), not_undone=("book",))],
    ),
    "a callback that decides": (
        define("pay callback"),
        [called("pay"), CallbackReceived(step="pay", done=True), done("pay"), SagaCompleted()],
    ),
    "a sleep": (define("rest sleep=1h"), [WaitStarted(step="rest", until=NOON)]),
    "a child that is waited for": (define("trip child=room"), [WaitStarted(step="trip")]),
}  # fmt: skip
BROKEN: dict[str, Case] = {
    "I1: an undo that goes on": (
        TWO,
        [*DECLINED[:2], BACK, undo("book"), undone("book"), SagaCompensated(),
         StepSkipped(step="pay")],
        [("I1", 8)],
    ),
    "I1: an event after an abandon": (
        TWO,
        [SagaAbandoned(reason="", not_done=("book", "pay")), StepSkipped(step="book")],
        [("I1", 3)],
    ),
    "I2: a completion of half of it": (
        TWO,
        [called("book"), done("book"), SagaCompleted()],
        [("I2", 4)],
    ),
    "I2: a list of what is not done that is too short": (
        TWO,
        [called("book"), rejected("book"), SagaParked(reason="no", not_done=("pay",))],
        [("I2", 4)],
    ),
    "I2: a list of what is not undone that is too short": (
        TWO,
        [called("book"), done("book"), BACK, SagaParked(reason="it cannot be called")],
        [("I2", 5)],
    ),
    "I2: a list of what is not undone that is too long": (
        TWO,
        [*DECLINED, SagaParked(reason="it cannot be called", not_undone=("book", "pay"))],
        [("I2", 7)],
    ),
    "I2: an abandon that does not name what stays": (
        TWO,
        [called("book"), done("book"), SagaAbandoned(reason="", not_done=("pay",))],
        [("I2", 4)],
    ),
    "I2: a list of what is not done in another order": (
        TWO,
        [called("book"), rejected("book"), SagaParked(reason="no", not_done=("pay", "book"))],
        [("I2", 4)],
    ),
    "I2: a call while the saga is parked": (
        TWO,
        [called("book"), done("book"), SagaParked(reason="", not_done=("pay",)), called("pay")],
        [("I2", 5), ("I11", 5)],
    ),
    "I2: a verdict that unparks nothing": (
        TWO,
        [called("book"), UNKNOWN, SagaParked(reason="", not_done=("book", "pay")),
         StepResolved(step="book", verdict=Resolution.DONE, evidence="seen")],
        [("I2", 5)],
    ),
    "I2: a callback that decides while the saga is parked over a call": (
        LATER,
        [called("book"), called("pay"), DOUBTED, NONE_DONE, done("book")],
        [("I2", 6)],
    ),
    "I2: a callback about a step that is called while the saga is parked": (
        LATER,
        [called("book"), called("pay"), DOUBTED, NONE_DONE, REPORTED],
        [("I2", 6), ("I11", 6)],
    ),
    "I2: a second callback while the saga is parked": (
        LATER,
        [called("book"), BOOK_LOST, called("pay"), DOUBTED, NONE_DONE, REPORTED, REPORTED],
        [("I2", 8)],
    ),
    "I2: a sleep that ends while the saga is parked": (
        define("rest sleep=1h", "pay after=", "ship after=rest,pay"),
        [WaitStarted(step="rest", until=NOON), called("pay"), DOUBTED,
         SagaParked(reason="", not_done=("rest", "pay", "ship")), done("rest", 0)],
        [("I2", 6)],
    ),
    "I3: a step that was lost, and counts as not sent": (
        TWO,
        [called("book"), BOOK_LOST, BACK, StepNotSent(step="book", attempt=1, error=""),
         SagaCompensated()],
        [("I3", 6)],
    ),
    "I3: a step that was busy, and counts as not sent": (
        TWO,
        [called("book"), replace_struct(BUSY, step="book"), BACK,
         StepNotSent(step="book", attempt=1, error=""), SagaCompensated()],
        [("I3", 6)],
    ),
    "I2: an unknown step that is called again, and counts as not sent": (
        define("pay pivot", "book"),
        [called("pay"), done("pay"), called("book"), UNKNOWN,
         SagaParked(reason="", not_done=("book",)), SagaUnparked(back=False), called("book", 2),
         StepNotSent(step="book", attempt=2, error=""),
         SagaAbandoned(reason="", not_done=("book",), not_undone=("pay",))],
        [("I2", 10)],
    ),
    "I3: a step that counts as not sent though the question about it was not answered": (
        define("book status attempts=3"),
        [called("book"), BOOK_LOST, StatusQueried(step="book", attempt=1),
         replace_struct(BOOK_LOST, attempt=2), BACK,
         StepNotSent(step="book", attempt=2, error=""), SagaCompensated()],
        [("I3", 8)],
    ),
    "I3: an undo before the saga turns back": (
        TWO,
        [called("book"), done("book"), undo("book")],
        [("I3", 4)],
    ),
    "I3: an undo of nothing": (
        TWO,
        [called("book"), rejected("book"), BACK, undo("book")],
        [("I3", 5)],
    ),
    "I3: an effect that still stands at the end": (
        TWO,
        [*DECLINED, SagaCompensated()],
        [("I3", 7)],
    ),
    "I3: a doubt that still stands at the end": (
        TWO,
        [called("book"), StepUnknown(step="book", attempt=1, error=""), BACK, SagaCompensated()],
        [("I3", 5)],
    ),
    "I4: an undo that passes over a later one": (
        TWO,
        [*BOTH, BACK, undo("book"), undone("book"), undo("pay"), undone("pay"), SagaCompensated()],
        [("I4", 7)],
    ),
    "I4: the same beside each other": (
        BESIDE,
        [called("book"), called("pay"), done("pay"), done("book"), BACK, undo("pay")],
        [("I4", 7)],
    ),
    "I5: a pivot that is turned back on": (
        PIVOTAL,
        [*BOTH, called("ship"), rejected("ship"), BACK,
         SagaParked(reason="it cannot be called", not_undone=("book", "pay"))],
        [("I5", 8)],
    ),
    "I6: an answer to what was never asked": (
        TWO,
        [called("book"), done("book", attempt=2), called("pay")],
        [("I6", 3)],
    ),
    "I6: an answer to an undo that was never asked for": (
        TWO,
        [*DECLINED, undo("book"), CompensationFailed(step="book", attempt=2, error=""),
         SagaParked(reason="", not_undone=("book",))],
        [("I6", 8)],
    ),
    "I8: a transition that the machine of the saga has not": (
        TWO,
        [*BOTH, SagaCompleted(), SagaParked(reason="no")],
        [("I8", 7)],
    ),
    "I8: a transition that the machine of the step has not": (TWO, [done("book")], [("I8", 2)]),
    "I8: a step that the definition has not": (TWO, [called("ship")], [("I8", 2)]),
    "I11: a saga that waits for nothing": (TWO, [called("book"), done("book")], [("I11", 3)]),
    "I11: one that rests over a call": (
        TWO,
        [called("book"), SagaParked(reason="no", not_done=("book", "pay"))],
        [("I11", 3)],
    ),
    "R2: an undo over a call": (
        BESIDE,
        [called("book"), done("book"), called("pay"), BACK, undo("book")],
        [("R2", 6)],
    ),
    "R2: an undo over a wait": (
        define("book", "rest sleep=1h after=", "ship after=book,rest"),
        [called("book"), done("book"), WaitStarted(step="rest", until=NOON), BACK, undo("book")],
        [("R2", 6)],
    ),
    "R2: an undo over a call that was accepted": (
        define("book", "pay callback"),
        [*BOTH[:3], StepAccepted(step="pay", attempt=1, until=NOON), BACK, undo("book")],
        [("R2", 7)],
    ),
    "R2: an undo over a call that is repeated for an output, which an operator has supplied": (
        TWO,
        [*WITHOUT_OUTPUT, StepResolved(step="book", verdict=Resolution.DONE, evidence="seen"),
         BACK, undo("book")],
        [("R2", 9)],
    ),
    "R2: a compensation that ends over a call that was accepted": (
        define("book callback"),
        [called("book"), ACCEPTED, BACK, SagaCompensated()],
        [("R2", 5)],
    ),
    "R2: a compensation that ends over a child": (
        define("trip child=room"),
        [WaitStarted(step="trip"), BACK, SagaCompensated()],
        [("R2", 4)],
    ),
    "R2: an undo over a back-off": (TWO, [*BOTH[:3], LOST, BACK, undo("book")], [("R2", 7)]),
    "R2: an undo over a question": (
        ASKING,
        [*BOTH[:3], LOST, StatusQueried(step="pay", attempt=1), BACK, undo("book")],
        [("R2", 8)],
    ),
    "R2: an undo over a doubt that is settled, and not for good": (
        ASKING,
        [*BOTH[:3], LOST, StatusQueried(step="pay", attempt=1),
         StepConfirmedNotExecuted(step="pay", attempt=1, error=""), BACK, undo("book")],
        [("R2", 9)],
    ),
    "R2: an interrupted call that is given up before its timeout": (
        TWO,
        [called("book"), StepUnknown(step="book", attempt=1, error=RESTARTED), BACK, undo("book")],
        [("R2", 3)],
    ),
    "R2: an interrupted call that is given up before its timeout, by a former version": (
        TWO,
        [called("book"), StepUnknown(step="book", attempt=1, error=FORMER_RESTARTED),
         BACK, undo("book")],
        [("R2", 3)],
    ),
    "R4: a call after the saga has turned back": (
        TWO,
        [called("book"), done("book"), BACK, called("pay")],
        [("R4", 5)],
    ),
    "R4: a call after compensation was requested": (
        PIVOTAL,
        [*BOTH[:3], CompensationRequested(), StepNotSent(step="pay", attempt=1, error=""),
         called("pay", 2)],
        [("R4", 7), ("R4", 7)],
    ),
    "R4: a request that waits for nothing": (
        TWO,
        [called("book"), CompensationRequested()],
        [("R4", 3)],
    ),
    "R4: a request that waits for a pivot that was not executed": (
        PIVOTAL,
        [*BOTH[:3], THROTTLED, CompensationRequested()],
        [("R4", 6)],
    ),
    "R4: a turn while a pivot is called": (
        PIVOTAL,
        [*BOTH[:3], BACK],
        [("R4", 5)],
    ),
    "R4: a turn while a pivot may have happened": (
        PIVOTAL,
        [*BOTH[:3], DOUBTED, BACK, undo("book")],
        [("R4", 6)],
    ),
    "R4: a turn after the rejection of a pivot that was lost": (
        PIVOTAL,
        [*BOTH[:3], LOST, called("pay", 2), rejected("pay", 2), BACK, undo("book")],
        [("R4", 8)],
    ),
    "R4: a turn after the rejection of a pivot that was sent again": (
        PIVOTAL,
        [*BOTH[:3], SENT_AGAIN, BACK, undo("book")],
        [("R4", 6)],
    ),
    "R4: a call after a failure": (
        BESIDE,
        [called("book"), called("pay"), rejected("pay"), done("book"), called("ship")],
        [("R4", 6)],
    ),
    "R4: a call after a verdict of not done": (
        LATER,
        [called("book"), ACCEPTED, called("pay"), DOUBTED, NONE_DONE, done("book"),
         StepResolved(step="pay", verdict=Resolution.NOT_DONE, evidence="seen"),
         SagaUnparked(back=False), called("ship")],
        [("R4", 10)],
    ),
    "R5: a failure of a child that stops": (
        define("pay", "trip child=room"),
        [called("pay"), done("pay"), WaitStarted(step="trip"), done("trip", 0), BACK,
         undo("trip"), CompensationFailed(step="trip", attempt=1, error="no"), undo("pay")],
        [("R5", 9)],
    ),
    "R5: a failure that may be passed over and stops the others": (
        PASSING,
        [*BOTH, BACK, undo("pay"), FAILED, SagaParked(reason="no", not_undone=("book", "pay"))],
        [("R5", 9)],
    ),
    "R5: an undo that is tried too often": (
        define("book", "pay undo_attempts=2"),
        [*BOTH, BACK, undo("pay"), UNDO_LOST, undo("pay", 2), UNDO_LOST],
        [("R5", 10)],
    ),
    "R6: a callback that does not decide": (
        define("pay callback"),
        [called("pay"), CallbackReceived(step="pay", done=True),
         StepUnknown(step="pay", attempt=1, error="no answer"), BACK, undo("pay")],
        [("R6", 4)],
    ),
    "R6: a callback that does not prevent another call": (
        define("pay callback status"),
        [called("pay"), LOST, CallbackReceived(step="pay", done=True),
         StatusQueried(step="pay", attempt=1),
         StepConfirmedNotExecuted(step="pay", attempt=1, error=""), called("pay", 2)],
        [("R6", 6)],
    ),
    "a call in a pause of the operator after that of the parent": (
        TWO,
        [SagaPaused(), SagaPaused(by_parent=True), SagaResumed(by_parent=True), called("book")],
        [("pause", 5)],
    ),
    "R5: an undo after a failure that stops": (
        TWO,
        [*BOTH, BACK, undo("pay"), FAILED, undo("book")],
        [("R5", 9)],
    ),
    "a call in a pause": (TWO, [SagaPaused(), called("book")], [("pause", 3)]),
    "a wait in a pause": (
        define("rest sleep=1h"),
        [SagaPaused(), WaitStarted(step="rest", until=NOON)],
        [("pause", 3)],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("definition", "events"), KEPT.values(), ids=KEPT.keys())
def test_sound_history_violates_no_invariant(definition: Definition, events: list[Event]) -> None:
    assert violations(history_of_events(definition, *events)) == []


@pytest.mark.parametrize(("definition", "events", "found"), BROKEN.values(), ids=BROKEN.keys())
def test_unsound_history_violates_its_invariant(
    definition: Definition, events: list[Event], found: list[tuple[str, int]]
) -> None:
    assert [
        (violation.code, violation.version)
        for violation in violations(history_of_events(definition, *events))
    ] == found
