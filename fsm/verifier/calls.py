"""Requests that no participant would get, or would get wrongly."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from ..address import how_to_address
from ..definition import Call, Step
from ..errors import Finding
from ..schema_rules import did_you_mean
from ..template import Text, is_header_value
from .finding import error, warning
from .order import Order
from .place import header_pointer
from .slips import PLACEHOLDER, meant_by

EXPRESSION = "x"  # what stands for a value that is put into a text
SENDABLE = re.compile(r"[!-~]*", re.ASCII)
NOT_OF_A_URL = re.compile(r"[\"<>\\^`{|}]")  # RFC 3986; brackets are widely taken in queries
NOT_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Beside those that `reader` refuses, the headers that say how a call is made.
OURS = frozenset({"accept-encoding", "content-encoding"})
OUR_PREFIX = "saga-"


def check_participant(step: Step, at: str, known: Collection[str]) -> Iterator[Finding]:
    if step.participant and step.participant not in known:
        names = ", ".join(sorted(known)) or "none"
        detail = (
            f"no URL is known for participant {step.participant}, so its calls will wait:"
            f" {how_to_address(step.participant)}, or name one of those that are known"
            f" ({names}){did_you_mean(step.participant, known)}"
        )
        yield warning("unknown-participant", f"{at}/participant", detail)


def check_calls(order: Order, step: Step, at: str) -> Iterator[Finding]:
    if step.action is not None:
        yield from _of_call(step.action, f"{at}/action")
        if step.has_effect and step.action.method == "GET":
            detail = (
                f"a GET should change nothing: use another method, or declare effect: none if"
                f" {step.name} only looks"
            )
            yield warning("get-with-effect", f"{at}/action/method", detail)
    if step.status is not None:
        yield from _of_request(step.status, f"{at}/status")
    if step.compensation is not None:
        yield from _of_call(step.compensation, f"{at}/compensation")
        if step.compensation.method == "GET":
            detail = "a GET should change nothing, and so undo nothing: use another method"
            yield warning("get-with-effect", f"{at}/compensation/method", detail)


def _of_call(call: Call, at: str) -> Iterator[Finding]:
    yield from _of_request(call, at)
    if call.method == "GET" and call.body is not None:
        detail = "many servers ignore or refuse the body of a GET: use another method, or the query"
        yield warning("body-of-get", f"{at}/body", detail)
    if call.retry.cap < call.retry.first:
        detail = "the cap is shorter than the first wait, which so never applies: set both"
        yield warning("cap-below-first", f"{at}/retry/cap", detail)
    for name, wait in (("first", call.retry.first), ("cap", call.retry.cap)):
        if not wait:
            detail = (
                "with a wait of nothing the first tries follow one another at once, and a second"
                " apart from the eleventh on: write 500ms, say"
            )
            yield warning("zero-wait", f"{at}/retry/{name}", detail)


def _of_request(call: Call, at: str) -> Iterator[Finding]:
    if why := _wrong_path(_outline(call.path)):
        yield error("bad-path", f"{at}/path", why)
    seen: set[str] = set()
    for name, value in call.headers:
        place = header_pointer(at, name)
        if not is_header_value(_outline(value)):
            detail = "a header is one line of printable ASCII: leave out what is not"
            yield error("bad-header", place, detail)
        if name in OURS or name.startswith(OUR_PREFIX):
            detail = f"{name} says how the call is made, which the service decides: leave it out"
            yield error("bad-header", place, detail)
        if name in seen:
            detail = f"{name} is there twice, for case does not count: keep one"
            yield error("bad-header", place, detail)
        seen.add(name)


def _wrong_path(path: str) -> str | None:
    if "#" in path:
        return "a path has no fragment: leave out # and what follows, or write %23"
    if not SENDABLE.fullmatch(path):
        return "a path is printable ASCII without spaces: percent-encode the rest"
    if found := NOT_OF_A_URL.search(path):
        return _wrong_sign(path, found[0])
    if NOT_ENCODED.search(path):
        return "a % is followed by two hexadecimal digits: write %25 for the sign itself"
    segments = path.partition("?")[0].lower().replace("%2e", ".").split("/")
    if {".", ".."} & set(segments):
        return "a dot segment would lead away from the participant: write the path it stands for"
    return None


def _wrong_sign(path: str, sign: str) -> str:
    encoded = f"%{ord(sign):02X}"
    if sign in "{}" and (slip := PLACEHOLDER.search(path)):
        return f"{slip[0]} is sent as it stands: write {meant_by(slip)} for a value"
    return f"{sign} cannot stand in a URL: percent-encode it as {encoded}"


def _outline(text: Text) -> str:
    """Its literal pieces, with something harmless for each expression."""
    return "".join(part if isinstance(part, str) else EXPRESSION for part in text.parts)
