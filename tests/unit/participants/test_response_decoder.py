"""A reply that is compressed or in another charset is understood, and the limit holds."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.call_outcome import Response
from saga_orchestrator.http.participants.response_decoder import decoded, needs_no_decoding

LIMIT = 1000
JOSE = '{"name": "José"}'


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZip": gzip.compress,
    "deflate": zlib.compress,
    "identity, gzip": gzip.compress,
    "deflate, gzip": lambda data: gzip.compress(zlib.compress(data)),
}
ENCODED = [*CODINGS.items(), ("deflate", raw_deflate)]
HEADERS = ["content-encoding", "transfer-encoding"]


def reply(body: bytes, **headers: str) -> Response:
    return Response(200, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def read(came: Response) -> Response:
    return came if needs_no_decoding(came) else decoded(came, LIMIT)


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(("coding", "encode"), ENCODED)
@given(body=st.binary(max_size=LIMIT))
def test_compressed_body_is_decoded(
    header: str, coding: str, encode: Callable[[bytes], bytes], body: bytes
) -> None:
    came = Response(200, {header: coding, "content-type": "text/plain;charset=utf-8"}, encode(body))

    assert decoded(came, LIMIT).body in (body, *_as_marked(body))


def _as_marked(body: bytes) -> list[bytes]:
    """What a text becomes that says by its beginning in which encoding it is."""
    return [decoded(reply(body), LIMIT).body]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", JOSE.encode()),
        ("application/json; charset=UTF-8", JOSE.encode()),
        ("application/json", JOSE.encode("utf-8-sig")),
        ("application/json;charset=iso-8859-1", JOSE.encode("latin-1")),
        ("application/json; x=y; Charset='windows-1252'", JOSE.encode("cp1252")),
        ('text/plain; charset="utf-16"', JOSE.encode("utf-16")),
        ("text/plain; charset=utf-16le", JOSE.encode("utf-16")),
        ("text/plain", JOSE.encode("utf-16")),
        ("application/json", JOSE.encode("utf-16-le")),
        ("application/json", JOSE.encode("utf-16-be")),
        ("application/json", JOSE.encode("utf-32-le")),
        ("application/json", JOSE.encode("utf-32")),
        ("", JOSE.encode("utf-32-be")),
    ],
)
def test_charset_is_decoded_if_declared_or_detected(content_type: str, body: bytes) -> None:
    kept = read(reply(body, content_type=content_type))

    assert (kept.body.decode(), kept.unreadable) == (JOSE, "")


@given(
    st.text(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
)
def test_json_reads_the_same_in_every_encoding_of_unicode(text: str, charset: str) -> None:
    document = json.dumps({"text": text}, ensure_ascii=False)

    kept = read(reply(document.encode(charset), content_type="application/json"))

    assert json.loads(kept.body) == {"text": text}


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
def test_a_bomb_stops_at_the_limit(coding: str) -> None:
    bomb = CODINGS[coding](b"a" * 50_000_000)

    kept = read(reply(bomb, content_encoding=coding))

    assert (kept.too_large, kept.body, kept.unreadable) == (True, b"a" * LIMIT, "")


def test_a_bomb_in_a_bomb_stops_at_the_limit() -> None:
    bomb = gzip.compress(gzip.compress(b"a" * 50_000_000))

    kept = read(reply(bomb, content_encoding="gzip, gzip"))

    assert kept.too_large
    assert len(kept.body) <= LIMIT


def test_a_text_that_grows_beyond_the_limit_in_utf8_is_too_large() -> None:
    came = reply(("é" * LIMIT).encode("latin-1"), content_type="text/plain; charset=latin1")

    kept = read(came)

    assert (kept.too_large, kept.body) == (True, "é".encode() * (LIMIT // 2))


@pytest.mark.parametrize("size", [1, 10, 30])
def test_large_compressed_reply_is_decoded_up_to_the_limit(size: int) -> None:
    whole = gzip.compress(bytes(range(65, 91)) * 10)
    came = Response(402, {"content-encoding": "gzip"}, whole[: len(whole) - size], too_large=True)

    kept = read(came)

    assert (kept.too_large, kept.unreadable) == (True, "")
    assert (bytes(range(65, 91)) * 10).startswith(kept.body)


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        ({"content-encoding": "br"}, b"abc", "in the encoding br, not in"),
        ({"content-encoding": "gzip, zstd"}, b"abc", "in the encoding zstd, not in"),
        ({"transfer-encoding": "compress, chunked"}, b"abc", "in the encoding compress, not in"),
        ({"content-encoding": ", ".join(["gzip"] * 9)}, b"abc", "encoded 9 times over"),
        ({"content-encoding": "gzip"}, b"abc", "not valid gzip"),
        ({"content-encoding": "deflate"}, b"\xff\xffabc", "not valid deflate"),
        ({"content-encoding": "gzip"}, gzip.compress(b"abc" * 99)[:-9], "damaged or cut short"),
        ({"content-encoding": "gzip"}, gzip.compress(b"") * 101, "damaged or cut short"),
        ({"content-type": "a/b;charset=klingon"}, b"abc", "in the charset klingon"),
        ({"content-type": "a/b;charset=rot13"}, b"abc", "in the charset rot13"),
        ({"content-type": "a/b;charset=utf-7"}, b"abc", "in the charset utf-7"),
        ({"content-type": "a/b;charset=punycode"}, b"abc", "in the charset punycode"),
        ({"content-type": "a/b;charset=utf-16"}, b"abc", "not valid utf-16"),
    ],
)
def test_unknown_encoding_is_named_and_its_bytes_are_dropped(
    headers: dict[str, str], body: bytes, why: str
) -> None:
    kept = read(Response(402, headers, body))

    assert why in kept.unreadable
    assert (kept.status, kept.body) == (402, b"")


@pytest.mark.parametrize("header", ["content-encoding", "content-type"])
def test_empty_body_needs_no_decoding(header: str) -> None:
    came = Response(204, {header: "a/b;charset=klingon"}, b"")

    assert read(came) == came


@given(
    st.dictionaries(st.sampled_from([*HEADERS, "content-type"]), st.text(max_size=40)),
    st.binary(max_size=100),
)
def test_any_reply_is_decoded_or_refused(headers: dict[str, str], body: bytes) -> None:
    kept = read(Response(200, headers, body))

    assert not kept.unreadable or kept.body == b""
