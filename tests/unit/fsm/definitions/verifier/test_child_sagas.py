"""Sagas that start each other without end are refused; those that a condition may end are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.parser import parse_unverified_definition
from saga_orchestrator.fsm.definitions.verifier import verify
from saga_orchestrator.fsm.formats.strict_json import Json, JsonObject


@dataclass(frozen=True, slots=True)
class Start:
    """A step that starts another saga; without a version the newest."""

    name: str
    version: int | None = None
    when: str | None = None


def saga(name: str, *starts: Start, version: int = 1) -> Definition:
    steps: list[Json] = [{"name": "nap", "sleep": "1s"}]
    for number, start in enumerate(starts):
        child: Json = {"type": start.name, **({"version": start.version} if start.version else {})}
        when: JsonObject = {"when": start.when} if start.when else {}
        steps.append({"name": f"child{number}", "saga": child, **when})
    return parse_unverified_definition({"saga": name, "version": version, "steps": steps})


def circles(definition: Definition, *others: Definition) -> dict[str, str]:
    findings = verify(definition, others=others)
    return {
        finding.pointer: finding.detail
        for finding in findings
        if finding.code == "endless-children"
    }


ENDLESS: dict[str, Sequence[Definition]] = {
    "itself": [saga("ping", Start("ping"))],
    "itself in its own version": [saga("ping", Start("ping", 1))],
    "each other": [saga("ping", Start("pong")), saga("pong", Start("ping"))],
    "three": [saga("a", Start("b")), saga("b", Start("c")), saga("c", Start("a"))],
    "a condition that always holds": [
        saga("ping", Start("pong", when="${`true`}")),
        saga("pong", Start("ping")),
    ],
    "a newer version of itself that starts this one": [
        saga("ping", Start("ping"), version=1),
        saga("ping", Start("ping", 1), version=2),
    ],
    "only the newest version of the other": [
        saga("ping", Start("pong")),
        saga("pong", version=1),
        saga("pong", Start("ping"), version=2),
    ],
    "the second of two ways": [
        saga("ping", Start("pang"), Start("pong")),
        saga("pang"),
        saga("pong", Start("pang"), Start("ping")),
    ],
}
FINITE: dict[str, Sequence[Definition]] = {
    "a chain": [saga("a", Start("b")), saga("b", Start("c")), saga("c")],
    "a condition here": [
        saga("ping", Start("pong", when="${input.again}")),
        saga("pong", Start("ping")),
    ],
    "a condition there": [
        saga("ping", Start("pong")),
        saga("pong", Start("ping", when="${input.again}")),
    ],
    "a step that never runs": [
        saga("ping", Start("pong", when="${`false`}")),
        saga("pong", Start("ping")),
    ],
    "an older version that ends": [
        saga("ping", Start("pong", 1)),
        saga("pong", version=1),
        saga("pong", Start("ping"), version=2),
    ],
    "its own older version that ends": [
        saga("ping", Start("ping", 1), version=2),
        saga("ping", version=1),
    ],
    "a circle of others": [
        saga("a", Start("ping")),
        saga("ping", Start("pong")),
        saga("pong", Start("ping")),
    ],
    "what nobody knows": [saga("ping", Start("pong"))],
}


@pytest.mark.parametrize("family", ENDLESS.values(), ids=ENDLESS)
def test_cycle_without_a_condition_is_refused(family: Sequence[Definition]) -> None:
    assert circles(*family)


@pytest.mark.parametrize("family", FINITE.values(), ids=FINITE)
def test_cycle_that_may_end_is_accepted(family: Sequence[Definition]) -> None:
    assert circles(*family) == {}


def test_cycle_is_named_in_the_finding() -> None:
    ping = saga("ping", Start("pang"), Start("pong", 3))
    others = [saga("pang"), saga("pong", Start("ping"), version=3)]

    assert circles(ping, *others) == {
        "/steps/2/saga/type": "ping version 1 starts pong version 3, which starts ping version 1,"
        " and so on without end: put a condition (when) on one of these steps, or start another"
        " saga"
    }


def test_long_cycle_is_abbreviated() -> None:
    chain = [saga(f"s{number}", Start(f"s{(number + 1) % 200}")) for number in range(200)]

    (detail,) = circles(*chain).values()

    assert len(detail) < 400
    assert "which starts 196 others, which starts" in detail


def test_definition_is_checked_in_place_of_its_registered_version() -> None:
    ping = saga("ping", Start("pong"))
    others = [saga("ping"), saga("pong", Start("ping"))]

    assert circles(ping, *others)


names = st.sampled_from("abcd")
starts = st.builds(
    Start, names, st.none() | st.integers(1, 2), st.none() | st.just("${input.again}")
)
families = st.dictionaries(
    st.tuples(names, st.integers(1, 2)), st.lists(starts, max_size=3), min_size=1
)


@given(families)
def test_cycle_is_found_exactly_if_the_walk_returns(
    family: dict[tuple[str, int], list[Start]],
) -> None:
    """Walked by brute force: all that can be reached in as many steps as there are definitions."""
    definitions = {place: saga(place[0], *all_, version=place[1]) for place, all_ in family.items()}

    def reached(start: Start) -> set[tuple[str, int]]:
        versions = [version for name, version in family if name == start.name]
        place = (start.name, start.version or max(versions, default=0))
        return {place} & family.keys() if start.when is None else set()

    for place, definition in definitions.items():
        endless = set()
        for number, start in enumerate(family[place]):
            reachable = reached(start)
            for _ in family:
                reachable |= {
                    two
                    for each_name in reachable
                    for next_ in family[each_name]
                    for two in reached(next_)
                }
            if place in reachable:
                endless.add(f"/steps/{number + 1}/saga/type")
        assert circles(definition, *definitions.values()).keys() == endless
