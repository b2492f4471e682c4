"""Describe syntax errors of JMESPath expressions, with a hint at what was probably meant.

Authors write the syntax of other languages: numbers without backticks, `not`, `+`, `a["b"]`. Each
such mistake is recognised by the text before and after the place where the parser stopped.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, TypeAlias

from jmespath.exceptions import (
    EmptyExpressionError,
    IncompleteExpressionError,
    LexerError,
    ParseError,
)

Hint: TypeAlias = Callable[[re.Match[str], re.Match[str]], str]

OPERATORS: Final = {"and": "&&", "or": "||", "=": "==", "is": "==", "not": "!"}
NO_ARITHMETIC_MESSAGE: Final = "there is no arithmetic, but sum([...]) adds numbers"


def describe_syntax_error(error: Exception, source: str) -> str:
    """Describe in plain words why `source` is no expression."""
    match error:
        case EmptyExpressionError():
            return "it is empty"
        case LexerError():
            at, sign = error.lex_position, error.lexer_value[:1]
            if sign in "'\"`":
                return f"the {sign} at character {at + 1} is not closed"
            return f"{sign} is not expected at character {at + 1}{_hint(source, at)}"
        case IncompleteExpressionError():
            return "it ends too early"
        case ParseError() if error.token_type == "EOF":
            return "it ends too early"
        case ParseError():
            at, token = error.lex_position, error.token_value
            return f"{token} is not expected at character {at + 1}{_hint(source, at)}"
        case RecursionError():
            return "it nests too deep"
        case _:
            return "it cannot be parsed"


def _hint(source: str, at: int) -> str:
    before, behind = source[:at].rstrip(), source[at:]
    if adjoins := re.search(r"[\w-]+$", source[:at]):  # a name with a character that ends it
        name = re.match(r"[\w-]*", behind)
        if behind.startswith("-") and name and re.search(r"\w$", adjoins[0]):
            whole = f"{adjoins[0]}{name[0]}"
            return (
                f': a name with a - is written in quotes, as in "{whole}"; {NO_ARITHMETIC_MESSAGE}'
            )
    for ending, beginning, hint in HINTS:
        left, right = re.search(rf"(?:{ending})$", before), re.match(beginning, behind)
        if left is not None and right is not None:
            return f": {hint(left, right)}"
    return ""


# The text before the place, the text that begins there, and the hint.
HINTS: Final[tuple[tuple[str, str, Hint], ...]] = (
    (r"\bnot", "", lambda _, __: "write ! for not, as in !(input.a)"),
    (
        r"\[",
        "[\"'](.*?)[\"']",
        lambda _, name: f'write ."{name[1]}" for a member, without brackets',
    ),
    (r"\[", r"[A-Za-z]", lambda _, __: "only a number stands in brackets as an index"),
    (r"\[\s*(-?\d+)", ",", lambda number, _: f"write `{number[1]}` for a number in a list"),
    (r"\.", r"(\d+)\b", lambda _, number: f"write [{number[1]}] without a point for an entry"),
    (r"\.", r"\w+", lambda _, name: f'write "{name[0]}" in quotes for a name with a digit first'),
    ("<", ">", lambda _, __: "write != for different"),
    (
        "",
        r"-?\d+(?:\.\d+)?",
        lambda _, number: f"write `{number[0]}`, between backticks, for a number",
    ),
    ("", r"[-+*/%]", lambda _, __: NO_ARITHMETIC_MESSAGE),
    ("", r"in\b", lambda _, __: "write contains(list, value)"),
    ("", r"\?", lambda _, __: "write a && b || c for one value or another"),
    ("", r"\$", lambda _, __: "leave it out, for ${...} stands around the whole expression"),
    (r"\{", r"\}", lambda _, __: "write `{}`, between backticks, for an empty object"),
    ("", r"(?i:and|or|is|not)\b|=", lambda _, word: f"write {OPERATORS[word[0].lower()]}"),
)
