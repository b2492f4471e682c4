"""JMESPath expressions: parsed once, with the paths of the scope that they read.

An expression comes from a definition, the data from clients and participants, and neither may
exhaust the service: `[@,@][]|[@,@][]|...` is 159 characters and a million elements. So every
visited node is counted, and so is the size of every value that is built.
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
    StrictInterpreter,
    charge_elements,
    describe_failure,
)
from .syntax_hints import describe_syntax_error
from .syntax_tree import Node, Reference, plain_path, references, with_path_nodes

__all__ = [
    "Expression",
    "ExpressionError",
    "LenientExpression",
    "MissingValue",
    "parse",
]

MAX_EXPRESSION_CHARACTERS = 2000  # characters

LITERAL = re.compile(r"`((?:[^`\\]|\\.)*)`", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression. `path` is set if the expression is just a path."""

    source: str
    tree: Node
    path: Path | None
    references: tuple[Reference, ...]
    compiled: CompiledExpression | None = field(default=None, compare=False, repr=False)

    @property
    def steps_read(self) -> Collection[str] | None:
        """The steps that the expression reads, or None if they may be any.

        They are known if the expression only picks and merges paths.
        """
        if self.path is None and self.compiled is None:
            return None
        paths = [reference.path for reference in self.references if reference.path[0] == "steps"]
        if any(len(path) == 1 for path in paths):
            return None
        return frozenset(str(path[1]) for path in paths)

    def evaluate(self, scope: Mapping[str, Json]) -> Json:
        """Return the value, which may be null. Raises MissingValue if a part of it is absent."""
        if self.path is not None:
            value = get_path(self.path, scope)
            if value is ABSENT:
                raise self._missing_value(scope)
            return value
        if self.compiled is not None:
            try:
                value = self.compiled(scope)
            except (NeedsInterpreter, RecursionError):
                value = ABSENT
            if value is not ABSENT:
                charge_elements(MAX_ELEMENTS, value)
                return value
        return self._interpret(scope, StrictInterpreter())

    def holds(self, scope: Mapping[str, Json]) -> bool:
        """True if the expression is true as a condition; null and absent parts are false."""
        return is_truthy(self.evaluate_leniently(scope))

    def evaluate_leniently(self, scope: Mapping[str, Json]) -> Json:
        """Return the value, with null for each part that is absent."""
        if self.path is not None:
            value = get_path(self.path, scope)
            return None if value is ABSENT else value
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
        """Describe which part of which output is absent."""
        needed = tuple(reference.path for reference in self.references if not reference.optional)
        absent = tuple(path for path in needed if get_path(path, scope) is ABSENT)
        if absent:
            lacking = " and ".join(dict.fromkeys(_describe_absent(path, scope) for path in absent))
            return MissingValue(f"{lacking}, which ${{{self.source}}} needs", absent)
        why = f": there is no {dotted_path(last)}" if last else ""
        read = f" in {', '.join(map(dotted_path, needed))}" if last and needed else ""
        return MissingValue(f"${{{self.source}}} has no value{why}{read}", needed)

    def _evaluation_error(self, scope: Mapping[str, Json], error: Exception) -> ExpressionError:
        paths = [reference.path for reference in self.references]
        nulls = [dotted_path(path) for path in paths if get_path(path, scope) is None]
        why = describe_failure(error)
        if isinstance(error, JMESPathTypeError) and error.current_value is None and nulls:
            why = f"{why}: {', '.join(nulls)} is null"
        return ExpressionError(f"${{{self.source}}} cannot be evaluated: {why}")


@dataclass(frozen=True, slots=True)
class LenientExpression(Expression):
    """An expression in which a part that is absent below `roots` of the scope is null."""

    roots: Collection[str] = ()

    def evaluate(self, scope: Mapping[str, Json]) -> Json:
        try:
            return Expression.evaluate(self, scope)
        except MissingValue as error:
            if any(path[0] not in self.roots for path in error.paths):
                raise
        return self.evaluate_leniently(scope)


def parse(source: str) -> Expression:
    """Parse the text between `${` and `}`. Raises ExpressionError."""
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
    short = with_path_nodes(tree)
    return Expression(
        source, short, plain_path(tree), tuple(references(tree)), compile_expression(short)
    )


def _with_exact_literals(source: str, tree: Node) -> Node:
    """Return the tree with exact numbers in its literals, of which the parser makes floats.

    The expression is parsed again with an index in place of each literal; the literals themselves
    are read here.
    """
    literals: list[Json] = []
    pieces, at = list[str](), 0
    for (start, end), text in find_literals(source):
        try:
            literals.append(json.loads(text, parse_float=Decimal, parse_constant=Decimal))
        except (ValueError, DecimalException):  # a text without quotes, which the parser accepts
            continue
        pieces += [source[at:start], f"`{len(literals) - 1}`"]
        at = end
    if not literals:
        return tree
    numbered = jmespath.parser.Parser().parse("".join([*pieces, source[at:]])).parsed
    return _with_literals(numbered, literals)


def find_literals(source: str) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield the span and the text of each literal between backticks."""
    for token in jmespath.lexer.Lexer().tokenize(source):
        match = LITERAL.match(source, token["start"])
        if token["type"] == "literal" and match is not None:
            yield match.span(), match[1].replace("\\`", "`")


def _with_literals(node: Node, literals: Sequence[Json]) -> Node:
    if node["type"] == "literal" and isinstance(node["value"], int):
        return {**node, "value": literals[node["value"]]}
    children = [
        _with_literals(child, literals) if isinstance(child, Mapping) else child
        for child in node["children"]
    ]
    return {**node, "children": children}


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
