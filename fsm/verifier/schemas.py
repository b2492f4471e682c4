"""Schemas of the input that nothing can fit, so that a start could never give what they are for."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from ..definition import Definition
from ..errors import Finding
from ..input_schema import fits_limits
from ..pointer import pointer
from ..schema_rules import LIMITS, Place, subschemas
from ..schema_words import shown
from ..strict_json import Json, JsonObject
from .finding import error

PAIRS = (
    ("minimum", "maximum"),
    ("exclusiveMinimum", "maximum"),
    ("minimum", "exclusiveMaximum"),
    ("exclusiveMinimum", "exclusiveMaximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
    ("minContains", "maxContains"),
)


def check_schemas(definition: Definition) -> Iterator[Finding]:
    if definition.input is None:
        return
    for place, schema in _schemas(definition.input.document, ("input",)):
        for keyword, why in _impossible(schema):
            yield error("never-fits", pointer((*place, keyword)), why)


def _schemas(schema: Json, place: Place) -> Iterator[tuple[Place, JsonObject]]:
    if isinstance(schema, dict):
        yield place, schema
        for way, inner in subschemas(schema):
            yield from _schemas(inner, (*place, *way))


def _impossible(schema: JsonObject) -> Iterator[tuple[str, str]]:
    for low, high in PAIRS:
        least, most = schema.get(low), schema.get(high)
        if not isinstance(least, int | Decimal) or not isinstance(most, int | Decimal):
            continue
        is_open = low.startswith("exclusive") or high.startswith("exclusive")
        if least > most or (is_open and least == most):
            bounds = f"{low} is {shown(least)} and {high} is {shown(most)}"
            yield low, f"no value fits, for {bounds}: change one of them"
    if schema.get("enum") == []:
        yield "enum", "no value fits an empty enum: name the values that are possible"
    elif (values := _values(schema)) is not None and not _any_fits(schema, values):
        keyword = "const" if "const" in schema else "enum"
        others = ", ".join(sorted((LIMITS & schema.keys()) - {keyword}))
        yield keyword, f"no value of {keyword} fits {others} beside it: change one of them"


def _values(schema: JsonObject) -> list[Json] | None:
    """The only values that may fit."""
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _any_fits(schema: JsonObject, values: list[Json]) -> bool:
    limits = {name: value for name, value in schema.items() if name in LIMITS}
    return len(limits) < 2 or any(fits_limits(limits, one) for one in values)
