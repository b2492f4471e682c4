"""The fast path: expressions of paths, `||`, `{}` and `merge()`, compiled into Python functions.

Most bodies and URL paths are such expressions, and interpreting their trees takes several times
longer than calling the function. Everything else, in the expression or in the data, is left to the
interpreter, which also has the error messages; so there is one meaning, and two ways to compute it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeAlias

from ..formats.json_path import ABSENT, Absent, get_path
from ..formats.strict_json import Json

CompiledExpression: TypeAlias = Callable[[Mapping[str, Json]], Json | Absent]


class NeedsInterpreter(Exception):
    """Raised for data that the compiled function leaves to the interpreter."""


def compile_expression(node: Mapping[str, Any]) -> CompiledExpression | None:
    """Compile a tree whose plain paths are single nodes, or return None if it uses more than paths,
    `||`, `{}` and `merge()`. The compiled function raises NeedsInterpreter."""
    match node["type"]:
        case "path":
            return partial(get_path, node["value"])
        case "or_expression":
            first, second = map(compile_expression, node["children"])
            return partial(_evaluate_or, first, second) if first and second else None
        case "multi_select_dict":
            values = [compile_expression(pair["children"][0]) for pair in node["children"]]
            members = [
                (pair["value"], value)
                for pair, value in zip(node["children"], values, strict=True)
                if value is not None
            ]
            return partial(_evaluate_object, members) if None not in values else None
        case "function_expression" if node["value"] == "merge" and node["children"]:
            parts = [
                part
                for child in node["children"]
                if (part := compile_expression(child)) is not None
            ]
            return partial(_evaluate_merge, parts) if len(parts) == len(node["children"]) else None
        case _:
            return None


def is_truthy(value: Json | Absent) -> bool:
    """True unless `value` is false for JMESPath: null, false, an empty text, list or object, and an
    absent value. 0 is true."""
    if value is None or value is False or value is ABSENT:
        return False
    return value not in ("", [], {})


def _evaluate_or(
    first: CompiledExpression, second: CompiledExpression, scope: Mapping[str, Json]
) -> Json | Absent:
    value = first(scope)
    return value if is_truthy(value) else second(scope)


def _evaluate_object(
    members: list[tuple[str, CompiledExpression]], scope: Mapping[str, Json]
) -> Json:
    made: dict[str, Json] = {}
    for name, value in members:  # in Python 3.11 a comprehension is a call of its own
        if (member := value(scope)) is ABSENT:
            raise NeedsInterpreter
        made[name] = member
    return made


def _evaluate_merge(parts: list[CompiledExpression], scope: Mapping[str, Json]) -> Json:
    merged: dict[str, Json] = {}
    for part in parts:
        value = part(scope)
        if not isinstance(value, dict):
            raise NeedsInterpreter
        merged.update(value)
    return merged
