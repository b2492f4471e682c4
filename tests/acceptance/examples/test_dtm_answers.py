"""What participants that were written for DTM mean."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from saga_orchestrator.fsm.answer import Answer, Lost, NotSent, Reply
from saga_orchestrator.fsm.outcome import Direction, Outcome, Profile, classify

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("direction", [Direction.ACTION, Direction.COMPENSATION])
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Reply(200, {}, b"{}"), Outcome.DONE),
        (Reply(200, {}, b'{"dtm_result":"SUCCESS"}'), Outcome.DONE),
        (Reply(200, {}, b'{"dtm_result":"FAILURE"}'), Outcome.REJECTED),
        (Reply(200, {}, b'{"dtm_result":"ONGOING"}'), Outcome.BUSY),
        (Reply(409, {}, b""), Outcome.REJECTED),
        (Reply(425, {}, b""), Outcome.BUSY),
        (Reply(500, {}, b"FAILURE"), Outcome.REJECTED),
        (Reply(409, {}, b"ONGOING"), Outcome.BUSY),
        (Reply(201, {}, b""), Outcome.UNKNOWN),
        (Reply(202, {}, b""), Outcome.UNKNOWN),
        (Reply(302, {}, b""), Outcome.UNKNOWN),
        (Reply(400, {}, b""), Outcome.UNKNOWN),
        (Reply(404, {}, b""), Outcome.UNKNOWN),
        (Reply(410, {}, b""), Outcome.UNKNOWN),
        (Reply(429, {"retry-after": "1"}, b""), Outcome.UNKNOWN),
        (Reply(503, {"retry-after": "1"}, b""), Outcome.UNKNOWN),
        (Lost("reset"), Outcome.UNKNOWN),
        (NotSent("refused"), Outcome.NOT_SENT),
    ],
)
def test_an_answer_means_what_dtm_takes_it_for(
    answer: Answer, outcome: Outcome, direction: Direction
) -> None:
    verdict = classify(answer, direction, now=lambda: NOW, accepts=True, profile=Profile.DTM)

    assert verdict.outcome is outcome


def test_what_a_definition_takes_for_undone_is_undone() -> None:
    reply = Reply(404, {}, b"")

    verdict = classify(
        reply, Direction.COMPENSATION, now=lambda: NOW, done_on={404}, profile=Profile.DTM
    )

    assert verdict.outcome is Outcome.DONE
