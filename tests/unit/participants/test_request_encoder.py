from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.http.participants.request_encoder import encode


def test_request_with_a_body_has_its_length() -> None:
    assert encode("POST", "/a?b=c", "shop:80", ("X", "Y"), ("1", "a\tb "), b"{}") == (
        b"POST /a?b=c HTTP/1.1\r\nhost: shop:80\r\nX: 1\r\nY: a\tb \r\ncontent-length: 2\r\n\r\n{}"
    )


def test_percent_signs_are_encoded_unchanged() -> None:
    assert encode("G%s", "/%d%%", "[fe80::1%25s]", ("%s", "x"), ("%d", "%"), None) == (
        b"G%s /%d%% HTTP/1.1\r\nhost: [fe80::1%25s]\r\n%s: %d\r\nx: %\r\n\r\n"
    )


def test_line_break_in_a_host_is_refused() -> None:
    with pytest.raises(ValueError, match="not printable"):
        encode("GET", "/", "shop\r\nx: y", (), (), None)


def test_get_without_a_body_has_no_length() -> None:
    assert encode("GET", "/", "shop", (), (), None) == b"GET / HTTP/1.1\r\nhost: shop\r\n\r\n"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_post_without_a_body_has_the_length_zero(method: str) -> None:
    assert encode(method, "/", "shop", (), (), None).endswith(b"\r\ncontent-length: 0\r\n\r\n")


@pytest.mark.parametrize("target", ["/.hidden", "/a..b", "/...", "/a?b=/../c", "//a", "/%2e%2ex"])
def test_dots_within_a_segment_are_allowed(target: str) -> None:
    assert encode("GET", target, "shop", (), (), None).startswith(b"GET " + target.encode())


@pytest.mark.parametrize("target", ["/..", "/a/../b", "/.", "/%2e./b", "/a/.%2E?b", "//..//"])
def test_dot_segments_are_refused(target: str) -> None:
    with pytest.raises(ValueError, match="dot segment"):
        encode("GET", target, "shop", (), (), None)


@given(st.text(max_size=8), st.text(max_size=8), st.text(max_size=8), st.lists(st.text(max_size=8)))
def test_no_text_adds_a_line(method: str, target: str, name: str, values: list[str]) -> None:
    names = (name,) * len(values)
    try:
        request = encode(method, target, "shop", names, values, None)
    except ValueError:
        return

    lines = request.removesuffix(b"\r\n\r\n").split(b"\r\n")
    fields = [line for line in lines[2:] if not line.startswith(b"content-length: ")]
    assert fields == [f"{name}: {value}".encode() for value in values]
    assert lines[0].split(b" ") == [method.encode(), target.encode(), b"HTTP/1.1"]
    assert not {ord("\r"), ord("\n")} & {*b"".join(lines)}
