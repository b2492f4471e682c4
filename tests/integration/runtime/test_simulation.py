"""Whatever a service dies of, its sagas end as promised. `SIM_SEED=7 pytest` tells one story."""

from __future__ import annotations

import os

import pytest
from saga_orchestrator.eventstore.hash_chain import find_broken_event
from saga_orchestrator.fsm.testing import violated_invariants
from saga_orchestrator.tests.integration.runtime.simulated_service import SAGAS, SimulatedService

SEEDS = [int(os.environ["SIM_SEED"])] if "SIM_SEED" in os.environ else range(40)


async def the_story_of(seed: int, deaths: int = 12) -> SimulatedService:
    service = SimulatedService(seed, deaths)
    await service.tell()
    return service


@pytest.mark.parametrize("seed", SEEDS)
async def test_invariants_hold_wherever_the_service_dies(seed: int) -> None:
    service = await the_story_of(seed)

    promises = {
        saga_id: violated_invariants(service.process_of(saga_id), service.executor.models[saga_id])
        for saga_id in service.sagas
    }

    assert {invariant: found for invariant, found in promises.items() if found} == {}
    assert len(service.sagas) == SAGAS
    assert service.acknowledged <= service.sagas.keys()


@pytest.mark.parametrize("seed", list(SEEDS)[:10])
async def test_log_has_no_gaps_and_a_valid_chain_wherever_the_service_dies(seed: int) -> None:
    service = await the_story_of(seed)

    for shard in service.store.shards.values():
        assert [event.seq for event in shard] == list(range(1, len(shard) + 1))
        assert [event.epoch for event in shard] == sorted(event.epoch for event in shard)
        assert find_broken_event(shard) is None
    for stream in service.sagas.values():
        assert [event.version for event in stream] == list(range(1, len(stream) + 1))


@pytest.mark.parametrize("seed", list(SEEDS)[:5])
async def test_seed_determines_the_history(seed: int) -> None:
    first, second = await the_story_of(seed), await the_story_of(seed)

    assert first.store.streams == second.store.streams
    assert first.lives == second.lives


async def test_simulated_histories_cover_all_outcomes() -> None:
    stories = [await the_story_of(seed) for seed in range(12)]

    ends = {story.process_of(saga).saga.state.status for story in stories for saga in story.sagas}
    assert ends == {"completed", "compensated", "parked"}
    assert sum(story.lives for story in stories) > 60
