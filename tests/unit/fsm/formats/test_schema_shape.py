"""What is said of a place in the input holds for every input that fits the schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.input_schema import InputSchema
from saga_orchestrator.fsm.formats.json_path import ABSENT, Path
from saga_orchestrator.fsm.formats.json_schema import (
    SCHEMA_KEYWORDS,
    SCHEMA_LIST_KEYWORDS,
    SCHEMA_MAP_KEYWORDS,
    SchemaError,
)
from saga_orchestrator.fsm.formats.schema_shape import Parts
from saga_orchestrator.fsm.formats.strict_json import Json, JsonObject

TYPES: Final = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    str: "string",
    list: "array",
    dict: "object",
}
NAMES = st.sampled_from("ab")
MEMBERS: Final[list[Json]] = [None, True, 1, "x", [], [1, None], {}, {"a": 1}, {"b": {"a": "x"}}]
# All that are so small: what is wrong with a schema shows in some of them.
VALUES: Final[list[dict[str, Json]]] = [
    {name: value for name, value in zip("ab", pair, strict=True) if value is not ABSENT}
    for pair in product([ABSENT, *MEMBERS], repeat=2)
]
values = st.sampled_from(MEMBERS)
types = st.sampled_from(["object", "array", "string", "integer", "null"])


def keywords(inner: st.SearchStrategy[Json]) -> st.SearchStrategy[tuple[str, Json]]:
    single = st.sampled_from(sorted(SCHEMA_KEYWORDS))
    several = st.sampled_from(sorted(SCHEMA_LIST_KEYWORDS))
    named = st.sampled_from(sorted(SCHEMA_MAP_KEYWORDS - {"$defs"}))
    return st.one_of(
        st.tuples(single, inner),
        st.tuples(several, st.lists(inner, min_size=1, max_size=2)),
        st.tuples(named, st.dictionaries(NAMES, inner, max_size=2)),
        st.tuples(st.just("type"), types | st.lists(types, min_size=1, unique=True)),
        st.tuples(st.just("required"), st.lists(NAMES, unique=True)),
        st.tuples(st.sampled_from(["minItems", "maxItems"]), st.integers(0, 3)),
        st.tuples(st.just("const"), values),
        st.tuples(st.just("enum"), st.lists(values, min_size=1, max_size=2)),
        st.tuples(st.just("$ref"), st.just("#/$defs/a")),
    )


schemas: st.SearchStrategy[Json] = st.recursive(
    st.booleans() | st.just({}),
    lambda inner: st.lists(keywords(inner), max_size=3).map(dict),
    max_leaves=8,
)


@settings(max_examples=400)
@given(st.lists(keywords(schemas), min_size=1, max_size=4).map(dict), schemas)
def test_shape_holds_for_every_value_that_fits(schema: JsonObject, referenced: Json) -> None:
    document = {**schema, "$defs": {"a": referenced}}
    try:
        compiled = InputSchema(document)
    except SchemaError:
        return
    parts = Parts(document)
    for value in VALUES:
        if not compiled.violations(value):
            for path, inner in places((), value):
                assert_holds(parts, path, inner)


def assert_holds(parts: Parts, path: Path, value: Json) -> None:
    """Check the value at `path`, as far as the schema says anything of it."""
    for length in range(1, len(path) + 1):
        part = parts.part(path[:length])
        if part is None:
            return
        assert not part.excluded
    shape = parts.shape(path)
    assert shape.types is None or TYPES[type(value)] in shape.types


def places(path: Path, value: Json) -> Iterator[tuple[Path, Json]]:
    yield path, value
    members = value.items() if isinstance(value, Mapping) else ()
    entries = enumerate(value) if isinstance(value, list) else ()
    for key, inner in (*members, *entries):
        yield from places((*path, key), inner)
