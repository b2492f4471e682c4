"""Calls that would not arrive, steps that would not end, and graphs that are none."""

from __future__ import annotations

from saga_orchestrator.tests.unit.fsm.definitions.verifier.fault import (
    BOOK,
    Fault,
    call,
    sleep,
    step,
    wait,
)

CALLS = [
    Fault(
        "a path leads away from its participant",
        ("/steps/0/action/path", "bad-path"),
        [step("book", action=call("/rooms/../admin"))],
    ),
    Fault(
        "a path leads away from its participant in disguise",
        ("/steps/0/compensation/path", "bad-path"),
        [step("book", compensation=call("/rooms/%2E%2e/${input.room}"))],
    ),
    Fault(
        "a path has a fragment",
        ("/steps/0/action/path", "bad-path"),
        [step("book", action=call("/book#now"))],
    ),
    Fault(
        "a path has a space",
        ("/steps/0/status/path", "bad-path"),
        [step("book", status=call("/book now"))],
    ),
    *(
        Fault(
            f"a path has {sign}, which cannot stand in a URL",
            ("/steps/0/action/path", "bad-path"),
            [step("book", action=call(f"/rooms/{sign}?a={sign}"))],
        )
        for sign in ("|", "^", "`", '"', "<", ">", "\\", "{", "}", "%", "%4", "%zz")
    ),
    Fault(
        "a value in a path has braces and no dollar",
        ("/steps/0/compensation/path", "bad-path"),
        [step("book", compensation=call("/rooms/{id}"))],
    ),
    *(
        Fault(
            f"a header has {what}",
            ("/steps/0/action/headers/x-a", "bad-header"),
            [step("book", action=call("/book", headers={"x-a": value}))],
        )
        for what, value in (("an accent", "é"), ("a control", "a\x01b"), ("an emoji", "\U0001f600"))
    ),
    *(
        Fault(
            f"the header {name} is set, which the service sends",
            (f"/steps/0/action/headers/{place}", "bad-header"),
            [step("book", action=call("/book", headers={name: "1"}))],
        )
        for name, place in (
            ("Saga-Actor", "saga-actor"),
            ("Saga-Id", "Saga-Id"),
            ("Accept-Encoding", "accept-encoding"),
            ("Content-Encoding", "content-encoding"),
            ("Transfer-Encoding", "Transfer-Encoding"),
            ("Host", "Host"),
            ("traceparent", "traceparent"),
            ("a b", "a b"),
        )
    ),
    Fault(
        "a value in a body has braces and no dollar",
        ("/steps/0/action/body/rooms/0", "braces-without-dollar"),
        [step("book", action=call("/book", body={"rooms": ["for {input.name}"]}))],
    ),
    Fault(
        "a value beside another has braces and no dollar",
        ("/steps/0/action/body/text", "braces-without-dollar"),
        [step("book", action=call("/book", body={"text": "${input.a}, {{ steps.a.output.b }}"}))],
    ),
    Fault(
        "a value in a header has braces and no dollar",
        ("/steps/0/action/headers/x-a", "braces-without-dollar"),
        [step("book", action=call("/book", headers={"x-a": "{saga.id}"}))],
    ),
    Fault(
        "a declared output has braces and no dollar",
        ("/steps/0/output/id", "braces-without-dollar"),
        [step("book", output={"id": "{response.body.id}"})],
    ),
    Fault(
        "a child is given braces without a dollar",
        ("/steps/0/saga/input/id", "braces-without-dollar"),
        [{"name": "stay", "saga": {"type": "stay", "input": {"id": "{id}"}}}],
    ),
    *(
        Fault(
            f"a text is {text}, which is sent as it stands",
            ("/steps/0/action/body/a", "dollar-without-braces"),
            [step("book", action=call("/book", body={"a": text}))],
        )
        for text in (
            "$input.amount",
            "for $input.items[0].name.",
            "$.input.amount",
            "$$input.amount",
            "$${input.price}",
            "${input.name} or $input.name",
            "input.amount",
            "steps.a.output.id",
            "steps.a.key",
            "saga.id",
        )
    ),
    *(
        Fault(
            f"a path is {path}, which is sent as it stands",
            ("/steps/0/action/path", "dollar-without-braces"),
            [step("book", action=call(path))],
        )
        for path in ("/rooms/$input.room", "/rooms/:room", "/rooms/:room/book?now=1")
    ),
    Fault(
        "a header is a name and no braces",
        ("/steps/0/action/headers/x-a", "dollar-without-braces"),
        [step("book", action=call("/book", headers={"x-a": "Bearer $input.token"}))],
    ),
    Fault(
        "a declared output is a place without braces",
        ("/steps/0/output/id", "dollar-without-braces"),
        [step("book", output={"id": "response.body.id"})],
    ),
    Fault(
        "a participant is given the address of a signal that no step waits for",
        ("/steps/0/action/body/tell", "unawaited-signal"),
        [
            step(
                "book",
                action=call("/book", body={"tell": "http://saga/sagas/${saga.id}/signals/aproval"}),
            ),
            wait("ask", "approval"),
        ],
    ),
    Fault(
        "a header has a second line",
        ("/steps/0/action/headers/x-a", "bad-header"),
        [step("book", action=call("/book", headers={"x-a": "1\r\nx-b: 2"}))],
    ),
    Fault(
        "a header is there twice",
        ("/steps/0/action/headers/x-a", "bad-header"),
        [step("book", action=call("/book", headers={"x-a": "1", "X-A": "2"}))],
    ),
    Fault(
        "a key is set by hand, which would be the same for all sagas",
        ("/steps/0/action/headers/Idempotency-Key", "bad-header"),
        [step("book", action=call("/book", headers={"Idempotency-Key": "1"}))],
    ),
    Fault(
        "a header that the connection needs is set",
        ("/steps/0/action/headers/Upgrade", "bad-header"),
        [step("book", action=call("/book", headers={"Upgrade": "h2c"}))],
    ),
    Fault(
        "a GET has an effect",
        ("/steps/0/action/method", "get-with-effect"),
        [step("book", action=call("/book", method="GET"))],
    ),
    Fault(
        "a GET undoes an effect",
        ("/steps/0/compensation/method", "get-with-effect"),
        [step("book", compensation=call("/undo", method="GET"))],
    ),
    Fault(
        "a GET has a body",
        ("/steps/0/action/body", "body-of-get"),
        [step("look", effect="none", compensation=None, action=call("/", method="GET", body=1))],
    ),
    Fault(
        "the longest wait is shorter than the first",
        ("/steps/0/action/retry/cap", "cap-below-first"),
        [step("book", action=call("/book", retry={"first": "10s", "cap": "1s"}))],
    ),
    Fault(
        "the first tries follow one another at once",
        ("/steps/0/action/retry/first", "zero-wait"),
        [step("book", action=call("/book", retry={"first": "0ms"}))],
    ),
    Fault(
        "a compensation is tried again at once",
        ("/steps/0/compensation/retry/first", "zero-wait"),
        [
            step(
                "book",
                compensation=call("/unbook", retry={"first": "0ms", "attempts": 9}),
            )
        ],
    ),
]

