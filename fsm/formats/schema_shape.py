"""The shape of one place in the values that satisfy a JSON Schema: its types and its parts."""

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
    """The schemas that apply to one place for certain, and those that may apply."""

    document: JsonObject
    certain: tuple[JsonObject, ...]
    possible: tuple[JsonObject, ...] = ()

    @property
    def all(self) -> tuple[JsonObject, ...]:
        return (*self.certain, *self.possible)

    @property
    def types(self) -> frozenset[str] | None:
        """The types that a value there may have, None for any; an integer is a number."""
        declared = [types for schema in self.certain if (types := _types(schema)) is not None]
        return frozenset.intersection(*declared) if declared else None


@dataclass(frozen=True, slots=True)
class Part:
    """A member or an entry of a shape. Unless `declared` the schema says nothing of it."""

    declared: bool
    excluded: bool
    may_be_missing: bool
    shape: Shape


class Parts:
    """The parts that a schema describes, each looked up once.

    A large schema that is read at thousands of places would take minutes: after `max_lookups`
    look-ups every further part is unknown.
    """

    def __init__(self, document: JsonObject, max_lookups: float = float("inf")) -> None:
        self.whole = _shape(document, [document])
        self._parts: dict[Path, Part | None] = {}
        self._lookups_left = max_lookups

    def shape(self, path: Path) -> Shape:
        """Return the shape at `path`, whose part must have been looked up."""
        if not path:
            return self.whole
        part = self._parts[path]
        assert part is not None, "the part was looked up before its parts"
        return part.shape

    def part(self, path: Path) -> Part | None:
        """Return the part at `path`, or None if the schema describes no member, or entry, there."""
        if path not in self._parts:
            shape = self.shape(path[:-1])
            self._lookups_left -= len(shape.all)
            self._parts[path] = _part(shape, path[-1]) if self._lookups_left >= 0 else None
        return self._parts[path]

    def names(self, path: Path) -> list[str]:
        """Return the members that are declared at `path`, as suggestions."""
        names = declared_names(self.shape(path))
        self._lookups_left -= len(names)
        return names if self._lookups_left >= 0 else []


def _part(shape: Shape, key: str | int) -> Part | None:
    kinds = MEMBER_KEYWORDS if isinstance(key, str) else ENTRY_KEYWORDS
    if not any(kind in schema for schema in shape.all for kind in kinds):
        return None
    return _member(shape, key) if isinstance(key, str) else _entry(shape, key)


def declared_names(shape: Shape) -> list[str]:
    """Return the members that `shape` declares."""
    return [name for schema in shape.all for name in _mapping_at(schema, "properties")]


def _member(shape: Shape, name: str) -> Part:
    certain = [inner for schema in shape.certain for inner in _member_schemas(schema, name)]
    possible = [inner for schema in shape.possible for inner in _member_schemas(schema, name)]
    declared = bool(certain or possible)
    return Part(
        declared=declared,
        excluded=False in certain or (not declared and any(map(_is_closed, shape.certain))),
        may_be_missing=not any(name in _list_at(schema, "required") for schema in shape.all),
        shape=_shape(shape.document, certain, possible),
    )


def _entry(shape: Shape, number: int) -> Part:
    certain = [inner for schema in shape.certain for inner in _entry_schemas(schema, number)]
    possible = [inner for schema in shape.possible for inner in _entry_schemas(schema, number)]
    needed = number + 1 if number >= 0 else -number
    return Part(
        declared=True,
        excluded=number >= 0 and (False in certain or _max_items(shape) < needed),
        may_be_missing=not any(_number_at(schema, "minItems") >= needed for schema in shape.all),
        shape=_shape(shape.document, certain if number >= 0 else [], possible),
    )


def _member_schemas(schema: JsonObject, name: str) -> Iterator[Json]:
    """Yield the schemas that are declared for a member. Any pattern is taken to match it."""
    properties = _mapping_at(schema, "properties")
    if name in properties:
        yield properties[name]
    elif _mapping_at(schema, "patternProperties"):
        yield True
    elif schema.get("additionalProperties", False) is not False:
        yield schema["additionalProperties"]
    elif schema.get("unevaluatedProperties", False) is not False:
        yield True  # another keyword may evaluate the member


def _entry_schemas(schema: JsonObject, number: int) -> Iterator[Json]:
    first = _list_at(schema, "prefixItems")
    if 0 <= number < len(first):
        yield first[number]
    elif "items" in schema:
        yield schema["items"]


def _is_closed(schema: JsonObject) -> bool:
    return any(schema.get(keyword) is False for keyword in CLOSING_KEYWORDS)


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
    """Add `schema` and all schemas that it refers to or combines. No `$ref` is circular."""
    if not isinstance(schema, Mapping):
        return
    surely.append(schema)
    if there := resolve_reference(document, schema):
        _expand(document, there[1], surely, perhaps)
    for inner in _list_at(schema, "allOf"):
        _expand(document, inner, surely, perhaps)
    branches = [inner for keyword in BRANCH_KEYWORDS for inner in _list_at(schema, keyword)]
    branches += [schema[keyword] for keyword in CONDITIONAL_KEYWORDS if keyword in schema]
    for inner in (*branches, *_mapping_at(schema, "dependentSchemas").values()):
        _expand(document, inner, perhaps, perhaps)


def _types(schema: JsonObject) -> frozenset[str] | None:
    if "const" in schema:
        return frozenset({_json_type(schema["const"])})
    if "enum" in schema:
        return frozenset(map(_json_type, _list_at(schema, "enum")))
    match schema.get("type"):
        case str() as name:
            return frozenset({_as_json_type(name)})
        case list() as names:
            return frozenset(_as_json_type(str(name)) for name in names)
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
