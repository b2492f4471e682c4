"""JMESPath expressions, parsed once and evaluated under a budget.

An expression comes from a definition, the data from callers and participants, and neither may stop
the service: `[@,@][]|[@,@][]|...` is 159 characters and a million elements. So every visited node
is counted where an expression can repeat itself, and everywhere the size of what is built. Most
expressions are a plain path (`steps.create_order.output.order_id`), which is simply followed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, DecimalException
from typing import Any, TypeAlias

import jmespath.lexer
import jmespath.parser
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

from .functions import ExactFunctions, same
from .path import Path, dotted, follow
from .shortcut import Shortcut, Unusual, shortcut
from .strict_json import Json

LONGEST_EXPRESSION = 2000  # characters
MOST_VISITS = 10_000  # nodes of the expression, counted each time one is evaluated
MOST_ELEMENTS = 100_000  # members of lists and objects, in all arguments and in the result

CHARACTERS_OF_AN_ELEMENT = 256  # how long texts count
CONTAINERS = (dict, list)

LITERAL = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)

Node: TypeAlias = Mapping[str, Any]  # of the parser's tree: type, children, value


class ExpressionError(Exception):
    """An expression that cannot be parsed, or not be evaluated on these data."""


class MissingValue(ExpressionError):
    """An expression that needs what is not there."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A place of the scope that an expression reads.

    `optional` if it has a fallback; `argument` if a function is given it, which null would break.
    """

    path: Path
    optional: bool = False
    argument: bool = False

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
    repeats: bool  # whether it evaluates a part of itself more than once
    references: tuple[Reference, ...]
    shortcut: Shortcut | None = field(default=None, compare=False, repr=False)

    @property
    def steps_read(self) -> Collection[str] | None:
        """The steps that it reads of, if that is all that can be read by it, or None.

        A path says where it leads, and so does what picks and merges paths.
        """
        if self.path is None and self.shortcut is None:
            return None
        paths = [one.path for one in self.references if one.path[0] == "steps"]
        if any(len(path) == 1 for path in paths):
            return None
        return frozenset(str(path[1]) for path in paths)

    @property
    def needs_output(self) -> bool:
        return any(one.step and not one.optional for one in self.references)

    def evaluate(self, scope: Mapping[str, Json]) -> Json:
        """Raises MissingValue if the output of a step was needed and is not there."""
        if self.path is not None:
            value = follow(self.path, scope)
        else:
            value = self._compute(scope)
            left_of(MOST_ELEMENTS, value)
        if value is None and self.needs_output:
            raise MissingValue(f"${{{self.source}}} has no value")
        return value

    def _compute(self, scope: Mapping[str, Json]) -> Json:
        try:
            if self.shortcut is not None:
                return self.shortcut(scope)
        except (Unusual, RecursionError):
            pass
        try:
            interpreter = CountingInterpreter() if self.repeats else Interpreter()
            value: Json = interpreter.visit(self.tree, scope)  # type: ignore[arg-type]
            return value
        except JMESPathError as error:
            raise self._failure(scope, error) from None
        except (RecursionError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise ExpressionError(f"${{{self.source}}} cannot be evaluated: {error}") from None

    def _failure(self, scope: Mapping[str, Json], error: JMESPathError) -> ExpressionError:
        """A function that was given nothing complains of its type; say what was missing instead."""
        absent = [one.path for one in self.references if follow(one.path, scope) is None]
        if absent:
            names = ", ".join(dotted(path) for path in absent)
            return MissingValue(f"${{{self.source}}} needs {names}")
        return ExpressionError(f"${{{self.source}}} cannot be evaluated: {error}")


def parse(source: str) -> Expression:
    """Raises ExpressionError."""
    if len(source) > LONGEST_EXPRESSION:
        raise ExpressionError(f"an expression is longer than {LONGEST_EXPRESSION} characters")
    try:
        tree = _with_exact_literals(source, jmespath.parser.Parser().parse(source).parsed)
    except (JMESPathError, RecursionError, ValueError) as error:
        why = str(error).splitlines()[0] if str(error) else "it nests too deep"
        raise ExpressionError(f"${{{source}}} is not JMESPath: {why}") from None
    seen = tuple(references(tree))
    short = shortened(tree)
    return Expression(source, short, plain_path(tree), repeats(tree), seen, shortcut(short))


def _with_exact_literals(source: str, tree: Node) -> Node:
    """The same tree with the numbers of literals as they are written.

    The parser makes floats of them. So it parses the expression again with the number of each
    literal in its place, and the literals are read here.
    """
    literals: list[Json] = []
    pieces, at = list[str](), 0
    for (start, end), text in literals_of(source):
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


def literals_of(source: str) -> Iterator[tuple[tuple[int, int], str]]:
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
        case "field" | "index":
            return (node["value"],)
        case "subexpression" | "index_expression":
            paths = [plain_path(child) for child in node["children"]]
            if any(path is None for path in paths):
                return None
            return tuple(key for path in paths if path for key in path)
        case _:
            return None


def shortened(node: Node) -> Node:
    """The same tree with a single node, `path`, for each plain path in it."""
    if (path := plain_path(node)) is not None:
        return {"type": "path", "value": path, "children": []}
    children = [one if not isinstance(one, Mapping) else shortened(one) for one in node["children"]]
    return {**node, "children": children}


CHAINS = {"subexpression", "index_expression"}
# What follows the first child of these is evaluated on its result, not on the scope.
RELATIVE = CHAINS | {"pipe", "projection", "value_projection", "filter_projection", "flatten"}
REPEATING = {"projection", "value_projection", "filter_projection", "flatten", "pipe", "expref"}


def repeats(node: Node) -> bool:
    children = (one for one in node["children"] if isinstance(one, Mapping))
    return node["type"] in REPEATING or any(repeats(child) for child in children)


def references(
    node: Node, *, optional: bool = False, argument: bool = False
) -> Iterator[Reference]:
    """What `node` reads of the scope."""
    if path := leading_path(node):
        yield Reference(path, optional, argument)
        return
    if node["type"] == "expref":  # of an element, whatever that will be
        return
    children: Sequence[Node] = [one for one in node.get("children", ()) if isinstance(one, Mapping)]
    if node["type"] == "or_expression":
        yield from references(children[0], optional=True)
        yield from references(children[1], optional=optional, argument=argument)
        return
    argument = node["type"] == "function_expression"
    for child in children[:1] if node["type"] in RELATIVE else children:
        yield from references(child, optional=optional, argument=argument)


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


class Budget:
    """Of one evaluation."""

    def __init__(self) -> None:
        self.visits, self.elements = MOST_VISITS, MOST_ELEMENTS

    def visit(self) -> None:
        self.visits -= 1
        if self.visits < 0:
            raise ExpressionError(f"an expression takes more than {MOST_VISITS} operations")

    def count(self, value: Json) -> None:
        self.elements = left_of(self.elements, value)


def left_of(elements: int, value: Json) -> int:
    """Without every member of `value`, at any depth: shared ones as often as they are written.

    Raises ExpressionError.
    """
    pending = [value]
    for one in pending:  # which grows meanwhile
        members: Iterable[Json]
        if isinstance(one, dict):
            elements, members = elements - len(one), one.values()
        elif isinstance(one, list):
            elements, members = elements - len(one), one
        else:
            members = (one,)
        # Asked by type in turn, twice as fast as matched; most members are short texts.
        for member in members:
            if isinstance(member, str):
                if len(member) >= CHARACTERS_OF_AN_ELEMENT:
                    elements -= len(member) // CHARACTERS_OF_AN_ELEMENT
            elif isinstance(member, CONTAINERS):
                pending.append(member)
        if elements < 0:
            raise ExpressionError(f"an expression builds more than {MOST_ELEMENTS} elements")
    return elements


class BudgetedFunctions(ExactFunctions):
    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    def call_function(self, function_name: str, resolved_args: Iterable[Any]) -> Any:
        self.budget.count(list(resolved_args))
        return super().call_function(function_name, resolved_args)


class Interpreter(TreeInterpreter):
    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget()
        self._functions = BudgetedFunctions(self.budget)

    def visit_path(self, node: Any, value: Any) -> Any:
        return follow(node["value"], value)

    def visit_comparator(self, node: Any, value: Any) -> Any:
        if node["value"] not in ("eq", "ne"):
            return super().visit_comparator(node, value)
        first, second = (self.visit(child, value) for child in node["children"])
        if isinstance(first, CONTAINERS):
            self.budget.count(first)
        return same(first, second) is (node["value"] == "eq")


class CountingInterpreter(Interpreter):
    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self.budget.visit()
        result = super().visit(node, *args, **kwargs)
        if isinstance(result, list) and len(result) > MOST_ELEMENTS:
            raise ExpressionError(f"an expression builds more than {MOST_ELEMENTS} elements")
        return result
