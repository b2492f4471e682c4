"""The subset of JSON Schema (2020-12) that is supported, and the cost of checking a value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote

from .json_path import Path
from .strict_json import Json, JsonObject
from .wording import did_you_mean

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
FORMATS: Final[Mapping[str, str]] = {
    "date": "a date, like 2026-03-01",
    "date-time": "a date with a time and an offset, like 2026-03-01T12:00:00Z",
    "duration": "a duration, like PT15M",
    "email": "an e-mail address",
    "hostname": "a host name",
    "idn-email": "an e-mail address",
    "idn-hostname": "a host name",
    "ipv4": "an IPv4 address",
    "ipv6": "an IPv6 address",
    "iri": "an absolute IRI",
    "json-pointer": "a JSON pointer, like /a/0",
    "time": "a time with an offset, like 12:00:00Z",
    "uri": "an absolute URI, like https://example.com/",
    "uri-reference": "a URI, absolute or relative",
    "uuid": "a UUID, like 0190a6b2-7c3e-7d54-8f21-3b9c5d7e9f01",
}
SCHEMA_KEYWORDS: Final = frozenset(
    {"additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
SCHEMA_LIST_KEYWORDS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
SCHEMA_MAP_KEYWORDS: Final = frozenset(
    {"$defs", "dependentSchemas", "patternProperties", "properties"}
)
ASSERTION_KEYWORDS: Final = frozenset(
    {"const", "dependentRequired", "enum", "exclusiveMaximum", "exclusiveMinimum", "format"}
    | {"maxContains", "maxItems", "maxLength", "maxProperties", "maximum", "minContains"}
    | {"minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern", "required"}
    | {"type", "uniqueItems"}
)
ANNOTATION_KEYWORDS: Final = frozenset(
    {"$comment", "$schema", "default", "deprecated", "description", "examples", "readOnly"}
    | {"title", "writeOnly"}
)
KEYWORDS: Final = sorted(
    SCHEMA_KEYWORDS
    | SCHEMA_LIST_KEYWORDS
    | SCHEMA_MAP_KEYWORDS
    | ASSERTION_KEYWORDS
    | ANNOTATION_KEYWORDS
    | {"$ref"}
)

MAX_NESTING: Final = 64  # levels of schemas, those behind a $ref included
MAX_COST: Final = 2_000
MAX_PATTERNS: Final = 100
# Costs of the expensive keywords, relative to the check of one number, 10 ns.
KEYWORD_COSTS: Final = {"format": 10, "multipleOf": 100, "pattern": 10, "uniqueItems": 100}


class SchemaError(Exception):
    """An invalid schema; `errors` has the places that have to change, each with its fault."""

    def __init__(self, errors: Mapping[Path, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = errors


def cost_of(document: JsonObject) -> int:
    """Return the cost of checking one value against `document`. Raises SchemaError."""
    counting = _CostCounter(document)
    cost, _ = counting.schema(document, (), 0)
    if cost > MAX_COST:
        detail = f"the schema is too large: {cost} checks for a value, and at most {MAX_COST}"
        counting.errors.setdefault((), detail)
    if counting.patterns > MAX_PATTERNS:
        detail = f"the schema has {counting.patterns} patterns, and at most {MAX_PATTERNS}"
        counting.errors.setdefault((), detail)
    if counting.errors:
        raise SchemaError(counting.errors)
    return cost


def subschemas(schema: JsonObject) -> Iterator[tuple[Path, Json]]:
    """Yield the schemas directly in `schema`, each with its relative place."""
    for keyword, value in schema.items():
        if keyword in SCHEMA_KEYWORDS:
            yield (keyword,), value
        elif keyword in SCHEMA_LIST_KEYWORDS and isinstance(value, list):
            yield from (((keyword, number), inner) for number, inner in enumerate(value))
        elif keyword in SCHEMA_MAP_KEYWORDS and isinstance(value, Mapping):
            yield from (((keyword, name), inner) for name, inner in value.items())


def resolve_reference(document: JsonObject, schema: JsonObject) -> tuple[Path, Json] | None:
    """Return the place and the schema that the `$ref` of `schema` names, or None."""
    match schema.get("$ref"):
        case str() as reference if reference.startswith("#"):
            return _resolve_pointer(document, reference)
        case _:
            return None


def _resolve_pointer(document: JsonObject, reference: str) -> tuple[Path, Json] | None:
    path: list[str | int] = []
    target: Json = document
    for token in unquote(reference[1:]).split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        match target:
            case Mapping() if name in target:
                path.append(name)
                target = target[name]
            case list() if name.isdecimal() and int(name) < len(target):
                path.append(int(name))
                target = target[int(name)]
            case _:
                return None
    return tuple(path), target


class _CostCounter:
    """The count over one document: its errors, and the cost and height of each schema."""

    def __init__(self, document: JsonObject) -> None:
        self.document = document
        self.errors: dict[Path, str] = {}
        self.patterns = 0
        self._counted: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def schema(self, schema: Json, path: Path, depth: int) -> tuple[int, int]:
        """Return the cost and the height of `schema`."""
        if isinstance(schema, bool):
            return 1, 1
        if not isinstance(schema, Mapping):
            self.errors.setdefault(path, "a schema is an object, true or false")
            return 1, 1
        cost, height = self._counted.get(id(schema), (0, 0))
        if not height and depth < MAX_NESTING:
            self._open.add(id(schema))
            cost, height = self._counted[id(schema)] = self._count(schema, path, depth)
            self._open.discard(id(schema))
        if depth + height > MAX_NESTING or not height:
            detail = f"schemas nest deeper than {MAX_NESTING} levels: declare less"
            self.errors.setdefault((), detail)
        return cost, height

    def _count(self, schema: JsonObject, path: Path, depth: int) -> tuple[int, int]:
        self._check_keywords(schema, path)
        cost, height = 1 + sum(KEYWORD_COSTS.get(keyword, 1) for keyword in schema), 0
        for way, inner in subschemas(schema):
            inner_cost, inner_height = self.schema(inner, (*path, *way), depth + 1)
            cost += 0 if way[0] == "$defs" else inner_cost
            cost += KEYWORD_COSTS["pattern"] if way[0] == "patternProperties" else 0
            height = max(height, inner_height)
        if target := resolve_reference(self.document, schema):
            inner_cost, inner_height = self._count_target(*target, (*path, "$ref"), depth + 1)
            cost, height = cost + inner_cost, max(height, inner_height)
        return cost, height + 1

    def _count_target(self, path: Path, schema: Json, ref: Path, depth: int) -> tuple[int, int]:
        if id(schema) in self._open:
            detail = "this $ref leads back to itself, which is not supported: declare each level"
            self.errors.setdefault(ref, detail)
            return 1, 1
        return self.schema(schema, path, depth)

    def _check_keywords(self, schema: JsonObject, path: Path) -> None:
        for keyword, value in schema.items():
            if detail := self._keyword_error(schema, keyword, value):
                self.errors.setdefault((*path, keyword), detail)
        patterns = schema.get("patternProperties")
        self.patterns += len(patterns) if isinstance(patterns, Mapping) else 0
        self.patterns += "pattern" in schema

    def _keyword_error(self, schema: JsonObject, keyword: str, value: Json) -> str | None:
        match keyword:
            case "$ref" if resolve_reference(self.document, schema) is None:
                return self._reference_error(value)
            case "$schema" if value != DIALECT:
                return f"the dialect of a schema is {DIALECT}: write that, or leave out $schema"
            case "format" if value not in FORMATS:
                return f"a format is one of {', '.join(FORMATS)}"
            case _ if keyword in KEYWORDS:
                return None
            case _:
                return (
                    f"{keyword[:80]!r} is not a supported keyword of a schema"
                    f"{did_you_mean(keyword, KEYWORDS)}"
                )

    def _reference_error(self, reference: Json) -> str:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            return "a $ref names a place in this schema, like #/$defs/address"
        defined = self.document.get("$defs")
        places = [f"#/$defs/{name}" for name in defined] if isinstance(defined, Mapping) else []
        meant = did_you_mean(reference, places) or ": define it there, or correct the $ref"
        return f"there is no {reference[:80]} in this schema{meant}"
