"""The leaf of an event says all of it but the payload, and commits to the payload."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pytest
from saga_orchestrator.eventstore import EMPTY_HEAD, RecordedEvent
from saga_orchestrator.eventstore.hash_chain import chain_events
from saga_orchestrator.projections.audit.proof.leaf import commitment, leaf_text, salt
from saga_orchestrator.tests.support.event_builders import make_event, make_stream_id

SECRET: Final = b"kept"
EVENT: Final[RecordedEvent] = chain_events(EMPTY_HEAD, 1, make_stream_id(1), 0, [make_event("A")])[
    0
]


def leaf_of(event: RecordedEvent, previous: bytes | None = None) -> str:
    salted = salt(SECRET, event.shard_id, event.seq)
    return leaf_text(event, commitment(salted, event.payload), previous)


@pytest.mark.parametrize(
    "change",
    [
        {"shard_id": 2},
        {"seq": 2},
        {"epoch": 2},
        {"stream_id": make_stream_id(2)},
        {"version": 2},
        {"type": "B"},
        {"schema_version": 2},
        {"recorded_at": EVENT.recorded_at + timedelta(microseconds=1)},
        {"payload": b'{"a":1}'},
    ],
    ids=lambda change: next(iter(change)),
)
def test_leaf_changes_with_each_part_of_the_event(change: dict[str, Any]) -> None:
    assert leaf_of(EVENT._replace(**change)) != leaf_of(EVENT)


def test_leaf_names_the_one_before_it_in_its_saga() -> None:
    assert len({leaf_of(EVENT), leaf_of(EVENT, b"a" * 32), leaf_of(EVENT, b"b" * 32)}) == 3


def test_leaf_does_not_show_the_payload_nor_a_plain_hash_of_it() -> None:
    same_payload = EVENT._replace(seq=2)

    shown = {leaf_of(event).split("\n")[5] for event in (EVENT, same_payload)}

    assert len(shown) == 2


def test_salt_follows_from_the_secret_and_the_place_alone() -> None:
    assert salt(SECRET, 1, 23) == salt(SECRET, 1, 23)
    assert len({salt(SECRET, 1, 23), salt(SECRET, 12, 3), salt(b"another", 1, 23)}) == 3
