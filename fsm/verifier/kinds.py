"""What kinds of values an expression can come to, whatever the data are.

JMESPath binds `!` closer than `.`, so `!a.b` is a member of true or false, which is nothing; and a
number is always true, also 0. Such expressions can be evaluated, and never mean what their author
meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from jmespath.exceptions import JMESPathError

from ..errors import Finding
from ..evaluation import (
    FAILURES,
    FUNCTIONS,
    NO_STEP,
    SIGNS,
    ExpressionError,
    Interpreter,
    explained,
    kind_of,
)
from ..evaluation import KINDS as NAMES_OF_TYPES
from ..expression import RELATIVE, Expression, Node, plain_path
from ..path import Path, dotted
from ..shortcut import is_true
from .finding import error
from .order import children, nodes, reads

Kinds: TypeAlias = frozenset[str]  # of those below, as `kind_of` says them

TEXT, NUMBER, NULL = "a text", "a number", "null"
TRUTH, LIST, OBJECT = "true or false", "a list", "an object"
ANY: Kinds = frozenset({TEXT, NUMBER, NULL, TRUTH, LIST, OBJECT})
ORDERED: Kinds = frozenset({TEXT, NUMBER})
OF_FUNCTIONS: dict[str, Kinds] = {
    **dict.fromkeys(("abs", "avg", "ceil", "floor", "length", "sum"), frozenset({NUMBER})),
    **dict.fromkeys(("contains", "ends_with", "starts_with"), frozenset({TRUTH})),
    **dict.fromkeys(("join", "to_string", "type"), frozenset({TEXT})),
    **dict.fromkeys(("keys", "map", "sort", "sort_by", "to_array", "values"), frozenset({LIST})),
    **dict.fromkeys(("max", "min"), ORDERED),
    "merge": frozenset({OBJECT}),
    "reverse": frozenset({TEXT, LIST}),
    "to_number": frozenset({NUMBER}),
}
OF_NODES: dict[str, Kinds] = {
    "not_expression": frozenset({TRUTH}),
    "comparator": frozenset({TRUTH}),
    "multi_select_dict": frozenset({OBJECT}),
    **dict.fromkeys(
        ("multi_select_list", "projection", "value_projection", "filter_projection", "flatten"),
        frozenset({LIST}),
    ),
    "slice": frozenset({LIST}),
}
CHAINS = {"subexpression", "index_expression", "pipe"}  # of one value, not of each element
NEVER_EMPTY = {"multi_select_dict", "multi_select_list"}
BOTH = frozenset({True, False})


def kinds(node: Node) -> Kinds:
    """Return what `node` can come to, if it has a value."""
    match node["type"]:
        case "literal":
            return frozenset({kind_of(node["value"])})
        case "function_expression":
            return OF_FUNCTIONS.get(node["value"], ANY)
        case "or_expression" | "and_expression":
            return frozenset().union(*map(kinds, children(node)))
        case "subexpression" | "index_expression" | "pipe":
            return kinds(children(node)[-1])
        case "needed":
            return kinds(children(node)[0])
        case kind:
            return OF_NODES.get(kind, ANY)


def check_access(expression: Expression, pointer: str) -> Iterator[Finding]:
    """Members and items of what has none, and what functions and slices never take."""
    for _, node in nodes(expression):
        if node["type"] == "comparator" and (why := _why_unordered(node)):
            yield error("never-comparable", pointer, f"${{{expression.source}}}: {why}")
        elif why := _why_never(node):
            yield error("never-works", pointer, f"${{{expression.source}}}: {why}")
            return
        elif why := _why_nothing(node):
            yield error("never-there", pointer, f"${{{expression.source}}} {why}")
            return  # what surrounds it cannot be there for the same reason


def check_condition(expression: Expression, pointer: str) -> Iterator[Finding]:
    """Conditions that hold always or never though they read something."""
    if not any(reads(node) for _, node in nodes(expression)):
        return
    truths = _truths(expression.tree)
    if truths == BOTH:
        return
    (holds,) = truths
    why = _why_constant(expression.tree)
    detail = f"${{{expression.source}}} {'always' if holds else 'never'} holds{why}"
    yield error("never-varies", pointer, detail)


def _why_nothing(node: Node) -> str | None:
    """Why what `node` reads of its first part, or of the first part of that, is never there."""
    rest: list[Node] = []
    while (needed := _needed(node)) is not None:
        base, *then = children(node)
        rest = [*then, *rest]
        given = kinds(base)
        if not given & needed:
            path = plain_path(then[0]) if node["type"] in CHAINS else None
            return _meant(base, rest) or _misread(given, path)
        node = base
    return None


def _needed(node: Node) -> Kinds | None:
    """What the first part of `node` must be, for the rest to find something in it."""
    match node["type"]:
        case kind if kind in CHAINS:
            return _needed_by(children(node)[1])
        case "projection" | "filter_projection" | "flatten":
            return frozenset({LIST})
        case "value_projection":
            return frozenset({OBJECT})
        case _:
            return None


def _needed_by(then: Node) -> Kinds:
    if path := plain_path(then):
        return frozenset({LIST if isinstance(path[0], int) else OBJECT})
    match then["type"]:
        case "slice":
            return frozenset({LIST})
        case "multi_select_dict" | "multi_select_list":
            return frozenset({LIST, OBJECT})
        case kind if kind in RELATIVE:
            return _needed_by(children(then)[0])
        case _:
            return ANY


def _meant(base: Node, rest: list[Node]) -> str | None:
    """The form that is meant where `!` was to negate the whole."""
    if base["type"] != "not_expression":
        return None
    signs, inner = "!", children(base)[0]
    while inner["type"] == "not_expression":
        signs, inner = f"{signs}!", children(inner)[0]
    paths = [plain_path(one) for one in (inner, *rest)]
    whole = dotted(tuple(key for path in paths if path for key in path))
    meant = f"{signs}({whole})" if all(paths) else f"{signs}(...) around the whole path"
    first = dotted(paths[0]) if paths[0] else "what comes first"
    return (
        f"negates {first} alone, for ! binds closer than what follows, and true or false has no"
        f" parts: write {meant}"
    )


def _misread(given: Kinds, path: Path | None) -> str:
    what = dotted(path) if path else "the parts"
    return (
        f"reads {what} of what is always {' or '.join(sorted(given))}, where nothing is:"
        " set parentheses, or leave it out"
    )


def _why_unordered(node: Node) -> str | None:
    sign = SIGNS.get(node["value"])
    if sign is None:
        return None
    left, right = map(kinds, children(node))
    if left & right & ORDERED:
        return None
    what = f"{' or '.join(sorted(left))} with {' or '.join(sorted(right))}"
    if left == ANY or right == ANY:
        what = " or ".join(sorted(right if left == ANY else left))
        return f"{sign} compares two numbers or two texts, and one side is always {what}"
    return f"{sign} compares two numbers or two texts, not {what}"


def _why_never(node: Node) -> str | None:
    """Why a function, or a slice, fails whatever the data are."""
    if node["type"] == "slice" and node["children"][2] == 0:
        return NO_STEP
    if node["type"] != "function_expression":
        return None
    signature = FUNCTIONS.FUNCTION_TABLE.get(node["value"], {}).get("signature", ())
    for number, child in enumerate(children(node) if signature else ()):
        taken = signature[min(number, len(signature) - 1)]["types"]  # the last one may be repeated
        given = kinds(child) - {NULL}  # of which there is nothing to be said
        if taken and "expref" not in taken and given and not given & _kinds_of(taken):
            takes = " or ".join(NAMES_OF_TYPES[one] for one in taken)
            return f"{node['value']} takes {takes}, and is given {' or '.join(sorted(given))}"
    return _why_not_constant(node)


def _kinds_of(types: Sequence[str]) -> Kinds:
    return frozenset(NAMES_OF_TYPES[one.partition("-")[0]] for one in types)


def _why_not_constant(node: Node) -> str | None:
    """Why a function fails that is given nothing but literals."""
    pending = [node]
    for one in pending:
        if reads(one):
            return None
        pending += children(one)
    try:
        Interpreter().visit(node, None)
    except (ExpressionError, JMESPathError, *FAILURES) as error:
        return explained(error)
    return None


def _truths(node: Node) -> frozenset[bool]:
    """What `node` can be as a condition; what is absent is false."""
    match node["type"]:
        case "literal":
            return frozenset({is_true(node["value"])})
        case "not_expression":
            return frozenset(not one for one in _truths(children(node)[0]))
        case "or_expression":
            first, second = map(_truths, children(node))
            return (first & {True}) | (second if False in first else frozenset())
        case "and_expression":
            first, second = map(_truths, children(node))
            return (first & {False}) | (second if True in first else frozenset())
        case "comparator" if _never_equal(node):
            return frozenset({node["value"] == "ne"})
        case "multi_select_dict" | "multi_select_list":
            return frozenset({True})
        case "function_expression" if kinds(node) == {NUMBER}:
            return frozenset({True})
        case _:
            return BOTH


def _never_equal(node: Node) -> bool:
    left, right = map(kinds, children(node))
    return node["value"] not in SIGNS and not left & right


def _why_constant(tree: Node) -> str:
    pending = [tree]
    for node in pending:
        if node["type"] == "comparator" and _never_equal(node):
            left, right = (" or ".join(sorted(kinds(one))) for one in children(node))
            return f", for it compares {left} with {right}: correct the one or the other"
        if node["type"] == "function_expression" and kinds(node) == {NUMBER}:
            return ", for a number is always true, 0 too: compare it, as in ... > `0`"
        if node["type"] in NEVER_EMPTY:
            return ", for {...} and [...] are always true: name what they are to have"
        pending += children(node)
    return ": compare it with something, or leave it out"
