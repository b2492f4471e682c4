from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.http.request import IndexedHeaders
from starlette.datastructures import Headers

NAMES = ("prefer", "content-type", "x-a")
RAW = st.lists(
    st.tuples(st.sampled_from([name.encode() for name in NAMES]), st.binary(max_size=3)),
    max_size=6,
)


@given(RAW, st.sampled_from([*NAMES, "Prefer", "X-A", "host"]))
def test_an_index_answers_what_a_search_would(raw: list[tuple[bytes, bytes]], name: str) -> None:
    indexed, searched = IndexedHeaders({"headers": raw}), Headers(raw=raw)

    assert indexed.get(name) == searched.get(name)
    assert indexed.get(name, "none") == searched.get(name, "none")
    assert indexed.getlist(name) == searched.getlist(name)
    assert (name in indexed) == (name in searched)
    assert indexed.items() == searched.items()
