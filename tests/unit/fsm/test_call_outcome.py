from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.call_outcome import (
    CallOutcome,
    Direction,
    NotSent,
    Outcome,
    OutputLoss,
    Profile,
    Response,
    ResponseLost,
    classify,
)
from saga_orchestrator.fsm.codec import encode
from saga_orchestrator.fsm.definitions.retry import MAX_RETRY_AFTER
from saga_orchestrator.fsm.events import StepNotSent
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.fsm.refusal_reason import MAX_REASON_CHARACTERS
from saga_orchestrator.fsm.testing import NOON

BOTH = (Direction.ACTION, Direction.COMPENSATION)
DEFINITE_NO = [400, 401, 402, 403, 404, 405, 406, 409, 412, 413, 415, 422]
TABLE = {
    Outcome.DONE: [200, 201, 202, 203, 204, 226, 299],
    Outcome.REJECTED: [300, 301, 302, 303, 304, 307, 308, *DEFINITE_NO, 407, 418, 423, 451, 499],
    Outcome.BUSY: [408, 425],
    Outcome.THROTTLED: [429],
    Outcome.UNKNOWN: [500, 501, 502, 503, 504, 507, 599],
}
ROWS = [(status, outcome) for outcome, statuses in TABLE.items() for status in statuses]


def reply(status: int, body: bytes = b"", **headers: str) -> Response:
    return Response(
        status, {name.replace("_", "-"): value for name, value in headers.items()}, body
    )


def outcome_of(
    answer: Response | ResponseLost | NotSent, direction: Direction = Direction.ACTION
) -> CallOutcome:
    return classify(answer, direction, now=lambda: NOON)


def wait_after(header: str) -> timedelta | None:
    return outcome_of(reply(429, retry_after=header)).retry_after


@pytest.mark.parametrize("direction", BOTH)
@pytest.mark.parametrize(("status", "outcome"), ROWS)
def test_every_status_of_the_table_has_its_outcome(
    status: int, outcome: Outcome, direction: Direction
) -> None:
    assert outcome_of(reply(status), direction).kind is outcome


def test_gone_is_a_refusal_of_an_action_and_the_success_of_a_compensation() -> None:
    assert outcome_of(reply(410)).kind is Outcome.REJECTED
    assert outcome_of(reply(410), Direction.COMPENSATION).kind is Outcome.DONE


def test_a_compensation_is_done_on_the_statuses_it_declares() -> None:
    missing = reply(404)

    undone = classify(missing, Direction.COMPENSATION, now=lambda: NOON, done_on={404})
    acted = classify(missing, Direction.ACTION, now=lambda: NOON, done_on={404})

    assert (undone.kind, acted.kind) == (Outcome.DONE, Outcome.REJECTED)


@pytest.mark.parametrize("status", [100, 101, 199, 600, 999])
def test_a_status_of_no_known_class_is_unknown(status: int) -> None:
    assert outcome_of(reply(status)).kind is Outcome.UNKNOWN


@pytest.mark.parametrize("direction", BOTH)
def test_call_is_not_sent_if_no_byte_left_and_else_unknown(
    direction: Direction,
) -> None:
    assert outcome_of(NotSent("refused"), direction) == CallOutcome(
        kind=Outcome.NOT_SENT, reason="refused"
    )
    assert outcome_of(ResponseLost("reset"), direction) == CallOutcome(
        kind=Outcome.UNKNOWN, reason="reset"
    )


@pytest.mark.parametrize("direction", Direction)
def test_call_without_a_slot_says_nothing_about_the_participant(direction: Direction) -> None:
    outcome = outcome_of(NotSent("others were first", had_slot=False), direction)

    assert (outcome.kind, outcome.retry_after) == (Outcome.CIRCUIT_OPEN, timedelta(seconds=1))


@pytest.mark.parametrize("direction", BOTH)
def test_unavailable_is_throttled_only_with_a_retry_after(direction: Direction) -> None:
    assert outcome_of(reply(503, retry_after="7"), direction).kind is Outcome.THROTTLED
    assert outcome_of(reply(503, retry_after="soon"), direction).kind is Outcome.UNKNOWN
    assert outcome_of(reply(500, retry_after="7"), direction).kind is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", timedelta(seconds=7)),
        (" 0 ", timedelta()),
        ("300", timedelta(minutes=5)),
        ("301", MAX_RETRY_AFTER),
        ("9" * 4000, MAX_RETRY_AFTER),
        ("Sun, 01 Mar 2026 12:00:09 GMT", timedelta(seconds=9)),
        ("Sun, 01 Mar 2026 12:00:09 -0000", timedelta(seconds=9)),
        ("Sun, 01 Mar 2026 13:00:09 +0100", timedelta(seconds=9)),
        ("Sunday, 01-Mar-26 12:00:09 GMT", timedelta(seconds=9)),
        ("Sun, 01 Mar 2026 11:00:00 GMT", timedelta()),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_bounds(header: str, wait: timedelta) -> None:
    assert wait_after(header) == wait


@pytest.mark.parametrize(
    "header",
    [
        *["", "-5", "1.5", "soon", "٣", "5, 6", "Sun, 32 Mar 2026 12:00:00 GMT"],
        "Mon, 99999999999999999999 Jan 2020 00:00:00 GMT",
        "Mon, 01 Jan 2020 00:00:00 +99999999999999999999",
    ],
)
def test_a_retry_after_that_cannot_be_read_is_ignored(header: str) -> None:
    assert outcome_of(reply(429, retry_after=header)) == CallOutcome(
        kind=Outcome.THROTTLED, reason="429 Too Many Requests"
    )


