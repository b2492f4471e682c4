"""The result of one call to a participant, and its classification into exactly one outcome.

The difference between `NotSent` and `ResponseLost` carries money: after `NotSent` the participant
cannot have acted, after `ResponseLost` it may have. A result that could be either is
`ResponseLost`. Every outcome that is not certain is `unknown`, and may have taken effect. Nothing
else in the project reads a status code of a participant.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from .definitions.retry import MAX_RETRY_AFTER
from .formats.redaction import Redaction
from .formats.strict_json import InvalidJson, Json, parse_untrusted
from .refusal_reason import one_line, refusal_reason


class Response(Struct, frozen=True, gc=False):
    """A complete response. If `too_large`, `body` is only the beginning of its body.

    `unreadable` says why the body could not be decoded to UTF-8; then `body` is empty.
    """

    status: int
    headers: Mapping[str, str]  # names in lower case; repeated ones joined with ", "
    body: bytes
    too_large: bool = False
    unreadable: str = ""


class NotSent(Struct, frozen=True, gc=False):
    """No byte of the request was sent.

    Without `had_slot` the call only waited in this process, behind others or because no URL is
    configured, which says nothing about the participant.
    """

    reason: str
    had_slot: bool = True


class ResponseLost(Struct, frozen=True, gc=False):
    """A byte of the request may have been sent, and no complete response came back."""

    reason: str


CallResult: TypeAlias = Response | NotSent | ResponseLost


def redact_result(result: CallResult, redaction: Redaction) -> CallResult:
    """Return `result` without the secrets of `redaction` in its body or its reason."""
    if not isinstance(result, Response):
        return replace(result, reason=redaction.redact_text(result.reason))
    if result.unreadable:
        return replace(result, unreadable=redaction.redact_text(result.unreadable))
    body = redaction.redact_bytes(result.body)
    return result if body is result.body else replace(result, body=body)


CIRCUIT_OPEN_REASON = "withheld, because the participant does not respond"


class Outcome(StrEnum):
    """The class of the result of a call. The values are recorded in events."""

    DONE = "done"
    ACCEPTED = "accepted"  # a callback or polling will complete it
    REJECTED = "rejected"
    BUSY = "busy"
    THROTTLED = "throttled"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"
    CIRCUIT_OPEN = "held"  # not sent: no URL, an open circuit, or no free slot
    NOT_DONE = "not_done"  # by the reply to a status query: an earlier attempt was not executed


class OpenCircuit(Struct, frozen=True, gc=False):
    """The reason why no call is sent to a participant now, and the time until the next attempt."""

    retry_in: timedelta
    reason: str = CIRCUIT_OPEN_REASON


class Profile(StrEnum):
    """The convention by which the replies of a participant are classified."""

    HTTP = "http"
    DTM = "dtm"


class Direction(StrEnum):
    """The purpose of a call."""

    ACTION = "action"
    COMPENSATION = "compensation"
    STATUS = "status"  # a query for the outcome of the action, without an effect


class OutputLoss(StrEnum):
    """The reason why the output of a done step could not be kept."""

    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    UNMAPPABLE = "unmappable"  # a declared output that the response does not have


class CallOutcome(Struct, frozen=True, gc=False, kw_only=True):
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


def classify(
    result: CallResult,
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
    if not isinstance(result, Response):
        if isinstance(result, NotSent) and not result.had_slot:
            reason = one_line(result.reason)
            return CallOutcome(
                kind=Outcome.CIRCUIT_OPEN, reason=reason, retry_after=RETRY_WITHOUT_SLOT
            )
        outcome = Outcome.NOT_SENT if isinstance(result, NotSent) else UNKNOWN
        return CallOutcome(kind=outcome, reason=one_line(result.reason))
    if direction is STATUS:
        return _classify_status(result)
    status, undoes = result.status, direction is COMPENSATION
    if undoes and status in done_on:
        return CallOutcome(kind=DONE)
    if profile is DTM:
        return _classify_dtm(result)
    if undoes and status in ALREADY_COMPENSATED:
        return CallOutcome(kind=DONE)
    if accepts and not undoes and status == HTTPStatus.ACCEPTED:
        return CallOutcome(kind=Outcome.ACCEPTED)
    outcome = BY_STATUS.get(status, UNKNOWN)
    return _classify_success(result) if outcome is DONE else _classify_failure(result, outcome, now)


def _classify_status(response: Response) -> CallOutcome:
    """Classify the reply to a status query; one that is not clear is unknown."""
    if response.status == UNKNOWN_TO_PARTICIPANT:
        return CallOutcome(kind=Outcome.NOT_DONE, reason="the participant does not know the call")
    if response.status // 100 != 2 or response.too_large or response.unreadable:
        return CallOutcome(kind=Outcome.UNKNOWN, reason=_reason(response))
    try:
        body = parse_untrusted(response.body)
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


def _classify_dtm(response: Response) -> CallOutcome:
    for outcome, status, word in BY_DTM:
        if response.status == status or word in response.body:
            return CallOutcome(kind=outcome, reason=_reason(response))
    if response.status == HTTPStatus.OK and not response.unreadable:  # it may say FAILURE
        return _classify_success(response)
    return CallOutcome(kind=Outcome.UNKNOWN, reason=_reason(response))


def _classify_failure(
    response: Response, outcome: Outcome, now: Callable[[], datetime]
) -> CallOutcome:
    wait = _retry_after(response, now)
    if response.status == SERVICE_UNAVAILABLE and wait is not None:
        outcome = Outcome.THROTTLED
    return CallOutcome(kind=outcome, reason=_reason(response), retry_after=wait)


def _classify_success(response: Response) -> CallOutcome:
    if response.too_large:
        reason = "the reply is larger than the limit"
        return CallOutcome(kind=DONE, reason=reason, output_loss=OutputLoss.TOO_LARGE)
    if response.unreadable:
        reason = one_line(response.unreadable)
        return CallOutcome(kind=DONE, reason=reason, output_loss=OutputLoss.NOT_JSON)
    if not response.body:
        return CallOutcome(kind=DONE)
    try:
        output = parse_untrusted(response.body)
        return CallOutcome(kind=DONE, output=output, output_is_null=output is None)
    except InvalidJson as error:
        reason = one_line(f"the reply is not JSON that can be kept: {error}")
        return CallOutcome(kind=DONE, reason=reason, output_loss=OutputLoss.NOT_JSON)


def _reason(response: Response) -> str:
    return refusal_reason(response.status, response.body, response.unreadable)


def _retry_after(response: Response, now: Callable[[], datetime]) -> timedelta | None:
    """Return `Retry-After`, seconds or an HTTP date (RFC 9110, 10.2.3), within its bounds."""
    text = response.headers.get("retry-after", "").strip()
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
