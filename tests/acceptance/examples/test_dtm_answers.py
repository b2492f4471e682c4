"""What participants that were written for DTM mean."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from saga_orchestrator.fsm.call_outcome import (
    CallResult,
    Direction,
    NotSent,
    Outcome,
    Profile,
    Response,
    ResponseLost,
    classify,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("direction", [Direction.ACTION, Direction.COMPENSATION])
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Response(200, {}, b"{}"), Outcome.DONE),
        (Response(200, {}, b'{"dtm_result":"SUCCESS"}'), Outcome.DONE),
        (Response(200, {}, b'{"dtm_result":"FAILURE"}'), Outcome.REJECTED),
        (Response(200, {}, b'{"dtm_result":"ONGOING"}'), Outcome.BUSY),
        (Response(409, {}, b""), Outcome.REJECTED),
        (Response(425, {}, b""), Outcome.BUSY),
        (Response(500, {}, b"FAILURE"), Outcome.REJECTED),
        (Response(409, {}, b"ONGOING"), Outcome.BUSY),
        (Response(201, {}, b""), Outcome.UNKNOWN),
        (Response(202, {}, b""), Outcome.UNKNOWN),
        (Response(302, {}, b""), Outcome.UNKNOWN),
        (Response(400, {}, b""), Outcome.UNKNOWN),
        (Response(404, {}, b""), Outcome.UNKNOWN),
        (Response(410, {}, b""), Outcome.UNKNOWN),
        (Response(429, {"retry-after": "1"}, b""), Outcome.UNKNOWN),
        (Response(503, {"retry-after": "1"}, b""), Outcome.UNKNOWN),
        (ResponseLost("reset"), Outcome.UNKNOWN),
        (NotSent("refused"), Outcome.NOT_SENT),
    ],
)
def test_reply_means_the_same_as_in_dtm(
    answer: CallResult, outcome: Outcome, direction: Direction
) -> None:
    call_outcome = classify(answer, direction, now=lambda: NOW, accepts=True, profile=Profile.DTM)

    assert call_outcome.kind is outcome


def test_status_that_the_definition_lists_counts_as_compensated() -> None:
    reply = Response(404, {}, b"")

    outcome = classify(
        reply, Direction.COMPENSATION, now=lambda: NOW, done_on={404}, profile=Profile.DTM
    )

    assert outcome.kind is Outcome.DONE
