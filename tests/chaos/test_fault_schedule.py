"""Faults are drawn, and yet the same each time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.tests.chaos.fault_schedule import FaultKind, schedule
from saga_orchestrator.tests.chaos.workload import plan_order

seeds = st.integers(0, 10_000)


@given(seeds)
def test_same_seed_gives_the_same_faults(seed: int) -> None:
    assert schedule(seed, 60, 3) == schedule(seed, 60, 3)
    assert plan_order(seed, 5) == plan_order(seed, 5)


@given(seeds, st.integers(1, 4))
def test_target_has_one_fault_at_a_time_and_none_at_the_end(seed: int, nodes: int) -> None:
    faults = schedule(seed, 60, nodes)

    for target in {one.target for one in faults}:
        its_own = [one for one in faults if one.target == target]
        assert all(one.at + one.lasts <= next_one.at for one, next_one in pairwise(its_own))
    assert all(one.at + one.lasts <= 60 + 1e-9 for one in faults)


def test_every_kind_of_fault_is_drawn() -> None:
    assert {one.kind for one in schedule(1, 1000, 3)} == set(FaultKind)
