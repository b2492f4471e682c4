"""Expressions that never mean what they say, wherever they stand, and those that do."""

from __future__ import annotations

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.verifier.type_inference import check_access, check_condition
from saga_orchestrator.fsm.expressions.expression import parse
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.tests.unit.fsm.definitions.verifier.fault import call, findings, step, wait


def findings_of(source: str) -> list[tuple[str, str]]:
    expression = parse(source)
    faults = [*check_access(expression, "")] or [*check_condition(expression, "")]
    return [(finding.code, finding.detail.removeprefix(f"${{{source}}}")) for finding in faults]


@pytest.mark.parametrize(
    ("negated", "meant"),
    [
        ("!input.prepaid", "!(input.prepaid)"),
        ("!input.a.b.c", "!(input.a.b.c)"),
        ("!input.a.b && input.c", "!(input.a.b)"),
        ("input.c || !input.a", "!(input.a)"),
        ("!!input.a", "!!(input.a)"),
        ("!steps.book.output.items[0].sold", "!(steps.book.output.items[0].sold)"),
        ("!input.a == 'x'", "!(input.a)"),
        ("input.rooms[?!room.taken]", "!(room.taken)"),
        ("input.rooms[*].{free: !room.taken}", "!(room.taken)"),
        ("map(&!room.taken, input.rooms)", "!(room.taken)"),
        ("!input.rooms[*].taken", "!(...) around the whole path"),
        ("!input.a.contains(@, 'x')", "!(...) around the whole path"),
    ],
)
def test_negated_path_is_refused_with_a_suggestion(negated: str, meant: str) -> None:
    ((code, detail),) = findings_of(negated)

    assert code == "never-there"
    assert detail.endswith(f": write {meant}")


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("'text'.length", "reads length of a value that is always a text"),
        ("(input.a == input.b).c", "reads c of a value that is always true or false"),
        ("length(input.a).b", "reads b of a value that is always a number"),
        ("to_string(input.a)[0]", "reads [0] of a value that is always a text"),
        ("keys(input.a).b", "reads b of a value that is always a list"),
        ("merge(input.a)[0]", "reads [0] of a value that is always an object"),
        ("merge(input.a)[*].b", "reads parts of a value that is always an object"),
        ("keys(input.a).*", "reads parts of a value that is always a list"),
        ("to_string(input.a)[:3]", "reads parts of a value that is always a text"),
        ("contains(input.a, 'x').{b: c}", "reads parts of a value that is always true or false"),
        ("sum(input.a)[?b]", "reads parts of a value that is always a number"),
        ("length(input.a)[]", "reads parts of a value that is always a number"),
        (
            "(length(input.a) || join('', input.b)).c",
            "reads c of a value that is always a number or a text",
        ),
        ("length(input.a) | b", "reads b of a value that is always a number"),
        ("[input.a].b", "reads b of a value that is always a list"),
        ("length(input.a) > 'x'", "compares"),
        ("(input.a == 'x') > `1`", "compares"),
        ("input.a < `true`", "compares"),
    ],
)
def test_read_that_never_finds_a_value_is_refused(source: str, what: str) -> None:
    ((code, detail),) = findings_of(source)

    assert code in ("never-there", "never-comparable")
    assert what in detail


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("length(input.a)", " always holds, because a number is always true"),
        ("sum(input.a) || input.b", " always holds, because a number is always true"),
        ("!(length(input.a))", " never holds, because a number is always true"),
        ("length(input.a) == '3'", " never holds, because it compares a number with a text"),
        ("type(input.a) != `1`", " always holds, because it compares a text with a number"),
        ("input.a && contains(input.b, 'x') == 'true'", " never holds, because it compares"),
        ("[input.a, input.b]", " always holds, because {...} and [...] are always true"),
        ("input.a || `true`", " always holds"),
        ("input.a && `false`", " never holds"),
    ],
)
def test_condition_that_always_or_never_holds_is_refused(condition: str, why: str) -> None:
    ((code, detail),) = findings_of(condition)

    assert code == "never-varies"
    assert detail.startswith(why)


@pytest.mark.parametrize(
    "source",
    [
        "!(input.prepaid)",
        "!input",
        "!(input.a) && input.b",
        "!contains(input.a, 'x')",
        "!(input.a)[0]",
        "input.a > `1`",
        "input.day > '2026-01-01'",
        "length(input.a) > `0`",
        "max(input.a) > 'x'",
        "(input.a || 'x') == 'x'",
        "input.a.b[0].c[*].d | [0]",
        "merge(input.a, input.b).c",
        "keys(input.a)[0]",
        "values(input.a)[*].b",
        "{a: input.b}.a",
        "[input.a][0].b",
        "not_null(input.a, input.b).c",
        "to_array(input.a)[].b",
        "sort_by(input.a, &b)[0].c",
        "map(&a.b, input.a)[0]",
        "reverse(input.a)[0]",
        "to_number(input.a) > `1`",
        "input.a == `null`",
        "join(',', input.a) == 'a,b'",
        "length(input.a) == length(input.b)",
    ],
)
def test_expression_that_can_vary_is_accepted(source: str) -> None:
    assert [code for code, _ in findings_of(source) if code != "never-varies"] == []


PLACES: dict[str, Json] = {
    "/steps/0/when": step("book", when="${!input.a}"),
    "/steps/0/action/path": step("book", action=call("/${to_string(!input.a)}")),
    "/steps/0/action/body/b/0": step("book", action=call("/", body={"b": ["${!input.a}"]})),
    "/steps/0/action/headers/x-a": step(
        "book", action=call("/", headers={"X-A": "${to_string(!input.a)}"})
    ),
    "/steps/0/status/path": step("book", status=call("/${to_string(!input.a)}")),
    "/steps/0/output": step("book", output={"paid": "${to_string(response.body).id}"}),
    "/steps/0/compensation/body": step("book", compensation=call("/", body="${!input.a}")),
    "/steps/0/saga/input/a": {
        "name": "stay",
        "saga": {"type": "other", "input": {"a": "${!input.a}"}},
    },
}


@pytest.mark.parametrize("place", PLACES)
def test_bad_expression_is_refused_in_every_position(place: str) -> None:
    document: Json = {"saga": "trip", "version": 1, "steps": [PLACES[place]]}

    assert [(finding.pointer, finding.code) for finding in findings(document)] == [
        (place, "never-there")
    ]


values = st.sampled_from([None, True, 0, "x", "", [], ["x", 1], {}, {"a": {"b": 1}, "b": [1]}])
SOURCES = [
    "!a.b",
    "'x'.a",
    "(a == b).c",
    "length(a).b",
    "a.b.c",
    "!(a.b)",
    "merge(a, b).c",
    "keys(a)[0]",
    "to_string(a)[0]",
    "(a || b).c",
    "[a][0].b",
    "[a].b",
    "a[*].b | [0]",
    "to_array(a).b",
    "to_array(a)[0]",
]


@given(st.sampled_from(SOURCES), st.dictionaries(st.sampled_from("abc"), values))
def test_read_that_never_finds_a_value_is_null_in_jmespath(source: str, data: Json) -> None:
    try:
        value = jmespath.search(source, data)
    except (jmespath.exceptions.JMESPathError, TypeError, ValueError):
        return

    if value is not None:
        assert findings_of(source) == [] or findings_of(source)[0][0] == "never-varies"


def test_condition_of_a_wait_is_checked() -> None:
    document: Json = {
        "saga": "trip",
        "version": 1,
        "steps": [wait("ask", "approval", when="${!input.a}")],
    }

    assert [finding.code for finding in findings(document)] == ["never-there"]