ENDINGS = [
    Fault(
        "a step never runs",
        ("/steps/0/when", "constant-condition"),
        [step("book", when="${`false`}")],
    ),
    Fault(
        "a step that never runs is read",
        ("/steps/1/action/body", "no-output"),
        [
            step("book", when="${`1` > `2`}"),
            step("pay", action=call("/pay", body="${steps.book.output.id}")),
        ],
    ),
    Fault(
        "a condition always holds",
        ("/steps/0/when", "constant-condition"),
        [step("book", when="${'yes'}")],
    ),
    Fault(
        "a saga starts itself",
        ("/steps/1/saga/type", "endless-children"),
        [BOOK, {"name": "again", "saga": {"type": "trip"}}],
    ),
    Fault(
        "two steps wait for one signal at the same time",
        ("/steps/0/wait_for/signal", "signal-awaited-twice"),
        [wait("one", "approval", after=[]), wait("two", "approval", after=[])],
    ),
    Fault(
        "an action is tried for ever before the pivot",
        ("/steps/0/action/retry/attempts", "tries-for-ever"),
        [step("book", action=call("/book", retry={"attempts": None}))],
    ),
]

TIME = [
    Fault(
        "a sleep is longer than the deadline",
        ("/steps/0/sleep", "longer-than-deadline"),
        [sleep("nap", "2h")],
        deadline="1h",
    ),
    Fault(
        "a signal is waited for longer than the deadline allows",
        ("/steps/0/wait_for/timeout", "longer-than-deadline"),
        [wait("ask", "approval", "24h")],
        deadline="1h",
    ),
    Fault(
        "a callback is waited for longer than the deadline allows",
        ("/steps/0/completion_timeout", "longer-than-deadline"),
        [step("book", completion="callback", completion_timeout="2h")],
        deadline="1h",
    ),
    Fault(
        "one attempt may take longer than the deadline",
        ("/steps/0/action/timeout", "longer-than-deadline"),
        [step("book", action=call("/book", timeout="1m"))],
        deadline="30s",
    ),
    Fault(
        "the sleeps alone take longer than the deadline",
        ("/deadline", "never-in-time"),
        [sleep("nap", "40m"), sleep("again", "40m")],
        deadline="1h",
    ),
    Fault(
        "the attempts and their waits may take longer than the deadline",
        ("/deadline", "time-budget"),
        [BOOK, step("pay")],
        deadline="1m",
    ),
]

GRAPH = [
    Fault(
        "two steps have one name",
        ("/steps/1/name", "step-named-twice"),
        [BOOK, BOOK],
    ),
    Fault(
        "a step follows one that does not exist",
        ("/steps/0/after", "unknown-step"),
        [step("book", after=["nobody"])],
    ),
    Fault(
        "a step follows itself",
        ("/steps/0/after", "circular-steps"),
        [step("book", after=["book"])],
    ),
    Fault("there are no steps", ("/steps", "too-short"), []),
    Fault(
        "a step does two things",
        ("/steps/0", "does-not-fit"),
        [step("book", sleep="1s")],
    ),
    Fault("a step does nothing", ("/steps/0", "does-not-fit"), [{"name": "pay"}]),
    Fault(
        "a sleep has a status",
        ("/steps/0", "does-not-fit"),
        [sleep("nap", "1s", status=call("/"))],
    ),
    Fault(
        "a poll has nothing to ask",
        ("/steps/0", "does-not-fit"),
        [step("book", completion="poll")],
    ),
]
