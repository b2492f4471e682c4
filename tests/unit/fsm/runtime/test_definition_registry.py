from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from saga_orchestrator.eventstore.event_log import Document
from saga_orchestrator.eventstore.memory import InMemoryLog, MemoryStore
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.findings import InvalidDefinition
from saga_orchestrator.fsm.definitions.parser import parse_definition, parse_unverified_definition
from saga_orchestrator.fsm.formats.strict_json import Json, parse
from saga_orchestrator.fsm.runtime import definition_registry as registry_module
from saga_orchestrator.fsm.runtime.definition_registry import DefinitionRegistry
from saga_orchestrator.fsm.runtime.errors import DefinitionExists, DefinitionNotFound
from saga_orchestrator.fsm.runtime.sharding.lease import NodeLease
from saga_orchestrator.fsm.testing import define, document
from saga_orchestrator.tests.support.in_memory_service import FakeClock


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def registry(store: MemoryStore) -> DefinitionRegistry:
    return another_node(store)


def another_node(store: MemoryStore) -> DefinitionRegistry:
    return DefinitionRegistry(InMemoryLog(store), FakeClock())


def trip(version: int, *steps: str) -> Definition:
    return parse_definition({**document(*(steps or ("book",))), "version": version})


def charging(amount: str) -> Definition:
    """One whose step sends this JSON."""
    call: Json = {"method": "POST", "path": "/charges", "body": {"amount": parse(amount)}}
    step: Json = {"name": "pay", "participant": "bank", "effect": "none", "action": call}
    return parse_definition({"saga": "trip", "version": 1, "steps": [step]})


async def test_definition_is_new_once(registry: DefinitionRegistry) -> None:
    assert await registry.register(trip(1)) is True
    assert await registry.register(trip(1)) is False
    assert [definition.source for definition in registry.known()] == [trip(1).source]


async def test_version_never_changes(registry: DefinitionRegistry) -> None:
    await registry.register(trip(1))

    with pytest.raises(DefinitionExists, match="trip version 1 exists with another content"):
        await registry.register(trip(1, "book", "pay"))

    assert (await registry.get("trip", 1)).source == trip(1).source


@pytest.mark.parametrize(
    ("recorded", "given"),
    [("0.50", "0.5"), ("50", "50.0"), ("1e2", "100"), ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}')],
)
async def test_version_in_another_spelling_is_the_same(
    registry: DefinitionRegistry, recorded: str, given: str
) -> None:
    await registry.register(charging(recorded))

    assert await registry.register(charging(given)) is False
    assert [definition.source for definition in registry.known()] == [charging(recorded).source]


@pytest.mark.parametrize(
    ("recorded", "given"),
    [("12345678901234567.89", "12345678901234567.88"), ("1", "true"), ("1", '"1"')],
)
async def test_version_with_another_value_is_refused(
    registry: DefinitionRegistry, recorded: str, given: str
) -> None:
    await registry.register(charging(recorded))

    with pytest.raises(DefinitionExists):
        await registry.register(charging(given))


async def test_latest_version_is_the_default(registry: DefinitionRegistry) -> None:
    for version in (2, 10, 9):
        await registry.register(trip(version))

    assert (await registry.get("trip")).version == 10
    assert (await registry.get("trip", 9)).version == 9
    assert [definition.version for definition in registry.known()] == [2, 9, 10]


async def test_unregistered_definition_is_not_found(registry: DefinitionRegistry) -> None:
    await registry.register(trip(1))

    with pytest.raises(DefinitionNotFound, match=r"there is no definition journey$"):
        await registry.get("journey")
    with pytest.raises(DefinitionNotFound, match="there is no definition trip version 2"):
        await registry.get("trip", 2)


async def test_definition_of_another_node_is_found(
    registry: DefinitionRegistry, store: MemoryStore
) -> None:
    await another_node(store).register(trip(3))

    assert (await registry.get("trip", 3)).source == trip(3).source
    assert (await another_node(store).get("trip")).source == trip(3).source


async def test_definitions_are_loaded_after_a_restart(
    registry: DefinitionRegistry, store: MemoryStore
) -> None:
    for version in (1, 2):
        await registry.register(trip(version))
    restarted = another_node(store)

    await restarted.load()

    assert [definition.source for definition in restarted.known()] == [
        trip(1).source,
        trip(2).source,
    ]


async def test_definition_that_closes_a_cycle_is_refused(registry: DefinitionRegistry) -> None:
    await registry.register(define("again child=pong", name="ping"))

    with pytest.raises(InvalidDefinition, match="pong version 1 starts ping version 1"):
        await registry.register(define("again child=ping", name="pong"))

    assert [definition.name for definition in registry.known()] == ["ping"]


async def test_cycle_with_a_definition_of_another_node_is_refused(
    registry: DefinitionRegistry, store: MemoryStore
) -> None:
    await another_node(store).register(define("again child=pong", name="ping"))

    with pytest.raises(InvalidDefinition):
        await registry.register(define("again child=ping", name="pong"))


async def test_one_of_two_concurrent_halves_of_a_cycle_is_refused(
    registry: DefinitionRegistry,
) -> None:
    halves = [define("again child=pong", name="ping"), define("again child=ping", name="pong")]

    answers = await asyncio.gather(*map(registry.register, halves), return_exceptions=True)

    assert [type(answer) for answer in answers] == [bool, InvalidDefinition]


async def test_registered_definition_is_not_verified_again(
    registry: DefinitionRegistry, store: MemoryStore
) -> None:
    """A log may hold what an earlier verifier had nothing against."""
    restless = parse_unverified_definition(document("again child=trip"))
    await registry.log.put_document(
        "definition", "trip", 1, restless.source, put_at=FakeClock().now()
    )

    await registry.load()

    assert await registry.register(restless) is False
    with pytest.raises(InvalidDefinition):
        await registry.register(
            parse_unverified_definition({**document("again child=trip"), "version": 2})
        )


class CountingLog(InMemoryLog):
    """Counts the documents that are read, and lets none be read before `may_read`."""

    def __init__(self, store: MemoryStore) -> None:
        super().__init__(store)
        self.may_read = asyncio.Event()
        self.reads = 0

    async def get_document(self, kind: str, name: str, version: int | None) -> Document | None:
        self.reads += 1
        await self.may_read.wait()
        return await super().get_document(kind, name, version)


async def test_concurrent_starts_share_one_read_of_the_latest_version(
    registry: DefinitionRegistry, store: MemoryStore
) -> None:
    await registry.register(trip(1))
    log = CountingLog(store)
    lease = NodeLease()
    lease.renew(asyncio.get_running_loop().time())
    lease.observe_peers(True)
    other = DefinitionRegistry(log, FakeClock(), lease=lease)
    starts = [asyncio.create_task(other.get("trip")) for _ in range(100)]
    await asyncio.sleep(0)

    starts[0].cancel()
    log.may_read.set()
    found = await asyncio.gather(*starts[1:])

    assert {definition.version for definition in found} == {1}
    assert log.reads == 1


async def test_read_that_began_long_ago_is_not_shared(
    registry: DefinitionRegistry, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry_module, "LATEST_VERSION_TTL", timedelta(seconds=-1))
    await registry.register(trip(1))
    log = CountingLog(store)
    other = DefinitionRegistry(log, FakeClock())
    starts = []
    for _ in range(2):
        starts.append(asyncio.create_task(other.get("trip")))
        await asyncio.sleep(0)

    log.may_read.set()
    await asyncio.gather(*starts)

    assert log.reads == 2
