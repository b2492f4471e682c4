"""Check the input of a start against its definition, before anything is recorded.

Each part of `input` that an expression needs must be there; otherwise a call could not be made
later, in the middle of the saga. A fallback (`||`, `not_null`) counts only where the operand before
it has no value, and a step whose condition is false for this input needs nothing. A condition
treats a missing part as false. Null is a value, except in a text and as an argument of a function
that does not take null.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from ..expressions.compiled import is_truthy
from ..expressions.evaluation import ExpressionError, evaluate_tree
from ..expressions.expression import Expression
from ..expressions.functions import PARAMETERS
from ..expressions.syntax_tree import RELATIVE, Node, children, leading_path, references
from ..expressions.template import Template, Text, expressions
from ..formats.json_path import ABSENT, Absent, Path, dotted_path, get_path, json_pointer
from ..formats.strict_json import Json, JsonObject
from .definition import Definition, Step
from .findings import Finding, InvalidInput
from .input_schema import MISSING_MESSAGE

MAX_SHOWN_CHARACTERS = 60  # characters of an expression
OR, AND, CALL = "or_expression", "and_expression", "function_expression"


@dataclass(frozen=True, slots=True)
class RequiredInput:
    """A part of the input that `expression` of `step` needs. With `value`, null is not enough."""

    path: Path
    value: bool
    step: Step
    expression: Expression


@dataclass(frozen=True, slots=True)
class AlternativeInputs:
    """A fallback or a conjunction (`||`, `not_null`, `&&`) in `expression` of `step`: which parts
    of the input it needs depends on the values of its operands.

    With `value`, null is not enough.
    """

    node: Node
    value: bool
    step: Step
    expression: Expression


def check_input(definition: Definition, given: JsonObject) -> None:
    """Raise InvalidInput with all faults of `given`.

    A part that is both missing for an expression and a violation of the schema is one finding: the
    violation.
    """
    scope: Mapping[str, Json] = {"input": given}
    missing: dict[Path, Finding] = {}
    for need in required_inputs(definition):
        if isinstance(need, AlternativeInputs):
            paths = _missing_paths(need.node, scope, value=need.value)
        else:
            value = get_path(need.path, scope)
            if value is not ABSENT and (value is not None or not need.value):
                continue
            paths = [need.path]
        if paths and not _is_certainly_skipped(need.step, scope):
            for path in paths:
                missing.setdefault(path, _missing_finding(path, need))
    misfits = definition.input.violations(given) if definition.input is not None else ()
    if missing or misfits:
        violated = {("input", *path) for path, _ in misfits if path}
        partless = frozenset(
            path
            for path in (*violated, *missing)
            if not isinstance(get_path(path, scope), dict | list)
        )
        needed = [
            finding
            for path, finding in missing.items()
            if path not in violated and not _is_within(path, partless)
        ]
        raise InvalidInput([*needed, *(_violation_finding(path, why) for path, why in misfits)])


def _is_within(path: Path, partless: Collection[Path]) -> bool:
    """True if `path` leads into one of `partless`, values without parts that are findings
    themselves."""
    return any(path[:length] in partless for length in range(1, len(path)))


@cache
def required_inputs(definition: Definition) -> tuple[RequiredInput | AlternativeInputs, ...]:
    """Return what the expressions of all calls and child sagas need of the input."""
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
    """Yield what `node` needs of the input: paths, and nodes whose need depends on values. The flag
    is true if null is not enough."""
    kind = node["type"]
    operands = children(node)
    if kind == "path":
        if node["value"][0] == "input":
            yield node["value"], value
    elif kind == AND or _is_fallback(node):
        yield node, value
    elif kind == CALL:
        for number, child in enumerate(operands):
            yield from _required_parts(child, value=not _accepts_null(node["value"], number))
    elif kind == "pipe":
        yield from _required_parts(operands[0], value=False)
    elif kind in RELATIVE:  # null has no parts to go on with
        path = leading_path(node)
        start: Node = {"type": "path", "value": path, "children": []} if path else operands[0]
        yield from _required_parts(start, value=True)
    elif kind != "expref":
        for child in operands:
            yield from _required_parts(child, value=False)


def _is_fallback(node: Node) -> bool:
    """True if `node` evaluates its operands in turn until one has a value."""
    kind: str = node["type"]
    return kind == OR or (kind == CALL and node["value"] == "not_null")


def _accepts_null(function: str, number: int) -> bool:
    parameters = PARAMETERS.get(function)
    takes_any = not parameters or not parameters[min(number, len(parameters) - 1)].types
    return takes_any and function != "to_number"


def _missing_paths(node: Node, scope: Mapping[str, Json], *, value: bool) -> list[Path]:
    """Return the paths without which `node` certainly has no value."""
    if node["type"] == AND:
        return _missing_in_and(node["children"], scope, value=value)
    if _is_fallback(node):
        return _missing_in_fallback(node, scope, value=value)
    lacking: list[Path] = []
    for part, needs_value in _required_parts(node, value=value):
        if isinstance(part, Mapping):
            lacking += _missing_paths(part, scope, value=needs_value)
        else:
            present = get_path(part, scope)
            if present is ABSENT or (present is None and needs_value):
                lacking.append(part)
    return lacking


def _missing_in_and(operands: list[Node], scope: Mapping[str, Json], *, value: bool) -> list[Path]:
    first, second = operands
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
    """True if `node` certainly evaluates the operand after `child`, although `child` has a
    value."""
    value = _known_value(child, scope)
    if value is ABSENT:
        return False
    return not is_truthy(value) if node["type"] == OR else value is None


def _known_value(node: Node, scope: Mapping[str, Json]) -> Json | Absent:
    """Return the value of `node` if it reads nothing but the input, and has one."""
    if any(path[0] != "input" for path in _paths_read(node)):
        return ABSENT
    try:
        return evaluate_tree(node, scope)
    except ExpressionError:
        return ABSENT


def _is_certainly_skipped(step: Step, scope: Mapping[str, Json]) -> bool:
    return step.when is not None and _is_certainly_false(step.when.tree, scope)


def _is_certainly_false(node: Node, scope: Mapping[str, Json]) -> bool:
    """True if a condition is false for this input, whatever the outputs of steps will be."""
    match node["type"]:
        case "and_expression":
            return any(_is_certainly_false(child, scope) for child in node["children"])
        case "or_expression":
            return all(_is_certainly_false(child, scope) for child in node["children"])
    if any(path[0] != "input" for path in _paths_read(node)):
        return False
    try:
        return not is_truthy(evaluate_tree(node, scope, lenient=True))
    except ExpressionError:
        return False


def _paths_read(node: Node) -> Iterator[Path]:
    return (reference.path for reference in references(node))


def _step_expressions(step: Step) -> Iterator[tuple[Expression, bool]]:
    """Yield each expression of `step`, with whether its value becomes part of a text."""
    for call in (step.action, step.status, step.compensation):
        if call is None:
            continue
        for text in (call.path, *(value for _, value in call.headers)):
            yield from ((expression, True) for expression in expressions(text))
        if call.body is not None:
            yield from _template_expressions(call.body)
    if step.child is not None and step.child.input is not None:
        yield from _template_expressions(step.child.input)


def _template_expressions(template: Template) -> Iterator[tuple[Expression, bool]]:
    in_texts = {id(part) for text in _template_texts(template) for part in expressions(text)}
    for expression in expressions(template):
        yield expression, id(expression) in in_texts


def _template_texts(template: Template) -> Iterator[Text]:
    match template:
        case Text():
            yield template
        case _:
            parts = [member for _, member in getattr(template, "members", ())]
            for part in (*parts, *getattr(template, "items", ())):
                yield from _template_texts(part)


def _missing_finding(path: Path, need: RequiredInput | AlternativeInputs) -> Finding:
    source = need.expression.source
    shown = source if len(source) <= MAX_SHOWN_CHARACTERS else f"{source[:MAX_SHOWN_CHARACTERS]}…"
    by = f"{need.step.name}: ${{{shown}}}"
    detail = f"{dotted_path(path)} is missing, and needed by {by}"
    return Finding(code="missing-input", pointer=_request_pointer(path), detail=detail)


def _violation_finding(path: Path, why: str) -> Finding:
    from_root = ("input", *path)
    code = "missing-input" if why == MISSING_MESSAGE else "input-misfit"
    return Finding(
        code=code, pointer=_request_pointer(from_root), detail=f"{dotted_path(from_root)} {why}"
    )


def _request_pointer(path: Path) -> str:
    """Return the pointer into the request, where `step_data` is beside `input`, not in it."""
    return json_pointer(path[1:] if path[1:2] == ("step_data",) else path)


def merged_input(given: JsonObject | None, step_data: Json) -> JsonObject:
    """Return the object that expressions read as `input`."""
    return {**(given or {}), **({} if step_data is None else {"step_data": step_data})}
