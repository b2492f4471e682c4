from __future__ import annotations

from saga_orchestrator.fsm.call_outcome import Direction, Outcome
from saga_orchestrator.fsm.runtime.calls.participant_calls import (
    DURATION_BUCKETS,
    ParticipantCalls,
)


def test_calls_are_counted_by_outcome_and_duration() -> None:
    calls = ParticipantCalls(1)

    calls.record(Direction.ACTION, Outcome.DONE, DURATION_BUCKETS[0].total_seconds())
    calls.record(Direction.ACTION, Outcome.DONE, 60)

    assert calls.outcomes == {(Direction.ACTION, Outcome.DONE): 2}
    assert (calls.durations[0], calls.durations[-1], sum(calls.durations)) == (1, 1, 2)
    assert calls.seconds == DURATION_BUCKETS[0].total_seconds() + 60
