"""Never guess: an answer, or the lack of one, is classified into exactly one outcome.

The table is the whole of it; nothing else in the project looks at a status code of a participant.
What is not certain is `unknown`, and what is unknown may have happened.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus

from msgspec import Struct

from .answer import Answer, NotSent, Reply
from .reason import one_line, reason_of
from .retry import LONGEST_RETRY_AFTER
from .strict_json import Json, NotKeepable, parse_foreign

HELD_BACK = "held back, because the participant does not answer"


class Outcome(StrEnum):
    DONE = "done"
    ACCEPTED = "accepted"  # it will be done, and a callback or polling will tell
    REJECTED = "rejected"
    BUSY = "busy"
    THROTTLED = "throttled"
    UNKNOWN = "unknown"
    NOT_SENT = "not_sent"
    HELD = "held"  # not sent: its participant has no URL or does not answer, or it had no turn
    NOT_DONE = "not_done"  # said of an earlier attempt, by its participant


class Hold(Struct, frozen=True):
    """Why nothing is sent to a participant now, and for how long."""

    rest: timedelta
    reason: str = HELD_BACK


class Profile(StrEnum):
    """How the answers of a participant are meant."""

    HTTP = "http"
    DTM = "dtm"


class Direction(StrEnum):
    ACTION = "action"
    COMPENSATION = "compensation"
    STATUS = "status"  # a question about the action, without an effect


class OutputLoss(StrEnum):
    """Why a done step has not the output that its participant sent."""

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
# ONGOING first: what may still happen must not be taken for a refusal.
BY_DTM = (
    (Outcome.BUSY, 425, b"ONGOING"),
    (Outcome.REJECTED, 409, b"FAILURE"),
)
# Asked for of every reply: Python takes four times longer to find `Direction.STATUS`.
STATUS, COMPENSATION, DTM = Direction.STATUS, Direction.COMPENSATION, Profile.DTM
DONE, UNKNOWN = Outcome.DONE, Outcome.UNKNOWN
NOTHING_LEFT_TO_UNDO = frozenset({410})
UNAVAILABLE = 503
SAID: Mapping[str, Outcome] = {  # by a participant that is asked for a status
    "done": Outcome.DONE,
    "not_done": Outcome.NOT_DONE,
    "in_progress": Outcome.BUSY,
    "unknown": Outcome.UNKNOWN,
}
NEVER_HEARD_OF_IT = 404
AGAIN_WITHOUT_A_TURN = timedelta(seconds=1)


class Verdict(Struct, frozen=True, kw_only=True):
    """A classified answer. `reason` is one line; `output` is what a done reply said.

    `output_is_null` if it said null, and not nothing.
    """

    outcome: Outcome
    reason: str = ""
    output: Json = None
    output_is_null: bool = False
    output_loss: OutputLoss | None = None
    retry_after: timedelta | None = None

    @property
    def may_have_happened(self) -> bool:
        """Whether an attempt that ended so may be the one that took effect."""
        return self.outcome in (Outcome.UNKNOWN, Outcome.BUSY)


def classify(
    answer: Answer,
    direction: Direction,
    *,
    now: Callable[[], datetime],
    done_on: Collection[int] = (),
    accepts: bool = False,
    profile: Profile = Profile.HTTP,
) -> Verdict:
    """`accepts`: the step declares how a 202 is completed. `done_on` is of a compensation.

    `now` is asked only if the reply names a time of day.
    """
    if not isinstance(answer, Reply):
        if isinstance(answer, NotSent) and not answer.had_turn:
            reason = one_line(answer.reason)
            return Verdict(outcome=Outcome.HELD, reason=reason, retry_after=AGAIN_WITHOUT_A_TURN)
        outcome = Outcome.NOT_SENT if isinstance(answer, NotSent) else UNKNOWN
        return Verdict(outcome=outcome, reason=one_line(answer.reason))
    if direction is STATUS:
        return _classify_status(answer)
    status, undoes = answer.status, direction is COMPENSATION
    if undoes and status in done_on:
        return Verdict(outcome=DONE)
    if profile is DTM:
        return _classify_dtm(answer)
    if undoes and status in NOTHING_LEFT_TO_UNDO:
        return Verdict(outcome=DONE)
    if accepts and not undoes and status == HTTPStatus.ACCEPTED:
        return Verdict(outcome=Outcome.ACCEPTED)
    outcome = BY_STATUS.get(status, UNKNOWN)
    return _done(answer) if outcome is DONE else _not_done(answer, outcome, now)


def _classify_status(reply: Reply) -> Verdict:
    """What a participant says about an earlier attempt; whatever is not said clearly is unknown."""
    if reply.status == NEVER_HEARD_OF_IT:
        return Verdict(outcome=Outcome.NOT_DONE, reason="the participant has never heard of it")
    if reply.status // 100 != 2 or reply.too_large or reply.unreadable:
        return Verdict(outcome=Outcome.UNKNOWN, reason=reason_of(reply))
    try:
        said = parse_foreign(reply.body)
    except NotKeepable as error:
        return Verdict(outcome=Outcome.UNKNOWN, reason=one_line(f"its status is no JSON: {error}"))
    status = said.get("status") if isinstance(said, Mapping) else None
    outcome = SAID.get(status, Outcome.UNKNOWN) if isinstance(status, str) else Outcome.UNKNOWN
    if outcome is Outcome.DONE and isinstance(said, Mapping):
        output = said.get("output")
        is_null = output is None and "output" in said
        return Verdict(outcome=outcome, output=output, output_is_null=is_null)
    reason = one_line(f"the participant says {status or 'nothing clear'}")
    return Verdict(outcome=outcome, reason=reason)


def _classify_dtm(reply: Reply) -> Verdict:
    for outcome, status, word in BY_DTM:
        if reply.status == status or word in reply.body:
            return Verdict(outcome=outcome, reason=reason_of(reply))
    if reply.status == HTTPStatus.OK and not reply.unreadable:  # it may say FAILURE
        return _done(reply)
    return Verdict(outcome=Outcome.UNKNOWN, reason=reason_of(reply))


def _not_done(reply: Reply, outcome: Outcome, now: Callable[[], datetime]) -> Verdict:
    wait = _retry_after(reply, now)
    if reply.status == UNAVAILABLE and wait is not None:
        outcome = Outcome.THROTTLED
    return Verdict(outcome=outcome, reason=reason_of(reply), retry_after=wait)


def _done(reply: Reply) -> Verdict:
    if reply.too_large:
        reason = "the reply is larger than the limit"
        return Verdict(outcome=DONE, reason=reason, output_loss=OutputLoss.TOO_LARGE)
    if reply.unreadable:
        reason = one_line(reply.unreadable)
        return Verdict(outcome=DONE, reason=reason, output_loss=OutputLoss.NOT_JSON)
    if not reply.body:
        return Verdict(outcome=DONE)
    try:
        output = parse_foreign(reply.body)
        return Verdict(outcome=DONE, output=output, output_is_null=output is None)
    except NotKeepable as error:
        reason = one_line(f"the reply is not JSON that can be kept: {error}")
        return Verdict(outcome=DONE, reason=reason, output_loss=OutputLoss.NOT_JSON)


def _retry_after(reply: Reply, now: Callable[[], datetime]) -> timedelta | None:
    """Seconds or an HTTP date (RFC 9110, 10.2.3); nothing below 0, nothing above the bound."""
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        wait = timedelta(seconds=min(int(text[:9]), LONGEST_RETRY_AFTER.total_seconds()))
    elif text:
        try:
            then = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        wait = (then if then.tzinfo else then.replace(tzinfo=UTC)) - now()
    else:
        return None
    return min(max(wait, timedelta()), LONGEST_RETRY_AFTER)
