"""Strict JSON: only documents that PostgreSQL, JavaScript and any other parser accept as well.

Python's own parser accepts NaN, Infinity, lone surrogates, `\\u0000` and a duplicate member; others
turn long integers into floats or 1e999 into infinity. Here each of these is an error, and a number
keeps its value and its digits: it is an `int` or a `Decimal`, never a float (see `numbers.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import MsgspecError
from msgspec.json import Decoder, Encoder

from .numbers import MAX_DIGITS, MAX_INTEGER, SHORT_NUMBER_CONTEXT, parse_decimal
from .utf8 import NotUtf8, read_utf8

if TYPE_CHECKING:
    Json: TypeAlias = bool | int | Decimal | str | Sequence["Json"] | Mapping[str, "Json"] | None
else:
    Json = object  # type hints that are evaluated at run time cannot be recursive
JsonObject: TypeAlias = Mapping[str, Json]

MAX_DEPTH = 100  # levels of an untrusted document; our own, which contain it, may be deeper
_read_short = Decoder(float_hook=SHORT_NUMBER_CONTEXT.create_decimal).decode
_read_any = Decoder(float_hook=parse_decimal).decode
_write = Encoder(decimal_format="number").encode
# Maps digits to 0 and every other byte to a blank, so that `find` finds a long run of digits.
_DIGITS = bytes(48 if byte in b"0123456789" else 32 for byte in range(256))
_TOO_MANY_DIGITS = b"0" * (MAX_DIGITS + 1)


MALFORMED = re.compile(r"JSON is malformed: (.*) \(byte (\d+)\)")
HALF_SURROGATE_MESSAGE = "is half of a surrogate pair, and no character"
# An escape that stands for no character, or any other escape, so that no match begins inside one.
ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|u[0-9a-fA-F]{4}|(?P<short>u)|.)",
    re.DOTALL,
)
MAX_ESCAPE_CHARACTERS = len(r"\u0000\u0000")


class InvalidJson(ValueError):
    """Bytes or a value that are not JSON, or JSON that other parsers would not accept."""


def parse(data: bytes | str) -> Json:
    """Parse one document. Raises InvalidJson, which names the fault and its place."""
    try:
        text = data if isinstance(data, bytes) else data.encode()
        value: Json = _read(text)
        # Finding one byte is far faster than finding several.
        if text.find(b"\\") >= 0 and text.find(rb"\u0000") >= 0:
            _reject_null_character(value)
    except (MsgspecError, ValueError, RecursionError) as error:
        raise InvalidJson(_describe_error(error, data)) from None
    return value


def _read(data: bytes) -> Any:
    """Parse `data`; if a number is long, or might be -0, every number is checked by its digits."""
    if data.find(b"-0") < 0:
        try:
            return _read_short(data)
        except DecimalException:
            pass
    return _read_any(data)


def _describe_error(error: Exception, data: bytes | str) -> str:
    """Describe an error in our own words: the parser mistakes some faults for others."""
    if isinstance(error, RecursionError):
        return "it nests too deep"
    if isinstance(error, UnicodeEncodeError):
        return f"the code point {ord(error.object[error.start]):#x} {HALF_SURROGATE_MESSAGE}"
    try:
        text = data if isinstance(data, str) else read_utf8(data)
    except NotUtf8 as fault:
        return str(fault)
    message = str(error).partition(" - at `")[0]
    if "truncated" in message or "surrogate" in message:
        return _describe_broken_escape(text) or (
            "it ends too early" if text.strip() else "it is empty"
        )
    if match := MALFORMED.fullmatch(message):
        return f"{match[1]} at byte {match[2]}"
    return message


def _describe_broken_escape(text: str) -> str | None:
    """Describe the first escape that stands for no character, or return None if there is none."""
    for escape in ESCAPE.finditer(text):
        at = escape.start()
        is_cut_off = '"' not in text[at : at + MAX_ESCAPE_CHARACTERS]
        if (
            (escape["half"] or escape["short"])
            and is_cut_off
            and at + MAX_ESCAPE_CHARACTERS > len(text)
        ):
            return None
        place = f"at byte {len(text[:at].encode())}"
        if escape["half"]:
            return f"the escape {escape[0]} {HALF_SURROGATE_MESSAGE}, {place}"
        if escape["short"]:
            return f"the escape \\u needs four hexadecimal digits, {place}"
    return None


def parse_untrusted(data: bytes) -> Json:
    """Parse a document from outside.

    Raises InvalidJson also for more than 100 levels, a duplicate member, and an integer of more
    than 400 digits.
    """
    value = parse(data)
    # A level takes two brackets: with fewer opening brackets the depth need not be checked.
    may_be_deep = len(data) > 2 * MAX_DEPTH and data.count(b"[") + data.count(b"{") > MAX_DEPTH
    if may_be_deep and _is_deeper_than(MAX_DEPTH, value):
        raise InvalidJson(f"it nests deeper than {MAX_DEPTH} levels")
    if len(data) > MAX_DIGITS and data.translate(_DIGITS).find(_TOO_MANY_DIGITS) >= 0:
        _reject_long_integers(value)
    if _may_repeat_a_member(data, value):
        _reject_repeated_members(data)
    return value


def serialize(value: Json) -> bytes:
    """Return compact JSON, the same bytes for the same value. Raises InvalidJson if `value` is no
    JSON."""
    try:
        data = _write(value)
    except UnicodeEncodeError as error:
        raise InvalidJson(_describe_error(error, b"")) from None
    except (MsgspecError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidJson(str(error)) from None
    # These are not JSON as numbers, but may be part of a text. `find` is twice as fast as `in`.
    if data.find(b"Infinity") >= 0 or data.find(b"NaN") >= 0:
        try:
            _read(data)
        except MsgspecError:
            raise InvalidJson("a number is infinite, or not a number") from None
    return data


def _reject_null_character(value: Json) -> None:
    match value:
        case str() if "\0" in value:
            raise InvalidJson("a string holds the character U+0000")
        case Mapping():
            for name, member in value.items():
                _reject_null_character(name)
                _reject_null_character(member)
        case list():
            for item in value:
                _reject_null_character(item)


def _reject_long_integers(value: Json) -> None:
    match value:
        case int() if abs(value) > MAX_INTEGER:
            raise InvalidJson(f"a number has more than {MAX_DIGITS} digits before the point")
        case Mapping():
            for member in value.values():
                _reject_long_integers(member)
        case list():
            for item in value:
                _reject_long_integers(item)


def _is_deeper_than(levels: int, value: Json) -> bool:
    match value:
        case Mapping():
            return levels == 0 or any(
                _is_deeper_than(levels - 1, member) for member in value.values()
            )
        case list():
            return levels == 0 or any(_is_deeper_than(levels - 1, item) for item in value)
        case _:
            return False


def _may_repeat_a_member(data: bytes, value: Json) -> bool:
    """True if there is a duplicate member; also true for some documents with escapes.

    The parser keeps the last of two equal members, and the one that it drops takes a colon with it.
    So the value, serialized again, has fewer colons than `data`, unless a colon was written as an
    escape. This takes a tenth of the time of a parser that reports every member.
    """
    colons = data.count(b":")
    if colons < 2 or (type(value) is dict and len(value) == colons):
        return False
    if data.find(b"\\") >= 0 and data.find(rb"\u003") >= 0:
        return True
    written = _write(value)
    return written != data and written.count(b":") != colons


def _reject_repeated_members(data: bytes) -> None:
    try:
        json.loads(data, object_pairs_hook=_require_distinct, parse_float=str, parse_int=str)
    except RecursionError as error:
        raise InvalidJson(str(error)) from None


def _require_distinct(members: list[tuple[str, Any]]) -> None:
    names = set[str]()
    for name, _ in members:
        if name in names:
            raise InvalidJson(f"the member {json.dumps(name[:80])} is there twice")
        names.add(name)
