"""Expressions that only pick, fall back, group and merge, as functions: most bodies and paths.

Visiting the tree of such an expression takes several times longer than what it says. Whatever is
unusual, in the expression or in the data, is left to the interpreter, which knows what to complain
of; so there is one meaning, and two ways to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from .path import ABSENT, Absent, follow
from .strict_json import Json

Shortcut: TypeAlias = Callable[[Mapping[str, Json]], Json | Absent]


class Unusual(Exception):
    """Data that only the interpreter has words for."""


def shortcut(node: Mapping[str, Any]) -> Shortcut | None:
    """Of a tree whose plain paths are single nodes. It raises Unusual."""
    match node["type"]:
        case "path":
            return partial(follow, node["value"])
        case "or_expression":
            first, second = map(shortcut, node["children"])
            return partial(_or, first, second) if first and second else None
        case "multi_select_dict":
            values = [shortcut(pair["children"][0]) for pair in node["children"]]
            members = [
                (pair["value"], value)
                for pair, value in zip(node["children"], values, strict=True)
                if value is not None
            ]
            return partial(_object, members) if None not in values else None
        case "function_expression" if node["value"] == "merge" and node["children"]:
            parts = [one for child in node["children"] if (one := shortcut(child)) is not None]
            return partial(_merge, parts) if len(parts) == len(node["children"]) else None
        case _:
            return None


def is_true(value: Json | Absent) -> bool:
    """As JMESPath has it: null, false, and an empty text, list or object are false; 0 is true.

    What is absent is false too.
    """
    if value is None or value is False or value is ABSENT:
        return False
    return value not in ("", [], {})


def _or(first: Shortcut, second: Shortcut, scope: Mapping[str, Json]) -> Json | Absent:
    value = first(scope)
    return value if is_true(value) else second(scope)


def _object(members: list[tuple[str, Shortcut]], scope: Mapping[str, Json]) -> Json:
    made: dict[str, Json] = {}
    for name, value in members:  # in Python 3.11 a comprehension is a call of its own
        if (found := value(scope)) is ABSENT:
            raise Unusual
        made[name] = found
    return made


def _merge(parts: list[Shortcut], scope: Mapping[str, Json]) -> Json:
    merged: dict[str, Json] = {}
    for part in parts:
        value = part(scope)
        if not isinstance(value, dict):
            raise Unusual
        merged.update(value)
    return merged
