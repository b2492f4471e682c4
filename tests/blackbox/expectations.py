"""Comparison of what is with what a scenario expects. README.md lists the forms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import permutations

from saga_orchestrator.tests.blackbox.durations import seconds
from saga_orchestrator.tests.blackbox.json_values import Json, as_decimal, json_type
from saga_orchestrator.tests.blackbox.ledger import ReceivedCall

MAX_SHOWN = 600  # characters of a long value in a message


def differences(expected: Json, actual: Json, at: str = "") -> list[str]:  # noqa: C901 - a table
    """Return how `actual` differs. A mapping expects its own members only."""
    match expected:
        case {"one_of": choices}:
            fits = any(not differences(choice, actual, at) for choice in choices)
            return [] if fits else [f"{at}: {actual!r} is none of {choices}"]
        case {"not": excluded}:
            fits = bool(differences(excluded, actual, at))
            return [] if fits else [f"{at}: {actual!r} is excluded"]
        case {"at_least": _} | {"at_most": _}:
            low = seconds(expected.get("at_least", 0))
            high = seconds(expected.get("at_most", "999h"))
            fits = isinstance(actual, int | float) and low <= actual <= high
            return [] if fits else [f"{at}: {actual!r} is not within {expected}"]
        case {"number": str(text)}:
            fits = json_type(actual) in (int, float) and as_decimal(actual) == Decimal(text)
            return [] if fits else [f"{at}: {_written(actual)} is not the number {text}"]
        case {"size": size}:
            actual_size = len(actual) if hasattr(actual, "__len__") else None
            return differences(size, actual_size, f"size of {at}")
        case {"has": items}:
            return _missing(items, actual, at)
        case {"in_order": items}:
            return _missing_in_order(items, actual, at)
        case Mapping():
            return _different_members(expected, actual, at)
        case [*items]:
            return _different_items(items, actual, at)
        case str() if len(expected) > 2 and expected[0] == expected[-1] == "/":
            fits = isinstance(actual, str) and re.search(expected[1:-1], actual) is not None
            return [] if fits else [f"{at}: {actual!r} does not match {expected}"]
        case _:
            fits = expected == actual and json_type(expected) is json_type(actual)
            return [] if fits else [f"{at}: {actual!r} is not {expected!r}"]


def _different_members(expected: Mapping[str, Json], actual: Json, at: str) -> list[str]:
    """A member that is expected to be null may as well be missing."""
    if not isinstance(actual, Mapping):
        return [f"{at}: {actual!r} is not an object"]
    return [
        line
        for name, member in expected.items()
        for line in differences(member, actual.get(name), f"{at}.{name}".strip("."))
    ]


def _different_items(items: Sequence[Json], actual: Json, at: str) -> list[str]:
    if not isinstance(actual, list) or len(actual) != len(items):
        return [f"{at}: {_brief(actual)} is not {items!r}"]
    each = (differences(item, actual[n], f"{at}[{n}]") for n, item in enumerate(items))
    return [line for lines in each for line in lines]


def _missing(items: Sequence[Json], actual: Json, at: str) -> list[str]:
    absent = [item for item in items if all(differences(item, each) for each in actual or ())]
    return [f"{at}: nothing is {item!r} in {_brief(actual)}" for item in absent]


def _missing_in_order(items: Sequence[Json], actual: Json, at: str) -> list[str]:
    rest = iter(actual or ())
    absent = [item for item in items if all(differences(item, each) for each in rest)]
    return [f"{at}: {item!r} is not in its place in {_brief(actual)}" for item in absent[:1]]


def _written(value: Json) -> str:
    return str(as_decimal(value)) if json_type(value) is float else repr(value)


def _brief(value: Json) -> str:
    """Show a list of events by their types only."""
    if isinstance(value, list):
        value = [each.get("type", each) if isinstance(each, Mapping) else each for each in value]
    return repr(value)[:MAX_SHOWN]


def wrong_sequence(expected: Sequence[str | list[str]], calls: Sequence[ReceivedCall]) -> list[str]:
    """Return a problem unless the calls are exactly those expected.

    `a1`, `a1 x3`, `a1 x0-1`, `a1+`, `a1*`; a nested list in any order.
    """
    pattern = "".join(
        _in_any_order(item) if isinstance(item, list) else _repeated(item) for item in expected
    )
    history = "".join(f"{call.label} " for call in calls)
    fits = re.fullmatch(pattern, history) is not None
    return [] if fits else [f"calls: {history.strip() or 'none'}; expected {expected}"]


def _in_any_order(items: Sequence[str]) -> str:
    orders = ("".join(map(_repeated, order)) for order in permutations(items))
    return "(?:" + "|".join(orders) + ")"


def _repeated(item: str) -> str:
    parts = re.fullmatch(r"([\w.]+)(?: x(\d+)(?:-(\d+))?|([+*]))?", item)
    if parts is None:
        raise ValueError(f"{item!r} is not a call")
    label, least, most, sign = parts.groups()
    quantity = f"{{{least},{most or least}}}" if least else sign or ""
    return f"(?:{re.escape(label)} ){quantity}"
