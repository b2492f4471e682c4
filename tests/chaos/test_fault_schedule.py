"""Faults are a function of the seed."""

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

    for target in {fault.target for fault in faults}:
        own_faults = [fault for fault in faults if fault.target == target]
        assert all(first.at + first.lasts <= second.at for first, second in pairwise(own_faults))
    assert all(fault.at + fault.lasts <= 60 + 1e-9 for fault in faults)


def test_every_kind_of_fault_is_drawn() -> None:
    assert {fault.kind for fault in schedule(1, 1000, 3)} == set(FaultKind)
