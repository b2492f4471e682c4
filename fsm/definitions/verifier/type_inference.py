"""Infer the types that an expression can have whatever the data are, and check their use.

JMESPath binds `!` closer than `.`, so `!a.b` is a member of true or false, which does not exist;
and a number is always true, also 0. Such expressions can be evaluated, and never do what their
author meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from ...expressions.compiled import is_truthy
from ...expressions.evaluation import (
    COMPARISON_SIGNS,
    ZERO_STEP_MESSAGE,
    ExpressionError,
    evaluate_tree,
    type_name,
)
from ...expressions.evaluation import TYPE_NAMES as NAMES_OF_TYPES
from ...expressions.expression import Expression
from ...expressions.functions import PARAMETERS
from ...expressions.syntax_tree import RELATIVE, Node, children, nodes, plain_path, reads_scope
from ...formats.json_path import Path, dotted_path
from ..findings import Finding, error

PossibleTypes: TypeAlias = frozenset[str]  # of the names below, which are those of `type_name`

TEXT, NUMBER, NULL = "a text", "a number", "null"
BOOLEAN, LIST, OBJECT = "true or false", "a list", "an object"
ANY_TYPE: PossibleTypes = frozenset({TEXT, NUMBER, NULL, BOOLEAN, LIST, OBJECT})
ORDERED_TYPES: PossibleTypes = frozenset({TEXT, NUMBER})
FUNCTION_RESULTS: dict[str, PossibleTypes] = {
    **dict.fromkeys(("abs", "avg", "ceil", "floor", "length", "sum"), frozenset({NUMBER})),
    **dict.fromkeys(("contains", "ends_with", "starts_with"), frozenset({BOOLEAN})),
    **dict.fromkeys(("join", "to_string", "type"), frozenset({TEXT})),
    **dict.fromkeys(("keys", "map", "sort", "sort_by", "to_array", "values"), frozenset({LIST})),
    **dict.fromkeys(("max", "min"), ORDERED_TYPES),
    "merge": frozenset({OBJECT}),
    "reverse": frozenset({TEXT, LIST}),
    "to_number": frozenset({NUMBER}),
}
NODE_RESULTS: dict[str, PossibleTypes] = {
    "not_expression": frozenset({BOOLEAN}),
    "comparator": frozenset({BOOLEAN}),
    "multi_select_dict": frozenset({OBJECT}),
    **dict.fromkeys(
        ("multi_select_list", "projection", "value_projection", "filter_projection", "flatten"),
        frozenset({LIST}),
    ),
    "slice": frozenset({LIST}),
}
SINGLE_VALUE_CHAINS = {
    "subexpression",
    "index_expression",
    "pipe",
}  # of one value, not of each element
ALWAYS_TRUE_NODES = {"multi_select_dict", "multi_select_list"}
TRUE_OR_FALSE = frozenset({True, False})


def possible_types(node: Node) -> PossibleTypes:
    """Return the types that the value of `node` can have, if it has one."""
    match node["type"]:
        case "literal":
            return frozenset({type_name(node["value"])})
        case "function_expression":
            return FUNCTION_RESULTS.get(node["value"], ANY_TYPE)
        case "or_expression" | "and_expression":
            return frozenset().union(*map(possible_types, children(node)))
        case "subexpression" | "index_expression" | "pipe":
            return possible_types(children(node)[-1])
        case "needed":
            return possible_types(children(node)[0])
        case kind:
            return NODE_RESULTS.get(kind, ANY_TYPE)


def check_access(expression: Expression, pointer: str) -> Iterator[Finding]:
    """Find reads that never find anything, and calls and comparisons that always fail."""
    for _, node in nodes(expression.tree):
        if node["type"] == "comparator" and (why := _why_not_comparable(node)):
            yield error("never-comparable", pointer, f"${{{expression.source}}}: {why}")
        elif why := _why_always_fails(node):
            yield error("never-works", pointer, f"${{{expression.source}}}: {why}")
            return
        elif why := _why_never_present(node):
            yield error("never-there", pointer, f"${{{expression.source}}} {why}")
            return  # the surrounding nodes have no value for the same reason


def check_condition(expression: Expression, pointer: str) -> Iterator[Finding]:
    """Find a condition that reads something and yet always or never holds."""
    if not any(reads_scope(node) for _, node in nodes(expression.tree)):
        return
    truths = _possible_truths(expression.tree)
    if truths == TRUE_OR_FALSE:
        return
    (holds,) = truths
    why = _why_constant(expression.tree)
    detail = f"${{{expression.source}}} {'always' if holds else 'never'} holds{why}"
    yield error("never-varies", pointer, detail)


def _why_never_present(node: Node) -> str | None:
    """Say why `node`, or a base of it, reads a part that the value before it never has."""
    rest: list[Node] = []
    while (needed := _required_base_types(node)) is not None:
        base, *then = children(node)
        rest = [*then, *rest]
        given = possible_types(base)
        if not given & needed:
            path = plain_path(then[0]) if node["type"] in SINGLE_VALUE_CHAINS else None
            return _suggest_negation(base, rest) or _describe_misread(given, path)
        node = base
    return None


def _required_base_types(node: Node) -> PossibleTypes | None:
    """Return the types of the first part of `node` in which the rest can find something."""
    match node["type"]:
        case kind if kind in SINGLE_VALUE_CHAINS:
            return _types_required_by(children(node)[1])
        case "projection" | "filter_projection" | "flatten":
            return frozenset({LIST})
        case "value_projection":
            return frozenset({OBJECT})
        case _:
            return None


def _types_required_by(then: Node) -> PossibleTypes:
    if path := plain_path(then):
        return frozenset({LIST if isinstance(path[0], int) else OBJECT})
    match then["type"]:
        case "slice":
            return frozenset({LIST})
        case "multi_select_dict" | "multi_select_list":
            return frozenset({LIST, OBJECT})
        case kind if kind in RELATIVE:
            return _types_required_by(children(then)[0])
        case _:
            return ANY_TYPE


def _suggest_negation(base: Node, rest: list[Node]) -> str | None:
    """Suggest where to put `!` if it was meant to negate the whole path."""
    if base["type"] != "not_expression":
        return None
    signs, inner = "!", children(base)[0]
    while inner["type"] == "not_expression":
        signs, inner = f"{signs}!", children(inner)[0]
    paths = [plain_path(part) for part in (inner, *rest)]
    whole = dotted_path(tuple(key for path in paths if path for key in path))
    meant = f"{signs}({whole})" if all(paths) else f"{signs}(...) around the whole path"
    first = dotted_path(paths[0]) if paths[0] else "what comes first"
    return (
        f"negates {first} alone, because ! binds closer than what follows, and true or false has"
        f" no parts: write {meant}"
    )


def _describe_misread(given: PossibleTypes, path: Path | None) -> str:
    what = dotted_path(path) if path else "parts"
    return (
        f"reads {what} of a value that is always {' or '.join(sorted(given))} and has none:"
        " set parentheses, or leave it out"
    )


def _why_not_comparable(node: Node) -> str | None:
    sign = COMPARISON_SIGNS.get(node["value"])
    if sign is None:
        return None
    left, right = map(possible_types, children(node))
    if left & right & ORDERED_TYPES:
        return None
    what = f"{' or '.join(sorted(left))} with {' or '.join(sorted(right))}"
    if left == ANY_TYPE or right == ANY_TYPE:
        what = " or ".join(sorted(right if left == ANY_TYPE else left))
        return f"{sign} compares two numbers or two texts, and one side is always {what}"
    return f"{sign} compares two numbers or two texts, not {what}"


def _why_always_fails(node: Node) -> str | None:
    """Say why a function, or a slice, fails whatever the data are."""
    if node["type"] == "slice" and node["children"][2] == 0:
        return ZERO_STEP_MESSAGE
    if node["type"] != "function_expression":
        return None
    parameters = PARAMETERS.get(node["value"], ())
    for number, child in enumerate(children(node) if parameters else ()):
        taken = parameters[min(number, len(parameters) - 1)].types  # the last may be variadic
        given = possible_types(child) - {NULL}  # a function of null is null
        if taken and "expref" not in taken and given and not given & _types_taken(taken):
            takes = " or ".join(NAMES_OF_TYPES[name] for name in taken)
            return f"{node['value']} takes {takes}, and is given {' or '.join(sorted(given))}"
    return _why_constant_call_fails(node)


def _types_taken(types: Sequence[str]) -> PossibleTypes:
    return frozenset(NAMES_OF_TYPES[name.partition("-")[0]] for name in types)


def _why_constant_call_fails(node: Node) -> str | None:
    """Say why a call with nothing but literals fails."""
    pending = [node]
    for part in pending:
        if reads_scope(part):
            return None
        pending += children(part)
    try:
        evaluate_tree(node, None, lenient=True)
    except ExpressionError as error:
        return str(error)
    return None


def _possible_truths(node: Node) -> frozenset[bool]:
    """Return the truth values that `node` can have as a condition; a missing value is false."""
    match node["type"]:
        case "literal":
            return frozenset({is_truthy(node["value"])})
        case "not_expression":
            return frozenset(not truth for truth in _possible_truths(children(node)[0]))
        case "or_expression":
            first, second = map(_possible_truths, children(node))
            return (first & {True}) | (second if False in first else frozenset())
        case "and_expression":
            first, second = map(_possible_truths, children(node))
            return (first & {False}) | (second if True in first else frozenset())
        case "comparator" if _never_equal(node):
            return frozenset({node["value"] == "ne"})
        case "multi_select_dict" | "multi_select_list":
            return frozenset({True})
        case "function_expression" if possible_types(node) == {NUMBER}:
            return frozenset({True})
        case _:
            return TRUE_OR_FALSE


def _never_equal(node: Node) -> bool:
    left, right = map(possible_types, children(node))
    return node["value"] not in COMPARISON_SIGNS and not left & right


def _why_constant(tree: Node) -> str:
    pending = [tree]
    for node in pending:
        if node["type"] == "comparator" and _never_equal(node):
            left, right = (" or ".join(sorted(possible_types(side))) for side in children(node))
            return f", because it compares {left} with {right}: correct one of them"
        if node["type"] == "function_expression" and possible_types(node) == {NUMBER}:
            return ", because a number is always true, 0 too: compare it, as in ... > `0`"
        if node["type"] in ALWAYS_TRUE_NODES:
            return ", because {...} and [...] are always true: compare a member instead"
        pending += children(node)
    return ": compare it with something, or leave it out"
