"""The result of one call to a participant, and its classification into exactly one outcome.

The difference between `NotSent` and `ResponseLost` carries money: after `NotSent` the participant
cannot have acted, after `ResponseLost` it may have. A result that could be either is
`ResponseLost`. What is not certain is `unknown`, and what is unknown may have happened. Nothing
else in the project looks at a status code of a participant."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from itertools import islice
from typing import Final, TypeAlias

from msgspec import Struct

from .definitions.retry import MAX_RETRY_AFTER
from .formats.strict_json import InvalidJson, Json, parse, parse_untrusted


class Response(Struct, frozen=True):
    """A complete response. If `too_large`, `body` is only the beginning of its body.

    `unreadable` says why the body could not be decoded to UTF-8; then `body` is empty.
    """

    status: int
    headers: Mapping[str, str]  # names in lower case; repeated ones joined with ", "
    body: bytes
    too_large: bool = False
    unreadable: str = ""


class NotSent(Struct, frozen=True):
    """No byte of the request was sent.

    Without `had_slot` the call only waited in this process, behind others or because no URL is
    configured, which says nothing about the participant.
    """

    reason: str
    had_slot: bool = True


class ResponseLost(Struct, frozen=True):
    """A byte of the request may have been sent, and no complete response came back."""

    reason: str


CallResult: TypeAlias = Response | NotSent | ResponseLost


MAX_REASON_CHARACTERS: Final = 300  # characters
UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd\u2028\u2029\ud800-\udfff]")
# Members that say why; the first one with a text counts.
REASON_MEMBERS: Final = ("detail", "error", "message", "reason", "title")
OTHER_REASON_MEMBERS: Final = ("errors", "msg", "description", "error_description")
LOCATION_MEMBERS: Final = ("loc", "field", "pointer", "path", "param", "source")  # of what is wrong
MAX_DEPTH: Final = 4
MAX_ITEMS: Final = 20  # more would not fit into the line


def reason_of(reply: Response) -> str:
    """Return one line like `409 Insufficient balance`.

    After the status comes the reason in the body, else its text, else the phrase of the status.
    """
    if reply.unreadable:
        return one_line(f"{reply.status} {_phrase(reply.status)} ({reply.unreadable})")
    try:
        body = parse(reply.body)
    except InvalidJson:
        body = None
    said = _text_of(body) or _texts_by_field(body)
    if not said and not isinstance(body, Mapping):
        said = reply.body.decode(errors="replace")
    return one_line(f"{reply.status} {said or _phrase(reply.status)}")


def one_line(text: str) -> str:
    """Return `text` without control characters and runs of blanks, cut to MAX_REASON_CHARACTERS."""
    plain = " ".join(UNPRINTABLE.sub(" ", text).split())
    return (
        plain if len(plain) <= MAX_REASON_CHARACTERS else plain[: MAX_REASON_CHARACTERS - 1] + "…"
    )


def _text_of(value: Json, depth: int = 0) -> str:
    """Return the text in `value`, or in the first member that has one; of a list, all texts."""
    match value:
        case str():
            return value.strip()
        case list() if depth < MAX_DEPTH:
            return "; ".join(filter(None, (_text_of(one, depth + 1) for one in value[:MAX_ITEMS])))
        case Mapping() if depth < MAX_DEPTH:
            return _with_location(_location(value), next(filter(None, _reasons(value, depth)), ""))
        case _:
            return ""


def _reasons(value: Mapping[str, Json], depth: int) -> Iterator[str]:
    for name in (*REASON_MEMBERS, *OTHER_REASON_MEMBERS):
        if name in value:
            yield _text_of(value[name], depth + 1)
            if name == "errors":
                yield _texts_by_field(value[name])


def _texts_by_field(value: Json) -> str:
    """Return the errors in `{"amount": ["must be positive"]}`, each with its field."""
    if not isinstance(value, Mapping):
        return ""
    lists = ((name, one) for name, one in value.items() if isinstance(one, list))
    said = (_with_location(name, _text_of(one, 1)) for name, one in islice(lists, MAX_ITEMS))
    return "; ".join(filter(None, said))


def _location(value: Mapping[str, Json]) -> str:
    for name in LOCATION_MEMBERS:
        match value.get(name):
            case str() as place:
                return place
            case list() as parts:
                return ".".join(str(one) for one in parts[:MAX_ITEMS])
            case {"pointer": str() as place}:
                return place
    return ""


def _with_location(place: str, said: str) -> str:
    return f"{place}: {said}" if place and said else said


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""


CIRCUIT_OPEN_REASON = "withheld, because the participant does not respond"


class Outcome(StrEnum):
    DONE = "done"
    ACCEPTED = "accepted"  # a callback or polling will complete it
    REJECTED = "rejected"
    BUSY = "busy"
    THROTTLED = "throttled"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"
    CIRCUIT_OPEN = (
        "held"  # withheld: the participant has no URL or does not respond, or no slot was free
    )
    NOT_DONE = "not_done"  # of an earlier attempt, as its participant reports


class OpenCircuit(Struct, frozen=True):
    """Why no call is sent to a participant now, and for how long."""

    retry_in: timedelta
    reason: str = CIRCUIT_OPEN_REASON


class Profile(StrEnum):
    """The convention by which the replies of a participant are classified."""

    HTTP = "http"
    DTM = "dtm"


class Direction(StrEnum):
    ACTION = "action"
    COMPENSATION = "compensation"
    STATUS = "status"  # a query for the outcome of the action, without an effect


class OutputLoss(StrEnum):
    """Why the output of a done step could not be kept."""

    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    UNMAPPABLE = "unmappable"  # a declared output that the reply does not have


BY_STATUS: Mapping[int, Outcome] = {
    **dict.fromkeys(range(200, 300), Outcome.DONE),
    **dict.fromkeys(range(300, 500), Outcome.REJECTED),
    **dict.fromkeys(range(500, 600), Outcome.UNKNOWN),
    408: Outcome.BUSY,
    425: Outcome.BUSY,
    429: Outcome.THROTTLED,
}
# ONGOING first: a call that may still succeed must not be classified as a refusal.
BY_DTM = (
    (Outcome.BUSY, 425, b"ONGOING"),
    (Outcome.REJECTED, 409, b"FAILURE"),
)
# Looked for with each call: Python 3.11 takes four times longer to find them by their class.
ACTION, STATUS, COMPENSATION = Direction.ACTION, Direction.STATUS, Direction.COMPENSATION
DTM = Profile.DTM
DONE, UNKNOWN = Outcome.DONE, Outcome.UNKNOWN
ALREADY_COMPENSATED = frozenset({410})
SERVICE_UNAVAILABLE = 503
STATUS_WORDS: Mapping[str, Outcome] = {  # of a reply to a status query
    "done": Outcome.DONE,
    "not_done": Outcome.NOT_DONE,
    "in_progress": Outcome.BUSY,
    "unknown": Outcome.UNKNOWN,
}
UNKNOWN_TO_PARTICIPANT = 404
RETRY_WITHOUT_SLOT = timedelta(seconds=1)


class CallOutcome(Struct, frozen=True, kw_only=True):
    """A classified result. `reason` is one line; `output` is the body of a successful response.

    `output_is_null` distinguishes the output null from no output.
    """

    kind: Outcome
    reason: str = ""
    output: Json = None
    output_is_null: bool = False
    output_loss: OutputLoss | None = None
    retry_after: timedelta | None = None

    @property
    def may_have_happened(self) -> bool:
        """True if the attempt may have taken effect."""
        return self.kind in (Outcome.UNKNOWN, Outcome.BUSY)


def classify(
    answer: CallResult,
    direction: Direction,
    *,
    now: Callable[[], datetime],
    done_on: Collection[int] = (),
    accepts: bool = False,
    profile: Profile = Profile.HTTP,
) -> CallOutcome:
    """Classify the result of a call.

    `accepts`: the step declares how a 202 is completed. `done_on`: statuses that also mean success
    of a compensation. `now` is called only for a `Retry-After` with a date.
    """
    if not isinstance(answer, Response):
        if isinstance(answer, NotSent) and not answer.had_slot:
            reason = one_line(answer.reason)
            return CallOutcome(
                kind=Outcome.CIRCUIT_OPEN, reason=reason, retry_after=RETRY_WITHOUT_SLOT
            )
        outcome = Outcome.NOT_SENT if isinstance(answer, NotSent) else UNKNOWN
        return CallOutcome(kind=outcome, reason=one_line(answer.reason))
    if direction is STATUS:
        return _classify_status(answer)
    status, undoes = answer.status, direction is COMPENSATION
    if undoes and status in done_on:
        return CallOutcome(kind=DONE)
    if profile is DTM:
        return _classify_dtm(answer)
    if undoes and status in ALREADY_COMPENSATED:
        return CallOutcome(kind=DONE)
    if accepts and not undoes and status == HTTPStatus.ACCEPTED:
        return CallOutcome(kind=Outcome.ACCEPTED)
    outcome = BY_STATUS.get(status, UNKNOWN)
    return _classify_success(answer) if outcome is DONE else _classify_failure(answer, outcome, now)


def _classify_status(reply: Response) -> CallOutcome:
    """Classify the reply to a status query; one that is not clear is unknown."""
    if reply.status == UNKNOWN_TO_PARTICIPANT:
        return CallOutcome(kind=Outcome.NOT_DONE, reason="the participant does not know the call")
    if reply.status // 100 != 2 or reply.too_large or reply.unreadable:
        return CallOutcome(kind=Outcome.UNKNOWN, reason=reason_of(reply))
    try:
        body = parse_untrusted(reply.body)
    except InvalidJson as error:
        return CallOutcome(kind=Outcome.UNKNOWN, reason=one_line(f"its status is no JSON: {error}"))
    status = body.get("status") if isinstance(body, Mapping) else None
    outcome = (
        STATUS_WORDS.get(status, Outcome.UNKNOWN) if isinstance(status, str) else Outcome.UNKNOWN
    )
    if outcome is DONE and isinstance(body, Mapping):
        output = body.get("output")
        is_null = output is None and "output" in body
        return CallOutcome(kind=outcome, output=output, output_is_null=is_null)
    reason = one_line(f"the participant reports {status or 'no known status'}")
    return CallOutcome(kind=outcome, reason=reason)


def _classify_dtm(reply: Response) -> CallOutcome:
    for outcome, status, word in BY_DTM:
        if reply.status == status or word in reply.body:
            return CallOutcome(kind=outcome, reason=reason_of(reply))
    if reply.status == HTTPStatus.OK and not reply.unreadable:  # it may say FAILURE
        return _classify_success(reply)
    return CallOutcome(kind=Outcome.UNKNOWN, reason=reason_of(reply))


def _classify_failure(
    reply: Response, outcome: Outcome, now: Callable[[], datetime]
) -> CallOutcome:
    wait = _retry_after(reply, now)
    if reply.status == SERVICE_UNAVAILABLE and wait is not None:
        outcome = Outcome.THROTTLED
    return CallOutcome(kind=outcome, reason=reason_of(reply), retry_after=wait)


def _classify_success(reply: Response) -> CallOutcome:
    if reply.too_large:
        reason = "the reply is larger than the limit"
        return CallOutcome(kind=DONE, reason=reason, output_loss=OutputLoss.TOO_LARGE)
    if reply.unreadable:
        reason = one_line(reply.unreadable)
        return CallOutcome(kind=DONE, reason=reason, output_loss=OutputLoss.NOT_JSON)
    if not reply.body:
        return CallOutcome(kind=DONE)
    try:
        output = parse_untrusted(reply.body)
        return CallOutcome(kind=DONE, output=output, output_is_null=output is None)
    except InvalidJson as error:
        reason = one_line(f"the reply is not JSON that can be kept: {error}")
        return CallOutcome(kind=DONE, reason=reason, output_loss=OutputLoss.NOT_JSON)


def _retry_after(reply: Response, now: Callable[[], datetime]) -> timedelta | None:
    """Return `Retry-After`, seconds or an HTTP date (RFC 9110, 10.2.3), within its bounds."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=min(int(text[:9]), MAX_RETRY_AFTER.total_seconds()))
    elif text:
        try:
            then = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        wait = (then if then.tzinfo else then.replace(tzinfo=UTC)) - now()
    else:
        return None
    return min(max(wait, timedelta()), MAX_RETRY_AFTER)
