"""Whether the input of a start fits its definition, before anything is recorded.

What an expression needs of `input` must be there: without it a call could not be made later, in the
middle of the saga. A fallback (`||`, `not_null`) is asked only where what stands before it fails,
and a step whose condition is false for this input needs nothing. Conditions themselves take what is
absent for false. Null is a value, except where nothing can be made of it: in a text, or as the
argument of a function that takes none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions

from ..expressions.compiled import is_truthy
from ..expressions.evaluation import (
    EVALUATION_FAILURES,
    ExpressionError,
    Interpreter,
    StrictInterpreter,
)
from ..expressions.expression import RELATIVE, Expression, Node, leading_path, references
from ..expressions.template import Template, Text, expressions
from ..formats.json_path import ABSENT, Absent, Path, dotted_path, get_path, json_pointer
from ..formats.strict_json import Json, JsonObject
from .definition import Definition, Step
from .findings import Finding, InvalidInput
from .input_schema import MISSING_MESSAGE

FUNCTIONS = Functions.FUNCTION_TABLE
MAX_SHOWN_CHARACTERS = 60  # characters of an expression
OR, AND, CALL = "or_expression", "and_expression", "function_expression"


@dataclass(frozen=True, slots=True)
class RequiredInput:
    """A place of the input that `step` needs for `expression`; `value` if null is not enough."""

    path: Path
    value: bool
    step: Step
    expression: Expression


@dataclass(frozen=True, slots=True)
class AlternativeInputs:
    """A part of `expression` that needs one place or another."""

    node: Node
    value: bool
    step: Step
    expression: Expression


def check_input(definition: Definition, given: JsonObject) -> None:
    """Raises InvalidInput that names each place once: what the schema says of it, else what needs
    it."""
    scope: Mapping[str, Json] = {"input": given}
    missing: dict[Path, Finding] = {}
    for need in required_inputs(definition):
        if isinstance(need, AlternativeInputs):
            paths = _missing_paths(need.node, scope, value=need.value)
        else:
            found = get_path(need.path, scope)
            if found is not ABSENT and (found is not None or not need.value):
                continue
            paths = [need.path]
        if paths and not _is_certainly_skipped(need.step, scope):
            for path in paths:
                missing.setdefault(path, _missing_finding(path, need))
    misfits = definition.input.violations(given) if definition.input is not None else ()
    if missing or misfits:
        said = {("input", *path) for path, _ in misfits if path}
        empty = [
            one for one in (*said, *missing) if not isinstance(get_path(one, scope), dict | list)
        ]
        needed = [
            one
            for path, one in missing.items()
            if path not in said and not _is_within(path, frozenset(empty))
        ]
        raise InvalidInput([*needed, *(_violation_finding(path, why) for path, why in misfits)])


def _is_within(path: Path, places: Collection[Path]) -> bool:
    """True if `path` leads into one of `places`, which has no parts: that one is to be mended."""
    return any(path[:length] in places for length in range(1, len(path)))


@cache
def required_inputs(definition: Definition) -> tuple[RequiredInput | AlternativeInputs, ...]:
    """What the expressions of all calls and child sagas need of the input."""
    return tuple(
        AlternativeInputs(part, value, step, expression)
        if isinstance(part, Mapping)
        else RequiredInput(part, value, step, expression)
        for step in definition.steps
        for expression, in_text in _step_expressions(step)
        for part, value in _required_parts(expression.tree, value=in_text)
        if not isinstance(part, Mapping) or any(path[0] == "input" for path in _paths_read(part))
    )


def _required_parts(node: Node, *, value: bool) -> Iterator[tuple[Path | Node, bool]]:
    """The places of the input that `node` needs, and the choices in it, each with whether a value
    other than null must be there."""
    kind, children = node["type"], [one for one in node["children"] if isinstance(one, Mapping)]
    if kind == "path":
        if node["value"][0] == "input":
            yield node["value"], value
    elif kind == AND or _is_fallback(node):
        yield node, value
    elif kind == CALL:
        for number, child in enumerate(children):
            yield from _required_parts(child, value=not _accepts_null(node["value"], number))
    elif kind == "pipe":
        yield from _required_parts(children[0], value=False)
    elif kind in RELATIVE:  # in null there is nothing to go on with
        path = leading_path(node)
        start: Node = {"type": "path", "value": path, "children": []} if path else children[0]
        yield from _required_parts(start, value=True)
    elif kind != "expref":
        for child in children:
            yield from _required_parts(child, value=False)


def _is_fallback(node: Node) -> bool:
    """Whether it goes from one part to the next until one has a value."""
    kind: str = node["type"]
    return kind == OR or (kind == CALL and node["value"] == "not_null")


def _accepts_null(function: str, number: int) -> bool:
    signature = FUNCTIONS.get(function, {}).get("signature", ())
    argument = signature[min(number, len(signature) - 1)] if signature else {"types": []}
    return not argument["types"] and function != "to_number"


def _missing_paths(node: Node, scope: Mapping[str, Json], *, value: bool) -> list[Path]:
    """The places without which `node` certainly has no value."""
    if node["type"] == AND:
        return _missing_in_and(node["children"], scope, value=value)
    if _is_fallback(node):
        return _missing_in_fallback(node, scope, value=value)
    lacking: list[Path] = []
    for part, needs_value in _required_parts(node, value=value):
        if isinstance(part, Mapping):
            lacking += _missing_paths(part, scope, value=needs_value)
        else:
            found = get_path(part, scope)
            if found is ABSENT or (found is None and needs_value):
                lacking.append(part)
    return lacking


def _missing_in_and(children: list[Node], scope: Mapping[str, Json], *, value: bool) -> list[Path]:
    first, second = children
    if lacking := _missing_paths(first, scope, value=False):
        return lacking
    return (
        _missing_paths(second, scope, value=value) if is_truthy(_known_value(first, scope)) else []
    )


def _missing_in_fallback(node: Node, scope: Mapping[str, Json], *, value: bool) -> list[Path]:
    lacking: list[Path] = []
    last, needs_value = node["children"][-1], value or node["type"] == CALL
    for child in node["children"]:
        lacks = _missing_paths(child, scope, value=needs_value and child is last)
        if not lacks and (child is last or not _tries_next(node, child, scope)):
            return []
        lacking += lacks
    return lacking


def _tries_next(node: Node, child: Node, scope: Mapping[str, Json]) -> bool:
    """Whether `node` certainly goes on to the part after `child`, which has a value."""
    value = _known_value(child, scope)
    if value is ABSENT:
        return False
    return not is_truthy(value) if node["type"] == OR else value is None


def _known_value(node: Node, scope: Mapping[str, Json]) -> Json | Absent:
    """Return the value of `node` if it reads nothing but the input, and has one."""
    if any(path[0] != "input" for path in _paths_read(node)):
        return ABSENT
    try:
        value: Json | Absent = StrictInterpreter().visit(node, scope)
    except (ExpressionError, JMESPathError, *EVALUATION_FAILURES):
        return ABSENT
    return value


def _is_certainly_skipped(step: Step, scope: Mapping[str, Json]) -> bool:
    return step.when is not None and _is_certainly_false(step.when.tree, scope)


def _is_certainly_false(node: Node, scope: Mapping[str, Json]) -> bool:
    """Whether a condition is false whatever steps will say."""
    match node["type"]:
        case "and_expression":
            return any(_is_certainly_false(child, scope) for child in node["children"])
        case "or_expression":
            return all(_is_certainly_false(child, scope) for child in node["children"])
    if any(path[0] != "input" for path in _paths_read(node)):
        return False
    try:
        return not is_truthy(Interpreter().visit(node, scope))
    except (ExpressionError, JMESPathError, *EVALUATION_FAILURES):
        return False


def _paths_read(node: Node) -> Iterator[Path]:
    return (reference.path for reference in references(node))


def _step_expressions(step: Step) -> Iterator[tuple[Expression, bool]]:
    """Each with whether its value is put into a text."""
    for call in (step.action, step.status, step.compensation):
        if call is None:
            continue
        for text in (call.path, *(value for _, value in call.headers)):
            yield from ((one, True) for one in expressions(text))
        if call.body is not None:
            yield from _template_expressions(call.body)
    if step.child is not None and step.child.input is not None:
        yield from _template_expressions(step.child.input)


def _template_expressions(template: Template) -> Iterator[tuple[Expression, bool]]:
    texts = {id(one) for text in _template_texts(template) for one in expressions(text)}
    for one in expressions(template):
        yield one, id(one) in texts


def _template_texts(template: Template) -> Iterator[Text]:
    match template:
        case Text():
            yield template
        case _:
            children = [one for _, one in getattr(template, "members", ())]
            for child in (*children, *getattr(template, "items", ())):
                yield from _template_texts(child)


def _missing_finding(path: Path, need: RequiredInput | AlternativeInputs) -> Finding:
    source = need.expression.source
    shown = source if len(source) <= MAX_SHOWN_CHARACTERS else f"{source[:MAX_SHOWN_CHARACTERS]}…"
    by = f"{need.step.name}: ${{{shown}}}"
    detail = f"{dotted_path(path)} is missing, and needed by {by}"
    return Finding(code="missing-input", pointer=_request_pointer(path), detail=detail)


def _violation_finding(path: Path, why: str) -> Finding:
    place = ("input", *path)
    code = "missing-input" if why == MISSING_MESSAGE else "input-misfit"
    return Finding(code=code, pointer=_request_pointer(place), detail=f"{dotted_path(place)} {why}")


def _request_pointer(path: Path) -> str:
    """`input.step_data[1]` is the member `step_data` of a start, all else is in its `input`."""
    return json_pointer(path[1:] if path[1:2] == ("step_data",) else path)


def merged_input(given: JsonObject | None, step_data: Json) -> JsonObject:
    """What expressions read as `input`."""
    return {**(given or {}), **({} if step_data is None else {"step_data": step_data})}
