from __future__ import annotations

from saga_orchestrator.fsm.outcome import Direction, Outcome
from saga_orchestrator.fsm.runtime.traffic import BOUNDS, Traffic


def test_calls_are_counted_by_outcome_and_by_how_long_they_took() -> None:
    traffic = Traffic(1)

    traffic.count(Direction.ACTION, Outcome.DONE, BOUNDS[0].total_seconds())
    traffic.count(Direction.ACTION, Outcome.DONE, 60)

    assert traffic.outcomes == {(Direction.ACTION, Outcome.DONE): 2}
    assert (traffic.durations[0], traffic.durations[-1], sum(traffic.durations)) == (1, 1, 2)
    assert traffic.seconds == BOUNDS[0].total_seconds() + 60