@given(st.text(max_size=60) | st.from_regex(r"\w{3}, \d+ Jan \d+ \d+:\d+:\d+ [+-]\d+"))
def test_any_retry_after_header_is_accepted(header: str) -> None:
    wait = wait_after(header)

    assert wait is None or timedelta() <= wait <= MAX_RETRY_AFTER


def test_a_done_reply_gives_its_body() -> None:
    done = outcome_of(reply(201, b'{"id": 123456789012345678901234567890}'))

    assert done == CallOutcome(kind=Outcome.DONE, output={"id": 123456789012345678901234567890})


def test_a_done_reply_without_a_body_loses_nothing() -> None:
    assert outcome_of(reply(204)) == CallOutcome(kind=Outcome.DONE)


@pytest.mark.parametrize(
    "body",
    [
        *(b"<p>ok</p>", b'"\\u0000"', b"1e999", b"[" * 101 + b"]" * 101),
        *(
            b'{"id": 7, "id": 8}',
            b'{"id": 7, "a": {"b": 1, "b": 1}}',
            b'{"id": ' + b"7" * 401 + b"}",
        ),
    ],
)
def test_a_done_reply_that_cannot_be_kept_is_done_all_the_same(body: bytes) -> None:
    done = outcome_of(reply(200, body))

    assert (done.kind, done.output, done.output_loss) == (
        Outcome.DONE,
        None,
        OutputLoss.NOT_JSON,
    )


def test_a_done_reply_that_is_too_large_is_done_all_the_same() -> None:
    done = outcome_of(Response(200, {}, b'{"id": 1', too_large=True))

    assert (done.kind, done.output_loss) == (Outcome.DONE, OutputLoss.TOO_LARGE)


def test_a_compensation_needs_no_body_where_nothing_is_left_to_undo() -> None:
    gone = outcome_of(Response(410, {}, b"<p>", too_large=True), Direction.COMPENSATION)

    assert gone == CallOutcome(kind=Outcome.DONE)


@settings(max_examples=300)
@given(
    status=st.sampled_from([status.value for status in HTTPStatus]) | st.integers(100, 999),
    body=st.binary(max_size=50),
    direction=st.sampled_from(BOTH),
)
def test_every_reply_has_exactly_one_outcome(
    status: int, body: bytes, direction: Direction
) -> None:
    outcome = outcome_of(reply(status, body), direction)

    assert (outcome.kind is Outcome.DONE) is (
        200 <= status < 300 or (status == 410 and direction is Direction.COMPENSATION)
    )


@pytest.mark.parametrize("outcome", list(Outcome))
def test_only_unknown_and_busy_may_have_happened(outcome: Outcome) -> None:
    happened = CallOutcome(kind=outcome).may_have_happened

    assert happened is (outcome in (Outcome.UNKNOWN, Outcome.BUSY))


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (
            b'{"status": "done", "output": {"id": 7}}',
            CallOutcome(kind=Outcome.DONE, output={"id": 7}),
        ),
        (b'{"status": "done"}', CallOutcome(kind=Outcome.DONE)),
        (
            b'{"status": "not_done"}',
            CallOutcome(kind=Outcome.NOT_DONE, reason="the participant reports not_done"),
        ),
        (
            b'{"status": "in_progress"}',
            CallOutcome(kind=Outcome.BUSY, reason="the participant reports in_progress"),
        ),
        (
            b'{"status": "unknown"}',
            CallOutcome(kind=Outcome.UNKNOWN, reason="the participant reports unknown"),
        ),
    ],
)
def test_status_reply_gives_the_outcome_of_the_action(body: bytes, outcome: CallOutcome) -> None:
    assert outcome_of(reply(200, body), Direction.STATUS) == outcome


@pytest.mark.parametrize(
    "answer",
    [
        *[reply(status, b'{"status": "done"}') for status in (300, 302, 400, 409, 410, 429, 500)],
        *[reply(200, body) for body in (b"", b"[]", b"done", b'{"status": 1}', b'{"status": "?"}')],
        Response(200, {}, b'{"status": "done"}', too_large=True),
        ResponseLost("reset"),
    ],
)
def test_unclear_status_is_unknown(answer: Response | ResponseLost) -> None:
    assert outcome_of(answer, Direction.STATUS).kind is Outcome.UNKNOWN


def test_status_404_is_not_done() -> None:
    assert outcome_of(reply(404), Direction.STATUS).kind is Outcome.NOT_DONE


@pytest.mark.parametrize("said", ["x" * 1000, "two\nlines", {"a": 1}, 5])
def test_reason_of_a_status_reply_is_one_line(said: Json) -> None:
    body = json.dumps({"status": said}).encode()
    reason = outcome_of(reply(200, body), Direction.STATUS).reason

    assert len(reason) <= MAX_REASON_CHARACTERS
    assert "\n" not in reason
    encode(StepNotSent(step="a", attempt=1, error=reason))


UNREADABLE = Response(200, {}, b"", unreadable="the reply is in the encoding br")


def test_a_done_reply_that_cannot_be_decoded_is_done_and_says_why_it_has_no_output() -> None:
    outcome = outcome_of(UNREADABLE)

    assert (outcome.kind, outcome.output) == (Outcome.DONE, None)
    assert (outcome.output_loss, outcome.reason) == (OutputLoss.NOT_JSON, UNREADABLE.unreadable)


def test_undecodable_reply_is_unknown_where_the_body_decides() -> None:
    as_status = outcome_of(UNREADABLE, Direction.STATUS)
    as_dtm = classify(UNREADABLE, Direction.ACTION, now=lambda: NOON, profile=Profile.DTM)

    assert (as_status.kind, as_dtm.kind) == (Outcome.UNKNOWN, Outcome.UNKNOWN)
