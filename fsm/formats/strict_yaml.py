"""Strict YAML: the core schema of YAML 1.2, without the features that surprise.

No aliases or anchors (306 bytes can stand for gigabytes), no merge keys, no tags, no duplicate key;
`no` and `1:30` are texts; `012` and `+49`, which would be sent as 12 and 49, are refused. Size and
depth are bounded.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import yaml

from .json_path import json_pointer
from .strict_json import Json, parse_untrusted, serialize

MAX_DOCUMENT_BYTES = 256 * 1024  # bytes
MAX_DEPTH = 40  # levels of nesting

CORE_SCHEMA = [
    ("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    ("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    ("tag:yaml.org,2002:int", re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")),
    (
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
        list("-+.0123456789"),
    ),
]


PADDED_NUMBER = re.compile(
    r"\+|-?0[0-9]"
)  # the beginning of a number that would lose a character in JSON
OWN_PROBLEMS = (
    "a number begins",
    "aliases are",
    "tags are",
    "it nests",
    "a key is not text",
    "the key ",
)
QUOTING_HINT = "between brackets, put a text with ${...}, a comma or a colon in quotes"
PARSER_PROBLEMS = {  # by the beginning of the parser's message
    "mapping values are not allowed": "a : is not expected here: put quotes around the text",
    "could not find expected ':'": "a key has no : after it",
    "found character '\\t'": "a tab is no indentation: use spaces",
    "found character": "no value begins with this character: put quotes around the text",
    "found unexpected end of stream": "a quote is not closed",
    "found unknown escape character": "there is no such escape: write \\\\ for a backslash",
    "expected ',' or '}'": f"a , or }} is missing before this: {QUOTING_HINT}",
    "expected ',' or ']'": f"a , or ] is missing before this: {QUOTING_HINT}",
    "expected <block end>": "this does not fit the indentation above",
    "expected the node content": "a value is missing before this",
    "sequence entries are not allowed": "a - is not expected here: begin a line with it",
    "expected a single document": "there is a second document: leave out --- and what follows",
    "did not find expected": "this does not fit what stands above",
}


class InvalidYaml(ValueError):
    """A document that is not YAML, or not supported; the message has line and column."""


def parse_yaml(text: str) -> Json:
    """Parse one document. Raises InvalidYaml."""
    if len(text.encode(errors="replace")) > MAX_DOCUMENT_BYTES:
        raise InvalidYaml(f"the document is larger than {MAX_DOCUMENT_BYTES} bytes")
    try:
        # Through JSON, because 1e999 and "\\0" are YAML that could not be stored as JSON.
        return parse_untrusted(serialize(yaml.load(text, Loader=_CoreLoader)))
    except yaml.MarkedYAMLError as error:
        raise InvalidYaml(
            f"{_format_position(error.problem_mark)}{_describe_error(error)}"
        ) from None
    except yaml.YAMLError:
        raise InvalidYaml("it holds a character that YAML does not have") from None
    except RecursionError:
        raise InvalidYaml("it nests too deep") from None
    except (ValueError, ArithmeticError) as error:
        raise InvalidYaml(" ".join(str(error).split())) from None


def line_numbers(text: str) -> dict[str, int]:
    """Return the line of each place, by its JSON pointer (RFC 6901). Raises InvalidYaml."""
    parse_yaml(text)
    lines: dict[str, int] = {}
    root = yaml.compose(text, Loader=_CoreLoader)
    if root is None:  # nothing but blanks and comments
        return {"": 1}
    _collect_line_numbers(root, (), lines)
    return lines


def _collect_line_numbers(node: Any, path: tuple[str | int, ...], lines: dict[str, int]) -> None:
    lines.setdefault(json_pointer(path), node.start_mark.line + 1)
    match node:
        case yaml.MappingNode():
            for key, value in node.value:
                lines[json_pointer((*path, key.value))] = key.start_mark.line + 1
                _collect_line_numbers(value, (*path, key.value), lines)
        case yaml.SequenceNode():
            for number, item in enumerate(node.value):
                _collect_line_numbers(item, (*path, number), lines)


def _format_position(mark: Any) -> str:
    return "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "


def _describe_error(error: yaml.MarkedYAMLError) -> str:
    """Describe an error in our own words; the parser's messages are written for programmers."""
    problem = str(error.problem)
    if problem.startswith(OWN_PROBLEMS):
        return problem
    messages = (problem, str(error.context))
    for beginning, description in PARSER_PROBLEMS.items():
        if any(message.startswith(beginning) for message in messages):
            return description
    return "this is not YAML, or uses a feature that is not supported"


class _CoreLoader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(
                problem="aliases are not read", problem_mark=event.start_mark
            )
        if getattr(event, "tag", None) not in (None, "!"):
            raise yaml.MarkedYAMLError(problem="tags are not read", problem_mark=event.start_mark)
        if self.depth >= MAX_DEPTH:
            deep = f"it nests deeper than {MAX_DEPTH}"
            raise yaml.MarkedYAMLError(problem=deep, problem_mark=event.start_mark)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            name = getattr(key, "value", None)
            if key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem="a key is not text", problem_mark=key.start_mark)
            if name in seen:
                twice = f"the key {name!r} is there twice"
                raise yaml.MarkedYAMLError(problem=twice, problem_mark=key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)

    def flatten_mapping(self, node: Any) -> None:
        """Merge keys are keys like any other."""

    def construct_core_int(self, node: Any) -> int:
        return int(self._number(node))

    def construct_core_float(self, node: Any) -> Decimal:
        return Decimal(self._number(node))

    def _number(self, node: Any) -> str:
        """Return the text of a number. Refuses codes and telephone numbers, which would lose their
        first character."""
        text = str(self.construct_scalar(node))
        if PADDED_NUMBER.match(text):
            padded = f"a number begins with {text[0]} and would lose it: put {text[:40]} in quotes"
            raise yaml.MarkedYAMLError(problem=padded, problem_mark=node.start_mark)
        return text


for tag, pattern, first in CORE_SCHEMA:
    _CoreLoader.add_implicit_resolver(tag, pattern, first)
_CoreLoader.add_constructor("tag:yaml.org,2002:int", _CoreLoader.construct_core_int)
_CoreLoader.add_constructor("tag:yaml.org,2002:float", _CoreLoader.construct_core_float)
