"""Check the requests: URLs, headers and retries that cannot work as they are written."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from ...expressions.template import Text, is_header_value
from ...formats.wording import did_you_mean
from ..definition import Call, Step
from ..findings import Finding, error, warning
from ..participant_url import how_to_set_url
from ..reserved_headers import ENCODING_HEADERS, SERVICE_HEADER_PREFIX
from .context import VerifierContext
from .expression_sites import header_pointer
from .likely_mistakes import PLACEHOLDER, suggest_expression

EXPRESSION_STAND_IN = "x"  # a stand-in for the value that an expression puts into a text
PRINTABLE_ASCII = re.compile(r"[!-~]*", re.ASCII)
NOT_IN_URL = re.compile(r"[\"<>\\^`{|}]")  # RFC 3986; brackets are widely taken in queries
BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def check_participant(step: Step, at: str, known: Collection[str]) -> Iterator[Finding]:
    if step.participant and step.participant not in known:
        names = ", ".join(sorted(known)) or "none"
        detail = (
            f"no URL is known for participant {step.participant}, so its calls will wait:"
            f" {how_to_set_url(step.participant)}, or name a known participant"
            f" ({names}){did_you_mean(step.participant, known)}"
        )
        yield warning("unknown-participant", f"{at}/participant", detail)


def check_calls(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    if step.action is not None:
        yield from _check_call(step.action, f"{at}/action")
        if step.has_effect and step.action.method == "GET":
            detail = (
                f"a GET should change nothing: use another method, or declare effect: none if"
                f" {step.name} only reads"
            )
            yield warning("get-with-effect", f"{at}/action/method", detail)
    if step.status is not None:
        yield from _check_request(step.status, f"{at}/status")
    if step.compensation is not None:
        yield from _check_call(step.compensation, f"{at}/compensation")
        if step.compensation.method == "GET":
            detail = "a GET should change nothing, so it cannot undo anything: use another method"
            yield warning("get-with-effect", f"{at}/compensation/method", detail)


def _check_call(call: Call, at: str) -> Iterator[Finding]:
    yield from _check_request(call, at)
    if call.method == "GET" and call.body is not None:
        detail = "many servers ignore or refuse the body of a GET: use another method, or the query"
        yield warning("body-of-get", f"{at}/body", detail)
    if call.retry.cap < call.retry.first:
        detail = "the cap is shorter than the first wait, so first never applies: set both"
        yield warning("cap-below-first", f"{at}/retry/cap", detail)
    for name, wait in (("first", call.retry.first), ("cap", call.retry.cap)):
        if not wait:
            detail = (
                "with a wait of 0 the first ten attempts follow each other at once, and the later"
                " ones a second apart: write a longer wait, like 500ms"
            )
            yield warning("zero-wait", f"{at}/retry/{name}", detail)


def _check_request(call: Call, at: str) -> Iterator[Finding]:
    if why := _describe_bad_path(_outline(call.path)):
        yield error("bad-path", f"{at}/path", why)
    seen: set[str] = set()
    for name, value in call.headers:
        pointer = header_pointer(at, name)
        if not is_header_value(_outline(value)):
            detail = "a header is one line of printable ASCII: leave out other characters"
            yield error("bad-header", pointer, detail)
        if name in ENCODING_HEADERS or name.startswith(SERVICE_HEADER_PREFIX):
            detail = f"the service itself sets {name}: leave it out"
            yield error("bad-header", pointer, detail)
        if name in seen:
            detail = f"the header {name} is there twice (case does not matter): keep one"
            yield error("bad-header", pointer, detail)
        seen.add(name)


def _describe_bad_path(path: str) -> str | None:
    if "#" in path:
        return "a path has no fragment: leave out # and what follows, or write %23"
    if not PRINTABLE_ASCII.fullmatch(path):
        return "a path is printable ASCII without spaces: percent-encode the rest"
    if match := NOT_IN_URL.search(path):
        return _describe_bad_character(path, match[0])
    if BARE_PERCENT.search(path):
        return "a % is followed by two hexadecimal digits: write %25 for the sign itself"
    segments = path.partition("?")[0].lower().replace("%2e", ".").split("/")
    if {".", ".."} & set(segments):
        return "the path has a segment . or ..: write the path that it stands for"
    return None


def _describe_bad_character(path: str, sign: str) -> str:
    encoded = f"%{ord(sign):02X}"
    if sign in "{}" and (slip := PLACEHOLDER.search(path)):
        return f"{slip[0]} is sent as it is: write {suggest_expression(slip)} for a value"
    return f"{sign} cannot stand in a URL: percent-encode it as {encoded}"


def _outline(text: Text) -> str:
    """Return the literal pieces of `text`, with a harmless stand-in for each expression."""
    return "".join(part if isinstance(part, str) else EXPRESSION_STAND_IN for part in text.parts)
