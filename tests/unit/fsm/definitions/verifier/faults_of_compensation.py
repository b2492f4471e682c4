"""Effects that would stay, and pivots at the wrong place."""

from __future__ import annotations

from saga_orchestrator.tests.unit.fsm.definitions.verifier.fault import (
    BOOK,
    MAYBE,
    Fault,
    beyond,
    call,
    pivot,
    sleep,
    step,
    wait,
)

UNDO = [
    Fault(
        "an effect before any pivot has no compensation",
        ("/steps/1", "cannot-be-undone"),
        [BOOK, step("pay", compensation=None)],
    ),
    Fault(
        "an effect beside the pivot has no compensation",
        ("/steps/1", "cannot-be-undone"),
        [pivot("pay", after=[]), step("book", after=[], compensation=None)],
    ),
    Fault(
        "a step that is to be undone when it is rejected has no compensation",
        ("/steps/0/compensate_on_reject", "cannot-be-undone"),
        [pivot("pay", compensate_on_reject=True)],
    ),
    Fault(
        "a step without an effect has a compensation",
        ("/steps/0/compensation", "undo-of-nothing"),
        [step("look", effect="none")],
    ),
    Fault(
        "a sleep is said to be undone",
        ("/steps/1/undone_by", "undo-of-nothing"),
        [BOOK, sleep("nap", "1s", undone_by="book")],
    ),
    Fault(
        "a step is undone by one that does not exist",
        ("/steps/1/undone_by", "undone-by-nobody"),
        [BOOK, step("pay", compensation=None, undone_by="nobody")],
    ),
    Fault(
        "a step is undone by itself",
        ("/steps/0/undone_by", "undone-by-nobody"),
        [step("book", compensation=None, undone_by="book")],
    ),
    Fault(
        "a step is undone by a later one",
        ("/steps/0/undone_by", "undone-by-nobody"),
        [step("pay", compensation=None, undone_by="book"), BOOK],
    ),
    Fault(
        "a step is undone by one beside it",
        ("/steps/1/undone_by", "undone-by-nobody"),
        [step("book", after=[]), step("pay", after=[], compensation=None, undone_by="book")],
    ),
    Fault(
        "a step is undone by one that may be skipped",
        ("/steps/1/undone_by", "undone-by-nobody"),
        [MAYBE, step("pay", compensation=None, undone_by="book")],
    ),
    Fault(
        "a step is undone by one that has no compensation",
        ("/steps/1/undone_by", "undone-by-nobody"),
        [
            step("look", effect="none", compensation=None),
            step("pay", compensation=None, undone_by="look"),
        ],
    ),
    Fault(
        "a step is undone by another one and by itself",
        ("/steps/1/undone_by", "undone-twice"),
        [BOOK, step("pay", undone_by="book")],
    ),
    Fault(
        "a pivot has a compensation",
        ("/steps/0/compensation", "undo-never-called"),
        [step("pay", pivot=True)],
    ),
    Fault(
        "a step after the pivot has a compensation",
        ("/steps/1/compensation", "undo-never-called"),
        [pivot("pay"), step("ship")],
    ),
    Fault(
        "a step after the pivot is undone by an earlier one",
        ("/steps/2/undone_by", "undo-never-called"),
        [BOOK, pivot("pay"), beyond("ship", undone_by="book")],
    ),
    Fault(
        "a compensation is tried once",
        ("/steps/0/compensation/retry/attempts", "single-undo-attempt"),
        [step("book", compensation=call("/undo", retry={"attempts": 1}))],
    ),
    Fault(
        "a compensation is tried for ever",
        ("/steps/0/compensation/retry/attempts", "tries-for-ever"),
        [step("book", compensation=call("/undo", retry={"attempts": None}))],
    ),
    Fault(
        "a compensation repeats the action",
        ("/steps/0/compensation", "undo-repeats-action"),
        [step("book", compensation=call("/book"))],
    ),
]

PIVOTS = [
    Fault(
        "two pivots run side by side",
        ("/steps/0/pivot", "parallel-pivots"),
        [pivot("pay", after=[]), pivot("sign", after=[])],
    ),
    Fault(
        "a pivot follows what comes after a pivot",
        ("/steps/2/pivot", "second-pivot"),
        [pivot("pay"), beyond("ship"), pivot("sign")],
    ),
    Fault(
        "a step that may be refused runs beside the pivot",
        ("/steps/1", "beside-pivot"),
        [pivot("pay", after=[]), step("book", after=[])],
    ),
    Fault(
        "a wait that may be refused runs beside the pivot",
        ("/steps/1", "beside-pivot"),
        [pivot("pay", after=[]), wait("ask", "approval", after=[])],
    ),
    Fault(
        "a pivot may be skipped",
        ("/steps/0/when", "pivot-may-be-skipped"),
        [pivot("pay", when="${input.pay}"), step("ship")],
    ),
    Fault(
        "after a pivot that may be skipped there is no compensation",
        ("/steps/1", "cannot-be-undone"),
        [pivot("pay", when="${input.pay}"), step("ship", compensation=None)],
    ),
    Fault(
        "a step after the pivot is given up",
        ("/steps/1/action/retry/attempts", "gives-up-after-pivot"),
        [pivot("pay"), beyond("ship", action=call("/ship", retry={"attempts": 3}))],
    ),
]
