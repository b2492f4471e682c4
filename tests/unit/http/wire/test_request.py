from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.http.wire.request import Request
from saga_orchestrator.tests.support.asgi_requests import asgi_request
from starlette.datastructures import Headers

NAMES = ("prefer", "content-type", "x-a")
RAW = st.lists(
    st.tuples(st.sampled_from([name.encode() for name in NAMES]), st.binary(max_size=3)),
    max_size=6,
)


@given(RAW, st.sampled_from([*NAMES, "host"]))
def test_an_index_answers_what_a_search_would(raw: list[tuple[bytes, bytes]], name: str) -> None:
    indexed, searched = asgi_request(*raw), Headers(raw=raw)

    assert indexed.header(name.encode()) == searched.get(name)
    assert list(indexed.headers(name.encode())) == searched.getlist(name)


def test_a_parameter_that_is_there_twice_is_told_twice() -> None:
    request = Request({"query_string": b"a=1&a=%C3%BC", "headers": []}, asgi_request().receive)

    assert request.query_params.multi_items() == [("a", "1"), ("a", "ü")]
