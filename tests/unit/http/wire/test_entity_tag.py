from __future__ import annotations

import pytest
from saga_orchestrator.http.wire.errors import InvalidIfMatch
from saga_orchestrator.http.wire.headers import (
    etag,
    has_if_match,
    matches_if_none_match,
    satisfies_if_match,
)
from saga_orchestrator.tests.support.asgi_requests import asgi_request
from starlette.requests import Request


def with_header(name: bytes, *values: bytes) -> Request:
    return asgi_request(*((name, value) for value in values))


def test_a_tag_is_quoted() -> None:
    assert etag(12) == '"12"'


@pytest.mark.parametrize(
    ("header", "known"),
    [(b'"2"', True), (b'W/"2"', True), (b'"1","2"', True), (b"*", True), (b'"22"', False)],
)
def test_condition_if_none_match_holds_for_known_versions(header: bytes, known: bool) -> None:
    assert matches_if_none_match(with_header(b"if-none-match", header), 2) is known


@pytest.mark.parametrize(
    ("header", "expected"),
    [(b'"2"', True), (b'W/"2", "1"', False), (b'"1", "2"', True), (b"*", True), (b'"3"', False)],
)
def test_condition_if_match_holds_for_the_same_version(header: bytes, expected: bool) -> None:
    assert satisfies_if_match(with_header(b"if-match", header), 2) is expected


def test_request_without_conditions_matches_every_version() -> None:
    request = with_header(b"accept", b"*/*")

    assert satisfies_if_match(request, 2)
    assert not matches_if_none_match(request, 2)


def test_headers_of_one_name_are_one_list() -> None:
    assert matches_if_none_match(with_header(b"if-none-match", b'"1"', b'"2"'), 2)


@pytest.mark.parametrize(
    ("header", "demands"), [(b'"2"', True), (b'"1","2"', True), (b"*", False), (b" ", False)]
)
def test_wildcard_demands_no_version(header: bytes, demands: bool) -> None:
    assert has_if_match(with_header(b"if-match", header)) is demands


@pytest.mark.parametrize("header", [b"2", b"abc", b'W/"2"', b'"2', b'"1" "2"', b'"1",2'])
def test_tag_that_is_no_quoted_version_is_refused(header: bytes) -> None:
    with pytest.raises(InvalidIfMatch, match="write If-Match: "):
        has_if_match(with_header(b"if-match", header))
