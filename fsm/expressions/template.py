"""Templates: JSON with `${...}` in it, parsed once and rendered for every call.

A string that is one expression keeps the type of its value; otherwise the values become part of the
text. Such a value must be there and be a text, a number or a boolean. In a path it is
percent-encoded, and it must not be empty, `.` or `..`, which would name another resource.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias, overload
from urllib.parse import quote

from ..formats.numbers import format_number
from ..formats.strict_json import Json
from .evaluation import type_name
from .expression import Expression, ExpressionError, LenientExpression, parse

Scope: TypeAlias = Mapping[str, Json]
is_header_value = re.compile(r"[\t -~]*", re.ASCII).fullmatch  # one line of printable ASCII
UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch  # characters that `quote` does not change


@dataclass(frozen=True, slots=True)
class Text:
    """A text of literal pieces and expressions."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True, slots=True)
class ObjectTemplate:
    members: tuple[tuple[str, Template], ...]


@dataclass(frozen=True, slots=True)
class ListTemplate:
    items: tuple[Template, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """JSON without an expression in it."""

    value: Json


Template: TypeAlias = Literal | Expression | Text | ObjectTemplate | ListTemplate


def parse_template(value: Json) -> Template:
    """Parse a JSON value with expressions in its texts. Raises ExpressionError."""
    match value:
        case str():
            return _parse_string(value)
        case Mapping():
            members = tuple((name, parse_template(member)) for name, member in value.items())
            if all(isinstance(template, Literal) for _, template in members):
                return Literal(value)
            return ObjectTemplate(members)
        case list():
            items = tuple(parse_template(item) for item in value)
            if all(isinstance(template, Literal) for template in items):
                return Literal(value)
            return ListTemplate(items)
        case _:
            return Literal(value)


def parse_text(text: str) -> Text:
    """Parse a value that must be a text: a path, a header. Raises ExpressionError."""
    return Text(tuple(_split(text)))


def render(template: Template, scope: Scope) -> Json:
    """Return the value of `template`. Raises ExpressionError, of which MissingValue is one."""
    match template:
        case Expression():
            return template.evaluate(scope)
        case Literal(value=value):
            return value
        case Text():
            return render_text(template, scope)
        case ObjectTemplate(members=members):
            return {name: render(member, scope) for name, member in members}
        case ListTemplate(items=items):
            return [render(item, scope) for item in items]


@overload
def make_lenient(template: Text, roots: Collection[str]) -> Text: ...
@overload
def make_lenient(template: Template, roots: Collection[str]) -> Template: ...
def make_lenient(template: Template, roots: Collection[str]) -> Template:
    """Return the same template in which an absent part below `roots` of the scope is null."""
    match template:
        case Expression():
            return _make_expression_lenient(template, roots)
        case Text(parts=parts):
            pieces = [
                part if isinstance(part, str) else _make_expression_lenient(part, roots)
                for part in parts
            ]
            return Text(tuple(pieces))
        case ObjectTemplate(members=members):
            return ObjectTemplate(
                tuple([(name, make_lenient(member, roots)) for name, member in members])
            )
        case ListTemplate(items=items):
            return ListTemplate(tuple([make_lenient(item, roots) for item in items]))
        case Literal():
            return template


def _make_expression_lenient(strict: Expression, roots: Collection[str]) -> Expression:
    return LenientExpression(
        strict.source, strict.tree, strict.path, strict.references, roots=roots
    )


def steps_read(templates: Iterable[Template]) -> Collection[str] | None:
    """Return the steps that `templates` read, or None if they may be any."""
    names: set[str] = set()
    for template in templates:
        for expression in expressions(template):
            if (read := expression.steps_read) is None:
                return None
            names.update(read)
    return names


def render_text(text: Text, scope: Scope) -> str:
    return "".join(
        [part if isinstance(part, str) else _evaluate_text(part, scope) for part in text.parts]
    )


def render_path(text: Text, scope: Scope) -> str:
    first = text.parts[0] if len(text.parts) == 1 else None
    if isinstance(first, str):  # most paths have no expression
        return first
    return "".join(
        [part if isinstance(part, str) else _evaluate_segment(part, scope) for part in text.parts]
    )


def expressions(template: Template) -> Iterator[Expression]:
    match template:
        case Expression():
            yield template
        case Text(parts=parts):
            yield from (part for part in parts if isinstance(part, Expression))
        case ObjectTemplate(members=members):
            for _, member in members:
                yield from expressions(member)
        case ListTemplate(items=items):
            for item in items:
                yield from expressions(item)


def _evaluate_text(expression: Expression, scope: Scope) -> str:
    match expression.evaluate(scope):
        case str() as value:
            return value
        case bool() as value:
            return "true" if value else "false"
        case int() | Decimal() | float() as value:
            return format_number(value)
        case value:
            what = f"${{{expression.source}}} is {type_name(value)}"
            raise ExpressionError(f"{what}, which cannot stand in a text")


def _evaluate_segment(expression: Expression, scope: Scope) -> str:
    value = _evaluate_text(expression, scope)
    if value in ("", ".", ".."):
        what = f"${{{expression.source}}} is {value!r}"
        raise ExpressionError(f"{what}, which cannot be a segment of a path")
    return value if UNRESERVED(value) else quote(value, safe="")


def _parse_string(text: str) -> Template:
    pieces = tuple(_split(text))
    match pieces:
        case (Expression() as whole,):
            return whole
        case () | (str(),):
            return Literal(text)
        case _:
            return Text(pieces)


def _split(text: str) -> Iterator[str | Expression]:
    at = 0
    while (start := text.find("${", at)) >= 0:
        if start > at:
            yield text[at:start]
        end = _closing_brace(text, start + 2)
        yield parse(text[start + 2 : end])
        at = end + 1
    if at < len(text):
        yield text[at:]


def _closing_brace(text: str, start: int) -> int:
    """Return where the expression from `start` ends; JMESPath itself has braces and quotes."""
    depth, quoted_by, at = 0, "", start
    while at < len(text):
        char = text[at]
        if quoted_by:
            if char == "\\":
                at += 1
            elif char == quoted_by:
                quoted_by = ""
        elif char in "'\"`":
            quoted_by = char
        elif char == "{":
            depth += 1
        elif char == "}" and depth == 0:
            return at
        elif char == "}":
            depth -= 1
        at += 1
    raise ExpressionError(f"${{ is not closed in {text!r}")
