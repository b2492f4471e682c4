"""JMESPath expressions: parsed once, with what they read of the scope.

An expression comes from a definition, the data from callers and participants, and neither may stop
the service: `[@,@][]|[@,@][]|...` is 159 characters and a million elements. So every visited node
is counted, and everywhere the size of what is built. Most expressions are a plain path
(`steps.create_order.output.order_id`), which is simply followed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, DecimalException

import jmespath.lexer
import jmespath.parser
from jmespath.exceptions import JMESPathError, JMESPathTypeError

from ..formats.json_path import ABSENT, Absent, Path, dotted_path, get_path
from ..formats.strict_json import Json
from .compiled import CompiledExpression, NeedsInterpreter, compile_expression, is_truthy
from .evaluation import (
    EVALUATION_FAILURES,
    MAX_ELEMENTS,
    ExpressionError,
    Interpreter,
    MissingValue,
    Node,
    StrictInterpreter,
    charge_elements,
    describe_failure,
)
from .syntax_hints import describe_syntax_error

__all__ = [
    "Expression",
    "ExpressionError",
    "LenientExpression",
    "MissingValue",
    "Node",
    "Reference",
    "parse",
]

MAX_EXPRESSION_CHARACTERS = 2000  # characters

LITERAL = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Reference:
    """A place of the scope that an expression reads, `optional` if it has a fallback."""

    path: Path
    optional: bool = False

    @property
    def step(self) -> str | None:
        """The step whose output it reads."""
        if len(self.path) > 2 and self.path[0] == "steps" and self.path[2] == "output":
            return str(self.path[1])
        return None


@dataclass(frozen=True, slots=True)
class Expression:
    source: str
    tree: Node
    path: Path | None  # if it is no more than that
    references: tuple[Reference, ...]
    compiled: CompiledExpression | None = field(default=None, compare=False, repr=False)

    @property
    def steps_read(self) -> Collection[str] | None:
        """The steps that it reads of, if that is all that can be read by it, or None.

        A path says where it leads, and so does what picks and merges paths.
        """
        if self.path is None and self.compiled is None:
            return None
        paths = [one.path for one in self.references if one.path[0] == "steps"]
        if any(len(path) == 1 for path in paths):
            return None
        return frozenset(str(path[1]) for path in paths)

    def evaluate(self, scope: Mapping[str, Json]) -> Json:
        """Return its value, which may be null. Raises MissingValue if a part of it is absent."""
        if self.path is not None:
            found = get_path(self.path, scope)
            if found is ABSENT:
                raise self._missing_value(scope)
            return found
        if self.compiled is not None:
            try:
                found = self.compiled(scope)
            except (NeedsInterpreter, RecursionError):
                found = ABSENT
            if found is not ABSENT:
                charge_elements(MAX_ELEMENTS, found)
                return found
        return self._interpret(scope, StrictInterpreter())

    def holds(self, scope: Mapping[str, Json]) -> bool:
        """Whether it is true as a condition, in which null and what is absent are both false."""
        return is_truthy(self.evaluate_leniently(scope))

    def evaluate_leniently(self, scope: Mapping[str, Json]) -> Json:
        """Return its value, with null for each part that is absent."""
        if self.path is not None:
            found = get_path(self.path, scope)
            return None if found is ABSENT else found
        return self._interpret(scope, Interpreter())

    def _interpret(self, scope: Mapping[str, Json], interpreter: Interpreter) -> Json:
        try:
            value: Json | Absent = interpreter.visit(self.tree, scope)
        except MissingValue:
            value = ABSENT
        except (ExpressionError, JMESPathError, *EVALUATION_FAILURES) as error:
            raise self._evaluation_error(scope, error) from None
        if value is ABSENT:
            raise self._missing_value(scope, interpreter.last_absent_path)
        charge_elements(MAX_ELEMENTS, value)
        return value

    def _missing_value(self, scope: Mapping[str, Json], last: Path = ()) -> MissingValue:
        """Say what is not there and in which output, and what needs it."""
        needed = tuple(one.path for one in self.references if not one.optional)
        absent = tuple(path for path in needed if get_path(path, scope) is ABSENT)
        if absent:
            lacking = " and ".join(dict.fromkeys(_describe_absent(path, scope) for path in absent))
            return MissingValue(f"{lacking}, which ${{{self.source}}} needs", absent)
        why = f": there is no {dotted_path(last)}" if last else ""
        read = f" in {', '.join(map(dotted_path, needed))}" if last and needed else ""
        return MissingValue(f"${{{self.source}}} has no value{why}{read}", needed)

    def _evaluation_error(self, scope: Mapping[str, Json], error: Exception) -> ExpressionError:
        nothing = [
            dotted_path(one.path) for one in self.references if get_path(one.path, scope) is None
        ]
        why = describe_failure(error)
        if isinstance(error, JMESPathTypeError) and error.current_value is None and nothing:
            why = f"{why}: {', '.join(nothing)} is null"
        return ExpressionError(f"${{{self.source}}} cannot be evaluated: {why}")


@dataclass(frozen=True, slots=True)
class LenientExpression(Expression):
    """An expression that has null for what is absent below these roots of the scope."""

    roots: Collection[str] = ()

    def evaluate(self, scope: Mapping[str, Json]) -> Json:
        try:
            return Expression.evaluate(self, scope)
        except MissingValue as error:
            if any(path[0] not in self.roots for path in error.paths):
                raise
        return self.evaluate_leniently(scope)


def parse(source: str) -> Expression:
    """Raises ExpressionError."""
    if len(source) > MAX_EXPRESSION_CHARACTERS:
        raise ExpressionError(
            f"an expression is longer than {MAX_EXPRESSION_CHARACTERS} characters"
        )
    try:
        tree = _with_exact_literals(source, jmespath.parser.Parser().parse(source).parsed)
    except (JMESPathError, RecursionError, ValueError) as error:
        raise ExpressionError(
            f"${{{source}}} is not JMESPath: {describe_syntax_error(error, source)}"
        ) from None
    seen = tuple(references(tree))
    short = with_path_nodes(tree)
    return Expression(source, short, plain_path(tree), seen, compile_expression(short))


def _with_exact_literals(source: str, tree: Node) -> Node:
    """The same tree with the numbers of literals as they are written.

    The parser makes floats of them. So it parses the expression again with the number of each
    literal in its place, and the literals are read here.
    """
    literals: list[Json] = []
    pieces, at = list[str](), 0
    for (start, end), text in find_literals(source):
        try:
            literals.append(json.loads(text, parse_float=Decimal, parse_constant=Decimal))
        except (ValueError, DecimalException):  # a text without quotes, which the parser takes
            continue
        pieces += [source[at:start], f"`{len(literals) - 1}`"]
        at = end
    if not literals:
        return tree
    numbered = jmespath.parser.Parser().parse("".join([*pieces, source[at:]])).parsed
    return _with_literals(numbered, literals)


def find_literals(source: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Where each literal between backticks begins and ends, and its text."""
    for token in jmespath.lexer.Lexer().tokenize(source):
        found = LITERAL.match(source, token["start"])
        if token["type"] == "literal" and found is not None:
            yield found.span(), found[1].replace("\\`", "`")


