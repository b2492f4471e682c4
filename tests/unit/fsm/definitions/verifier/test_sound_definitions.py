"""What is right is not found fault with: a warning that can be ignored teaches to ignore them."""

from __future__ import annotations

import pytest
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.definitions.verifier import verify
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.tests.unit.fsm.definitions.verifier.fault import (
    BOOK,
    HELD,
    MAYBE,
    Fault,
    beyond,
    call,
    findings,
    pivot,
    sleep,
    step,
    wait,
)

SOUND: dict[str, list[Json]] = {
    "an undo that falls back on the key": [
        step("book", compensation=call("/undo/${steps.book.output.id || steps.book.key}"))
    ],
    "an undo that reads what came before": [
        HELD,
        step("pay", compensation=call("/undo/${steps.book.output.id}")),
    ],
    "an undo that reads what came later, if it came": [
        step("book", compensation=call("/undo", body="${steps.pay.output.id || 'unpaid'}")),
        step("pay"),
    ],
    "an undo that says why": [step("book", compensation=call("/undo", body="${saga.error}"))],
    "a pivot, and what must follow it": [BOOK, pivot("pay"), beyond("ship")],
    "a pivot that waits for both branches": [
        step("book", after=[]),
        step("rent", after=[]),
        pivot("pay", after=["book", "rent"]),
        beyond("ship"),
    ],
    "a sleep beside a pivot": [pivot("pay", after=[]), sleep("nap", "1s", after=[])],
    "a pivot that is undone when it was rejected": [
        step("pay", pivot=True, compensate_on_reject=True)
    ],
    "steps in another order than they run": [
        step("pay", after=["book"], action=call("/pay", body="${steps.book.output.id}")),
        step("book", after=[]),
    ],
    "texts that only look like slips": [
        step(
            "book",
            action=call(
                "/book/%7Bid%7D/1:room/all:cancel?filter[name]=x&b=1,2;3",
                body={
                    "json": '{"a": 1}',
                    "set": "{}",
                    "price": "for $5 or US$${input.price}, $inputs.a and a ratio of 1:n",
                    "event": "order.created",
                    "sentence": "input.a is what the saga.id was",
                    "file": "/input.csv",
                    "tell": "http://saga/sagas/${saga.id}/signals/approval",
                    "other": "http://saga/sagas/${input.other}/signals/aproval",
                },
                headers={"x-tab": "a\tb", "authorization": "Bearer ${input.token}"},
            ),
        ),
        wait("ask", "approval"),
    ],
    "a choice, and a fallback on what was not chosen": [
        MAYBE,
        step("pay", action=call("/pay", body="${steps.book.output.id || 'nothing'}")),
    ],
    "a condition on what may not have been said": [
        MAYBE,
        step("pay", when="${steps.book.output.price}"),
    ],
    "two steps of one condition": [
        MAYBE,
        step(
            "pay",
            when="${input.hotel}",
            action=call("/pay/${steps.book.output.id}"),
            compensation=None,
            undone_by="book",
        ),
    ],
    "a step whose condition is that of an earlier one and more": [
        MAYBE,
        step("pay", when="${input.rich && input.hotel}", action=call("/${steps.book.output.id}")),
    ],
    "a step that asks whether there is an output": [
        MAYBE,
        step(
            "pay",
            when="${steps.book.output.id || `false`}",
            action=call("/pay/${steps.book.output.id}"),
        ),
    ],
    "a confirmation that is undone with what it confirms": [
        BOOK,
        step("confirm", compensation=None, undone_by="book"),
    ],
    "a child that undoes what follows it": [
        {"name": "child", "saga": {"type": "stay"}},
        step("confirm", compensation=None, undone_by="child"),
    ],
    "a saga that starts itself as long as there is more": [
        {"name": "again", "saga": {"type": "trip"}, "when": "${input.more}"}
    ],
    "a saga that starts its predecessor": [{"name": "old", "saga": {"type": "trip", "version": 9}}],
    "a look": [step("look", effect="none", compensation=None, action=call("/", method="GET"))],
    "a poll": [step("book", completion="poll", status=call("/book/${steps.book.key}"))],
    "the body of a signal": [
        wait("ask", "approval"),
        step("book", action=call("/book", body={"by": "${steps.ask.output.by}"})),
    ],
    "the output of a callback, whatever is declared of the reply": [
        step("book", completion="callback", output={"id": "${response.body.id}"}),
        step("pay", action=call("/pay", body="${steps.book.output.price}")),
    ],
    "one signal for one step after another": [wait("one", "go"), wait("two", "go")],
    "a condition on what is known": [HELD, step("pay", when="${steps.book.output.id == `1`}")],
    "a path with a query, and dots that are no segments": [
        step("book", action=call("/v1.2/...?at=../${input.place}&b=%23"))
    ],
    "functions as they are": [
        step(
            "book",
            action=call(
                "/book",
                body={
                    "all": "${merge(input.a, {id: saga.id}, {of: saga.entity_id.country})}",
                    "best": "${sort_by(input.rooms, &price)[?price > `3`].id | [0]}",
                    "any": "${not_null(input.a, input.b)}",
                    "text": "room ${input.number} of ${saga.type}",
                },
            ),
        )
    ],
}


