"""What a JSON Schema says of one place in the values that fit it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from .json_path import Path
from .json_schema import resolve_reference
from .strict_json import Json, JsonObject

CLOSING_KEYWORDS: Final = ("additionalProperties", "unevaluatedProperties")
MEMBER_KEYWORDS: Final = ("properties", "patternProperties", *CLOSING_KEYWORDS)
ENTRY_KEYWORDS: Final = ("prefixItems", "items", "unevaluatedItems")
BRANCH_KEYWORDS: Final = ("anyOf", "oneOf")
CONDITIONAL_KEYWORDS: Final = ("then", "else")


@dataclass(frozen=True, slots=True)
class Shape:
    """Of one place: the schemas that apply to it for certain, and those that may."""

    document: JsonObject
    certain: tuple[JsonObject, ...]
    possible: tuple[JsonObject, ...] = ()

    @property
    def all(self) -> tuple[JsonObject, ...]:
        return (*self.certain, *self.possible)

    @property
    def types(self) -> frozenset[str] | None:
        """The types that a value there may have, an integer as a number; None for any."""
        declared = [one for schema in self.certain if (one := _types(schema)) is not None]
        return frozenset.intersection(*declared) if declared else None


@dataclass(frozen=True, slots=True)
class Part:
    """A member or an entry of what a shape describes. Unless `declared` nothing is known of it."""

    declared: bool
    excluded: bool
    may_be_missing: bool
    shape: Shape


class Parts:
    """The parts of what a schema describes, each looked for once.

    A large schema that is read at thousands of places would take minutes: after `most_looks`
    nothing more is known of it.
    """

    def __init__(self, document: JsonObject, most_looks: float = float("inf")) -> None:
        self.whole = _shape(document, [document])
        self._found: dict[Path, Part | None] = {}
        self._looks_left = most_looks

    def shape(self, path: Path) -> Shape:
        """Of a place whose part is known."""
        if not path:
            return self.whole
        part = self._found[path]
        assert part is not None, "whoever goes on has asked for it"
        return part.shape

    def part(self, path: Path) -> Part | None:
        """None if the schema says nothing of any member, or entry, there."""
        if path not in self._found:
            shape = self.shape(path[:-1])
            self._looks_left -= len(shape.all)
            self._found[path] = _part(shape, path[-1]) if self._looks_left >= 0 else None
        return self._found[path]

    def names(self, path: Path) -> list[str]:
        """The members that are declared there, to suggest one of them."""
        names = declared_names(self.shape(path))
        self._looks_left -= len(names)
        return names if self._looks_left >= 0 else []


def _part(shape: Shape, key: str | int) -> Part | None:
    kinds = MEMBER_KEYWORDS if isinstance(key, str) else ENTRY_KEYWORDS
    if not any(kind in schema for schema in shape.all for kind in kinds):
        return None
    return _member(shape, key) if isinstance(key, str) else _entry(shape, key)


def declared_names(shape: Shape) -> list[str]:
    """The members that it declares."""
    return [name for schema in shape.all for name in _mapping_at(schema, "properties")]


def _member(shape: Shape, name: str) -> Part:
    certain = [one for schema in shape.certain for one in _member_schemas(schema, name)]
    possible = [one for schema in shape.possible for one in _member_schemas(schema, name)]
    declared = bool(certain or possible)
    return Part(
        declared=declared,
        excluded=False in certain or (not declared and any(map(_is_closed, shape.certain))),
        may_be_missing=not any(name in _list_at(schema, "required") for schema in shape.all),
        shape=_shape(shape.document, certain, possible),
    )


def _entry(shape: Shape, number: int) -> Part:
    certain = [one for schema in shape.certain for one in _entry_schemas(schema, number)]
    possible = [one for schema in shape.possible for one in _entry_schemas(schema, number)]
    needed = number + 1 if number >= 0 else -number
    return Part(
        declared=True,
        excluded=number >= 0 and (False in certain or _max_items(shape) < needed),
        may_be_missing=not any(_number_at(schema, "minItems") >= needed for schema in shape.all),
        shape=_shape(shape.document, certain if number >= 0 else [], possible),
    )


def _member_schemas(schema: JsonObject, name: str) -> Iterator[Json]:
    """The schemas that are declared for it. A pattern may be one for it."""
    properties = _mapping_at(schema, "properties")
    if name in properties:
        yield properties[name]
    elif _mapping_at(schema, "patternProperties"):
        yield True
    elif schema.get("additionalProperties", False) is not False:
        yield schema["additionalProperties"]
    elif schema.get("unevaluatedProperties", False) is not False:
        yield True  # it may be evaluated elsewhere


def _entry_schemas(schema: JsonObject, number: int) -> Iterator[Json]:
    first = _list_at(schema, "prefixItems")
    if 0 <= number < len(first):
        yield first[number]
    elif "items" in schema:
        yield schema["items"]


def _is_closed(schema: JsonObject) -> bool:
    return any(schema.get(one) is False for one in CLOSING_KEYWORDS)


def _max_items(shape: Shape) -> float:
    most = [_number_at(schema, "maxItems") for schema in shape.certain if "maxItems" in schema]
    return min(most, default=float("inf"))


def _shape(document: JsonObject, certain: Iterable[Json], possible: Iterable[Json] = ()) -> Shape:
    surely: list[JsonObject] = []
    perhaps: list[JsonObject] = []
    for schema in certain:
        _expand(document, schema, surely, perhaps)
    for schema in possible:
        _expand(document, schema, perhaps, perhaps)
    return Shape(document, tuple(surely), tuple(perhaps))


def _expand(
    document: JsonObject, schema: Json, surely: list[JsonObject], perhaps: list[JsonObject]
) -> None:
    """With all that it refers to and is made of: no `$ref` leads back to itself."""
    if not isinstance(schema, Mapping):
        return
    surely.append(schema)
    if there := resolve_reference(document, schema):
        _expand(document, there[1], surely, perhaps)
    for one in _list_at(schema, "allOf"):
        _expand(document, one, surely, perhaps)
    branches = [one for keyword in BRANCH_KEYWORDS for one in _list_at(schema, keyword)]
    branches += [schema[keyword] for keyword in CONDITIONAL_KEYWORDS if keyword in schema]
    for one in (*branches, *_mapping_at(schema, "dependentSchemas").values()):
        _expand(document, one, perhaps, perhaps)


def _types(schema: JsonObject) -> frozenset[str] | None:
    if "const" in schema:
        return frozenset({_json_type(schema["const"])})
    if "enum" in schema:
        return frozenset(map(_json_type, _list_at(schema, "enum")))
    match schema.get("type"):
        case str() as one:
            return frozenset({_as_json_type(one)})
        case list() as several:
            return frozenset(_as_json_type(str(one)) for one in several)
        case _:
            return None


def _as_json_type(name: str) -> str:
    return "number" if name == "integer" else name


def _json_type(value: Json) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | Decimal():
            return "number"
        case str():
            return "string"
        case Mapping():
            return "object"
        case _:
            return "array"


def _mapping_at(schema: JsonObject, keyword: str) -> JsonObject:
    value = schema.get(keyword)
    return value if isinstance(value, Mapping) else {}


def _list_at(schema: JsonObject, keyword: str) -> list[Json]:
    value = schema.get(keyword)
    return value if isinstance(value, list) else []


def _number_at(schema: JsonObject, keyword: str) -> float:
    value = schema.get(keyword)
    return float(value) if isinstance(value, int | Decimal) else 0
