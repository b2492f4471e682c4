from __future__ import annotations

from saga_orchestrator.eventstore.event import EMPTY_HEAD
from saga_orchestrator.eventstore.hash_chain import chain_events
from saga_orchestrator.fsm.runtime.metrics import EventMetrics
from saga_orchestrator.fsm.testing import define, given
from saga_orchestrator.tests.support.event_builders import make_event, make_stream_id

SAGA = given(define("book")).saga


def test_events_are_counted_by_saga_type_and_event_type() -> None:
    counts = EventMetrics()
    events = chain_events(
        EMPTY_HEAD, 1, make_stream_id(1), 0, [make_event("A"), make_event("B"), make_event("A")]
    )

    counts.observe(SAGA, events)
    counts.observe(SAGA, events[:1])

    assert counts.events == {(SAGA.state.saga_type, "A"): 3, (SAGA.state.saga_type, "B"): 1}
