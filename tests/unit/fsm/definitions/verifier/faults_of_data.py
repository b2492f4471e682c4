"""Values that would not be there, and expressions that would fail."""

from __future__ import annotations

from saga_orchestrator.tests.unit.fsm.definitions.verifier.fault import (
    BOOK,
    HELD,
    MAYBE,
    Fault,
    call,
    sleep,
    step,
    wait,
)

REFERENCES = [
    Fault(
        "a root that does not exist is read",
        ("/steps/0/action/body", "unknown-reference"),
        [step("book", action=call("/book", body="${imput.room}"))],
    ),
    *(
        Fault(
            f"{source} is read, which is no value",
            ("/steps/1/action/body", "unknown-reference"),
            [BOOK, step("pay", action=call("/pay", body=f"${{{source}}}"))],
        )
        for source in (
            "a || input.b",
            "saga",
            "steps",
            "steps.book",
            "steps.nobody.key",
            "response.body.id",
            "input.a[*].b || steps.nobody.output.items[0]",
        )
    ),
    Fault(
        "a step that does not exist is read",
        ("/steps/0/action/body", "unknown-reference"),
        [step("book", action=call("/book", body="${steps.nobody.output}"))],
    ),
    Fault(
        "something of a step that is neither output nor key is read",
        ("/steps/1/action/body", "unknown-reference"),
        [BOOK, step("pay", action=call("/pay", body="${steps.book.status}"))],
    ),
    Fault(
        "something of the saga that it does not have is read",
        ("/steps/0/action/body", "unknown-reference"),
        [step("book", action=call("/book", body="${saga.secret}"))],
    ),
    Fault(
        "a member of a key is read",
        ("/steps/0/action/body", "unknown-reference"),
        [step("book", action=call("/book", body="${steps.book.key.id}"))],
    ),
    Fault(
        "a member of the saga's id is read",
        ("/steps/0/action/body", "unknown-reference"),
        [step("book", action=call("/book", body="${saga.id.shard}"))],
    ),
    Fault(
        "all there is is read",
        ("/steps/0/action/body", "unknown-reference"),
        [step("book", action=call("/book", body="${@}"))],
    ),
    Fault(
        "data flow is hidden behind the current node",
        ("/steps/0/action/body", "unknown-reference"),
        [step("book", action=call("/book", body="${@.steps.pay.output}")), step("pay")],
    ),
    Fault(
        "an action reads its own output",
        ("/steps/0/action/body", "unknown-reference"),
        [step("book", action=call("/book", body="${steps.book.output.id || 'x'}"))],
    ),
    Fault(
        "a status reads the output of the action it asks about",
        ("/steps/0/status/path", "unknown-reference"),
        [step("book", status=call("/book/${steps.book.output.id}"))],
    ),
    Fault(
        "an action reads the output of a later step, deep in its body",
        ("/steps/0/action/body/rooms/1/id", "unknown-reference"),
        [
            step("book", action=call("/book", body={"rooms": [1, {"id": "${steps.pay.output}"}]})),
            step("pay"),
        ],
    ),
    Fault(
        "a header reads the output of a later step",
        ("/steps/0/action/headers/x-paid", "unknown-reference"),
        [
            step("book", action=call("/book", headers={"x-paid": "${steps.pay.output.id}"})),
            step("pay"),
        ],
    ),
    Fault(
        "a child is given the output of a later step",
        ("/steps/0/saga/input/paid", "unknown-reference"),
        [
            {"name": "child", "saga": {"type": "stay", "input": {"paid": "${steps.pay.output}"}}},
            step("pay"),
        ],
    ),
    Fault(
        "an action reads the output of a step beside it, which may come between two attempts",
        ("/steps/1/action/body", "unordered-reference"),
        [
            step("book", after=[]),
            step("pay", after=[], action=call("/pay", body="${steps.book.output.id || 'none'}")),
        ],
    ),
    Fault(
        "a compensation needs the output of a step beside it",
        ("/steps/1/compensation/body", "unordered-reference"),
        [
            step("book", after=[]),
            step("pay", after=[], compensation=call("/undo", body="${steps.book.output.id}")),
        ],
    ),
    Fault(
        "a compensation needs the output of a later step",
        ("/steps/0/compensation/body", "unknown-reference"),
        [step("book", compensation=call("/undo", body="${steps.pay.output.id}")), step("pay")],
    ),
    Fault(
        "a compensation needs the output of its own step",
        ("/steps/0/compensation/path", "undo-needs-own-output"),
        [step("book", compensation=call("/undo/${steps.book.output.id}"))],
    ),
    Fault(
        "a step needs the output of one that may be skipped",
        ("/steps/1/action/body", "output-may-be-missing"),
        [MAYBE, step("pay", action=call("/pay", body="${steps.book.output.id}"))],
    ),
    Fault(
        "a compensation needs the output of a step that may be skipped",
        ("/steps/1/compensation/body", "output-may-be-missing"),
        [MAYBE, step("pay", compensation=call("/undo", body="${steps.book.output.id}"))],
    ),
    Fault(
        "a step needs the output of one whose condition is another",
        ("/steps/1/action/body", "output-may-be-missing"),
        [
            MAYBE,
            step(
                "pay",
                when="${input.flight}",
                action=call("/pay", body="${steps.book.output.id}"),
            ),
        ],
    ),
    Fault(
        "the output of a sleep is read",
        ("/steps/1/action/body", "no-output"),
        [sleep("nap", "1s"), step("pay", action=call("/pay", body="${steps.nap.output.id}"))],
    ),
    Fault(
        "a member that a declared output does not have is read",
        ("/steps/1/action/body", "no-such-output"),
        [HELD, step("pay", action=call("/pay", body="${steps.book.output.ident}"))],
    ),
    Fault(
        "an output is made of the input",
        ("/steps/0/output", "unknown-reference"),
        [step("book", output={"id": "${input.id}"})],
    ),
    Fault(
        "an output is declared for what has no reply",
        ("/steps/0/output", "output-of-no-reply"),
        [wait("ask", "approval", output={"by": "${response.body.by}"})],
    ),
    Fault(
        "an action reads the error of a saga that has none yet",
        ("/steps/0/action/body", "error-before-any"),
        [step("book", action=call("/book", body="${saga.error}"))],
    ),
]

