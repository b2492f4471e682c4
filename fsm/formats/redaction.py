"""Redaction: remove secrets that were sent in headers from the replies of participants.

Replies are recorded and shown. A participant that repeats the headers of a call, in an error
message for example, would put a secret into the log for good, so the secret is replaced before
anything is recorded. A text can be escaped in many ways: JSON writes `/` also as `\\/` or
`\\u002F`, a URL as `%2F`, HTML as `&#47;`, and these escapes can be nested. So a document is read
several times: as it came, then with its escapes decoded, then with the escapes that appeared
decoded, and so on. A secret that is found in one of these readings is cut out of the original
document, whatever its format is, and even if the document is truncated.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from html import unescape
from typing import Final

from .strict_json import Json

MIN_SECRET_CHARACTERS: Final = 8  # characters; a shorter secret would be found in unrelated texts
REDACTED: Final = "[secret]"
MAX_ESCAPE_DEPTH: Final = 5  # levels of nested escapes
# The escapes of printable ASCII, which is all that the value of a header can have.
JSON_ESCAPE: Final = re.compile(rb"\\(?:(?:u00|x)[2-7][0-9a-fA-F]|[!-/:-@\[-`{-~])")
URL_OR_HTML_ESCAPE: Final = re.compile(
    rb"%(?:u00)?[2-7][0-9a-fA-F]"
    rb"|&(?:#0{0,6}[0-9]{2,3}|#[xX]0{0,6}[0-9a-fA-F]{2}|[A-Za-z]{2,10});"
)
ANY_ESCAPE: Final = re.compile(rb"|".join((JSON_ESCAPE.pattern, URL_OR_HTML_ESCAPE.pattern)))
# The orders in which escapes are decoded. In the second one a backslash that was itself escaped for
# a URL or HTML is a character of the secret, not the beginning of another escape.
DECODING_ORDERS: Final = (
    (ANY_ESCAPE,) * MAX_ESCAPE_DEPTH,
    (JSON_ESCAPE, *(URL_OR_HTML_ESCAPE,) * (MAX_ESCAPE_DEPTH - 1)),
)


class Redaction:
    """Replaces `secrets`, with or without a scheme like `Bearer` before them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._forms = secret_forms(secret.encode() for secret in secrets)

    def redact_bytes(self, document: bytes) -> bytes:
        """Return `document` without the secrets, and otherwise byte for byte the same."""
        if not contains_secret(document, self._forms):
            return document
        kept, end = list[bytes](), 0
        for start, stop in sorted(_secret_spans(document, self._forms)):
            if start >= end:
                kept += (document[end:start], REDACTED.encode())
            end = max(end, stop)
        return b"".join((*kept, document[end:]))

    def redact_text(self, text: str) -> str:
        return self.redact_bytes(text.encode(errors="replace")).decode(errors="replace")

    def redact_json(self, value: Json) -> Json:
        """Return a parsed document without the secrets, in values and in names of members."""
        if not self._forms:
            return value
        match value:
            case str():
                return self.redact_text(value)
            case Mapping():
                members = value.items()
                return {
                    self.redact_text(name): self.redact_json(member) for name, member in members
                }
            case list():
                return [self.redact_json(item) for item in value]
            case _:
                return value


def secret_forms(secrets: Iterable[bytes]) -> frozenset[bytes]:
    """Return the forms of `secrets` to look for: encodings of them, and the password inside of
    `Basic` credentials, included."""
    parts = {
        part
        for secret in secrets
        for part in (secret, *secret.split(), *_basic_credentials(secret))
    }
    forms = {
        reading
        for part in parts
        if len(part) >= MIN_SECRET_CHARACTERS
        for form in (part, *_encodings(part))
        for reading in readings(form)
    }
    return frozenset(form for form in forms if len(form) >= MIN_SECRET_CHARACTERS)


def contains_secret(document: bytes, forms: Collection[bytes]) -> bool:
    """True if one of `forms` is found in a reading of `document`."""
    return bool(forms) and any(
        reading.find(form) >= 0 for reading in readings(document) for form in forms
    )


def readings(document: bytes) -> Iterator[bytes]:
    """Yield `document` as it came, then with its escapes decoded, level by level."""
    yield document
    for order in DECODING_ORDERS:
        reading = document
        for escape in order:
            read = escape.sub(_decode_match, reading)
            if read != reading:
                reading = read
                yield reading
            elif escape is not JSON_ESCAPE:
                break


def _decode_match(escape: re.Match[bytes]) -> bytes:
    return _decode_escape(escape[0])


@lru_cache(maxsize=4096)
def _decode_escape(escape: bytes) -> bytes:
    """Return the character that `escape` stands for, or `escape` if that is no printable ASCII."""
    text = escape.decode()
    if text[0] == "&":
        character = unescape(text)
    elif len(text) == 2:  # a backslash, and what it escapes
        character = text[1]
    else:
        character = chr(int(text[-2:], 16))
    is_plain = len(character) == 1 and character.isascii() and character.isprintable()
    return character.encode() if is_plain else escape


def _secret_spans(document: bytes, forms: Collection[bytes]) -> Iterator[tuple[int, int]]:
    """Yield the spans of `document` in which a form is found, in any reading."""
    for order in DECODING_ORDERS:
        starts: Sequence[int] = range(len(document) + 1)  # where each byte read is in `document`
        reading = document
        yield from _spans_in_reading(reading, starts, forms)
        for escape in order:
            reading, starts = _decode_once(reading, starts, escape)
            yield from _spans_in_reading(reading, starts, forms)


def _spans_in_reading(
    reading: bytes, starts: Sequence[int], forms: Collection[bytes]
) -> Iterator[tuple[int, int]]:
    for form in forms:
        yield from ((starts[at], starts[at + len(form)]) for at in _occurrences(form, reading))


def _occurrences(form: bytes, reading: bytes) -> Iterator[int]:
    at = reading.find(form)
    while at >= 0:
        yield at
        at = reading.find(form, at + 1)


def _decode_once(
    reading: bytes, starts: Sequence[int], pattern: re.Pattern[bytes]
) -> tuple[bytes, Sequence[int]]:
    """Return the next reading, and where each of its bytes, and its end, is in the document."""
    escapes = [match for match in pattern.finditer(reading) if _decode_match(match) != match[0]]
    ends = [0, *(escape.end() for escape in escapes)]
    begins = [*(escape.start() for escape in escapes), len(reading)]
    pieces, places = list[bytes](), list[int]()
    for end, begin, escape in zip(ends, begins, [*escapes, None], strict=True):
        pieces.append(reading[end:begin])
        places += starts[end:begin]
        if escape is not None:
            pieces.append(_decode_match(escape))
            places.append(starts[begin])
    return b"".join(pieces), [*places, starts[len(reading)]]


def _encodings(part: bytes) -> Iterator[bytes]:
    yield part.hex().encode()
    yield part.hex().upper().encode()
    yield b64encode(part).rstrip(b"=")
    yield urlsafe_b64encode(part).rstrip(b"=")


def _basic_credentials(secret: bytes) -> Iterator[bytes]:
    scheme, _, value = secret.partition(b" ")
    if scheme.lower() != b"basic":
        return
    try:
        pair = b64decode(value.strip(), validate=True)
    except ValueError:
        return
    yield pair
    yield pair.partition(b":")[2]
