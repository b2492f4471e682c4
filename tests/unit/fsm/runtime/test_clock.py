from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.eventstore.event import SHARD_COUNT, shard_of
from saga_orchestrator.fsm.runtime.clock import SystemClock, saga_id

milliseconds = st.integers(0, 2**48 - 1)
drawings = st.integers(0, 2**74 - 1)
shards = st.integers(0, SHARD_COUNT - 1)


@given(milliseconds, drawings, shards)
def test_saga_id_is_a_uuid_of_version_7_that_carries_its_shard(
    at: int, drawn: int, shard_id: int
) -> None:
    made = saga_id(at, drawn, shard_id, SHARD_COUNT)

    assert shard_of(made) == shard_id
    assert (UUID(made).version, UUID(made).variant) == (7, "specified in RFC 4122")
    assert str(UUID(made)) == made


@given(milliseconds, milliseconds, drawings, drawings, shards)
def test_saga_ids_are_in_the_order_of_their_times(
    time: int, other_time: int, drawn: int, drawn_too: int, shard_id: int
) -> None:
    first = saga_id(min(time, other_time), drawn, shard_id, SHARD_COUNT)
    second = saga_id(max(time, other_time), drawn_too, shard_id, SHARD_COUNT)

    assert time == other_time or first < second


@given(drawings, drawings)
def test_different_draws_are_different_ids(draw: int, other_draw: int) -> None:
    """All of the 74 bits count, but for the two that the choice of 64 shards leaves over."""
    same = saga_id(0, draw, 5, SHARD_COUNT) == saga_id(0, other_draw, 5, SHARD_COUNT)

    unused = 0xFF - (256 // SHARD_COUNT - 1)
    assert same == (draw & ~unused == other_draw & ~unused)


def test_system_clock_is_aware_and_draws_jitter_below_one() -> None:
    clock = SystemClock()

    assert clock.now().utcoffset() == timedelta()
    assert all(0 <= clock.jitter() < 1 for _ in range(1000))
    assert shard_of(clock.new_saga_id(63, SHARD_COUNT)) == 63
