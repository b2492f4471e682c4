from __future__ import annotations

from saga_orchestrator.eventstore import NOTHING, link
from saga_orchestrator.fsm.runtime.event_counts import EventCounts
from saga_orchestrator.fsm.testing import define, given
from saga_orchestrator.tests.event_builders import a_stream, an_event

SAGA = given(define("book")).saga


def test_events_are_counted_by_the_type_of_their_saga_and_their_own() -> None:
    counts = EventCounts()
    events = link(NOTHING, 1, a_stream(1), 0, [an_event("A"), an_event("B"), an_event("A")])

    counts.observe(SAGA, events)
    counts.observe(SAGA, events[:1])

    assert counts.events == {(SAGA.state.saga_type, "A"): 3, (SAGA.state.saga_type, "B"): 1}