EXPRESSIONS = [
    Fault(
        "an expression cannot be parsed",
        ("/steps/0/action/body", "bad-expression"),
        [step("book", action=call("/book", body="${input.}"))],
    ),
    *(
        Fault(
            f"{source} fails whatever the data are",
            ("/steps/0/action/body", "never-works"),
            [step("book", action=call("/book", body=f"${{{source}}}"))],
        )
        for source in (
            'abs(`"x"`)',
            "avg('x')",
            "sum(`[1, null]`)",
            'max(`[1, "a"]`)',
            "input.a || abs('x')",
            "input.a[*].abs('x')",
            "abs(to_string(input.a))",
            "length(length(input.a))",
            "keys(keys(input.a))",
            "merge(input.a, 'x')",
            "input.a[0:1:0]",
            "input.a[::0] | [0]",
            "join(`1`, input.a)",
        )
    ),
    Fault(
        "an expression is not closed",
        ("/steps/0/action/path", "bad-expression"),
        [step("book", action=call("/book/${input.room"))],
    ),
    Fault(
        "an expression nests deeper than it could be evaluated",
        ("/steps/0/action/body", "bad-expression"),
        [step("book", action=call("/book", body="${" + "!" * 101 + "input}"))],
    ),
    Fault(
        "an expression nests deeper than it can be read",
        ("/steps/0/action/path", "bad-expression"),
        [step("book", action=call("/${" + "!" * 400 + "input}"))],
    ),
    Fault(
        "a literal has a number that is too long to be kept",
        ("/steps/0/action/body", "bad-literal"),
        [step("book", action=call("/book", body="${input.n > `1e400`}"))],
    ),
    Fault(
        "a function does not exist",
        ("/steps/0/action/body", "unknown-function"),
        [step("book", action=call("/book", body="${uuid()}"))],
    ),
    Fault(
        "a function is given too few arguments",
        ("/steps/0/action/body", "wrong-arguments"),
        [step("book", action=call("/book", body="${join(input.names)}"))],
    ),
    Fault(
        "a function of any number of arguments is given none",
        ("/steps/0/action/body", "wrong-arguments"),
        [step("book", action=call("/book", body="${merge()}"))],
    ),
    Fault(
        "an object is put into a path",
        ("/steps/0/action/path", "object-in-text"),
        [step("book", action=call("/book/${input}"))],
    ),
    Fault(
        "a declared output is put into a text as a whole",
        ("/steps/1/action/body", "object-in-text"),
        [HELD, step("pay", action=call("/pay", body="for ${steps.book.output}"))],
    ),
    Fault(
        "what follows a negation is not negated with it",
        ("/steps/0/when", "never-there"),
        [step("book", when="${!input.paid}")],
    ),
    Fault(
        "a member of a number is read",
        ("/steps/0/action/body/n", "never-there"),
        [step("book", action=call("/book", body={"n": "${length(input.rooms).first}"}))],
    ),
    Fault(
        "a number is compared with a text",
        ("/steps/0/action/body/n", "never-comparable"),
        [step("book", action=call("/book", body={"n": "${length(input.rooms) > '3'}"}))],
    ),
    Fault(
        "a number is a condition",
        ("/steps/0/when", "never-varies"),
        [step("book", when="${length(input.rooms)}")],
    ),
    Fault(
        "a condition compares what is never equal",
        ("/steps/0/when", "never-varies"),
        [step("book", when="${type(input.rooms) == `1`}")],
    ),
    Fault(
        "a condition is a text",
        ("/steps/0/when", "bad-condition"),
        [step("book", when="if ${input.hotel}")],
    ),
]