def _with_literals(node: Node, literals: Sequence[Json]) -> Node:
    if node["type"] == "literal" and isinstance(node["value"], int):
        return {**node, "value": literals[node["value"]]}
    children = [
        _with_literals(child, literals) if isinstance(child, Mapping) else child
        for child in node["children"]
    ]
    return {**node, "children": children}


def plain_path(node: Node) -> Path | None:
    match node["type"]:
        case "path":
            path: Path = node["value"]
            return path
        case "field" | "index":
            return (node["value"],)
        case "subexpression" | "index_expression":
            paths = [plain_path(child) for child in node["children"]]
            if any(path is None for path in paths):
                return None
            return tuple(key for path in paths if path for key in path)
        case _:
            return None


def with_path_nodes(node: Node) -> Node:
    """The same tree with a single node, `path`, for each plain path in it.

    What a function is given to evaluate for each element, `&x`, is marked as `needed` there.
    """
    if (path := plain_path(node)) is not None:
        return {"type": "path", "value": path, "children": []}
    children = [
        one if not isinstance(one, Mapping) else with_path_nodes(one) for one in node["children"]
    ]
    if node["type"] == "expref":
        children = [{"type": "needed", "value": None, "children": children}]
    return {**node, "children": children}


CHAINS = {"subexpression", "index_expression"}
# What follows the first child of these is evaluated on its result, not on the scope.
RELATIVE = CHAINS | {"pipe", "projection", "value_projection", "filter_projection", "flatten"}


def references(node: Node, *, optional: bool = False) -> Iterator[Reference]:
    """What `node` reads of the scope."""
    if path := leading_path(node):
        yield Reference(path, optional)
        return
    if node["type"] == "expref":  # of an element, whatever that will be
        return
    children: Sequence[Node] = [one for one in node.get("children", ()) if isinstance(one, Mapping)]
    if node["type"] == "or_expression":
        yield from references(children[0], optional=True)
        yield from references(children[1], optional=optional)
        return
    if node["type"] == "function_expression" and node["value"] == "not_null" and children:
        for child in children[:-1]:
            yield from references(child, optional=True)
        yield from references(children[-1], optional=optional)
        return
    for child in children[:1] if node["type"] in RELATIVE else children:
        yield from references(child, optional=optional)


def leading_path(node: Node) -> Path:
    """The plain path that `node` walks before it does anything else."""
    if (path := plain_path(node)) is not None:
        return path
    if node["type"] not in RELATIVE:
        return ()
    first, *others = node["children"]
    path = leading_path(first)
    for one in others if node["type"] in CHAINS else ():
        if plain_path(first) is None:
            break
        path, first = path + leading_path(one), one
    return path


def _describe_absent(path: Path, scope: Mapping[str, Json]) -> str:
    match path:
        case ("steps", name, "output", *member):
            if member and get_path(path[:3], scope) is not ABSENT:
                return f"the output of {name} has no {dotted_path(tuple(member))}"
            return f"{name} has no output"
        case ("input" | "saga" as root, *member) if member:
            return f"{root} has no {dotted_path(tuple(member))}"
        case ("response", "body", *member) if member and get_path(path[:2], scope) is not ABSENT:
            return f"the reply has no {dotted_path(tuple(member))}"
        case ("response", "body", *_):
            return "the reply has no body"
        case _:
            return f"there is no {dotted_path(path)}"