@pytest.mark.parametrize("steps", SOUND.values(), ids=SOUND)
def test_sound_definition_has_no_finding(steps: list[Json]) -> None:
    document: Json = {"saga": "trip", "version": 1, "steps": steps}

    assert findings(document) == []


@pytest.mark.parametrize(
    "expression",
    [
        "${input}",
        "${input.anything[3].at.all}",
        "${saga.id}${saga.type}",
        "${saga.entity_id || 'none'}",
        "${steps.held.output.id}",
        "${steps.held.output.{id: id}}",
        "${merge(input.a, {id: steps.held.output.id})}",
        "${steps.held.key}",
        "${steps.book.key}",
        "${'text'}",
    ],
)
def test_value_that_is_always_there_may_be_read(expression: str) -> None:
    steps: list[Json] = [{**HELD, "name": "held"}, step("book", action=call("/", body=expression))]

    assert findings({"saga": "trip", "version": 1, "steps": steps}) == []


@pytest.mark.parametrize(
    ("steps", "deadline"),
    [
        ([BOOK, step("pay")], "2m"),
        ([step("book", after=[]), step("pay", after=[])], "1m"),
        ([pivot("pay"), beyond("ship")], "2m"),
        ([sleep("nap", "30m")], "31m"),
        ([step("book", action=call("/book", retry={"attempts": None}))], "30s"),
        ([sleep("nap", "30m", when="${input.nap}"), sleep("doze", "20m")], "50m"),
    ],
)
def test_definition_within_its_deadline_has_no_finding(steps: list[Json], deadline: str) -> None:
    fault = Fault("none", ("", ""), steps, deadline)

    assert findings(fault.document) == []


def test_waits_between_attempts_count_for_the_time_budget() -> None:
    """5 attempts of 10 s, 7.5 s of waits; the way with two steps is the longer one."""
    diamond: list[Json] = [
        step("a"),
        step("b", after=["a"]),
        step("c", after=["a"]),
        sleep("d", "1s"),
    ]
    fits = Fault("none", ("", ""), diamond, "116s")
    not_quite = Fault("none", ("", ""), diamond, "115s")

    assert findings(fits.document) == []
    (finding,) = findings(not_quite.document)
    assert finding.detail.startswith("with all attempts and their waits the steps may take 116s")


def test_time_beyond_ten_years_is_described_in_words() -> None:
    endless = call("/book", timeout="3660d", retry={"attempts": 1_000_000, "cap": "3660d"})
    (finding,) = findings(Fault("", ("", ""), [step("book", action=endless)], "3660d").document)

    assert "more than ten years" in finding.detail


def test_unknown_participant_is_found_only_if_the_known_ones_are_given() -> None:
    definition = parse_definition(Fault("none", ("", ""), [BOOK, sleep("nap", "1s")]).document)

    assert verify(definition) == []
    assert verify(definition, {"hotel"}) == []
    (finding,) = verify(definition, {"bank"})
    assert (finding.pointer, finding.code) == ("/steps/0/participant", "unknown-participant")


def test_findings_come_in_the_order_of_the_document() -> None:
    steps: list[Json] = [
        step("book", action=call("/a#", headers={"x-a": "é"})),
        step("pay", compensation=None),
    ]

    assert [finding.pointer for finding in findings(Fault("", ("", ""), steps).document)] == [
        "/steps/0/action/path",
        "/steps/0/action/headers/x-a",
        "/steps/1",
    ]
