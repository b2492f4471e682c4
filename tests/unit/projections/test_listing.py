from __future__ import annotations

from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.projections.listing import SagaSummary, summary_view
from saga_orchestrator.tests.support.in_memory_service import NOON


def test_summary_as_json() -> None:
    summary = SagaSummary(
        saga_id="018f",
        saga_type="trip",
        definition_version=2,
        entity_id=7,
        status=SagaStatus.PARKED,
        current_step=None,
        error="no",
        parked_at=NOON,
        parked={"reason": "no", "not_done": ["pay"]},
        paused=False,
        tags={"shop": "north"},
        version=5,
        created_at=NOON,
        updated_at=NOON,
    )

    assert summary_view(summary) == {
        "saga_id": "018f",
        "saga_type": "trip",
        "definition_version": 2,
        "entity_id": 7,
        "status": "parked",
        "current_step": None,
        "error": "no",
        "parked": {"reason": "no", "not_done": ["pay"]},
        "paused": False,
        "tags": {"shop": "north"},
        "version": 5,
        "created_at": "2026-03-01T12:00:00.000000Z",
        "updated_at": "2026-03-01T12:00:00.000000Z",
    }
