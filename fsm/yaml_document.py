"""YAML as people mean it: the core schema of YAML 1.2, and nothing that surprises.

No aliases or anchors (306 bytes can stand for gigabytes), no merge keys, no tags, no key twice;
`no` is a text, `012` is twelve, `1:30` is a text. Size and depth are bounded.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import yaml

from .strict_json import Json, parse_foreign, serialize

LARGEST_DOCUMENT = 256 * 1024  # bytes
DEEPEST = 40  # levels of nesting

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


class InvalidYaml(ValueError):
    """Not YAML, or YAML that we do not read; the message has line and column."""


def parse_yaml(text: str) -> Json:
    """One document. Raises InvalidYaml."""
    if len(text.encode(errors="replace")) > LARGEST_DOCUMENT:
        raise InvalidYaml(f"the document is larger than {LARGEST_DOCUMENT} bytes")
    try:
        # Through JSON: 1e999 and "\\0" are YAML, and nobody could read them again.
        return parse_foreign(serialize(yaml.load(text, Loader=_CoreLoader)))
    except (yaml.YAMLError, ValueError, ArithmeticError, RecursionError) as error:
        raise InvalidYaml(" ".join(str(error).split())) from None


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
        if self.depth >= DEEPEST:
            deep = f"it nests deeper than {DEEPEST}"
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
        return int(self.construct_scalar(node))

    def construct_core_float(self, node: Any) -> Decimal:
        return Decimal(self.construct_scalar(node))


for tag, pattern, first in CORE_SCHEMA:
    _CoreLoader.add_implicit_resolver(tag, pattern, first)
_CoreLoader.add_constructor("tag:yaml.org,2002:int", _CoreLoader.construct_core_int)
_CoreLoader.add_constructor("tag:yaml.org,2002:float", _CoreLoader.construct_core_float)
