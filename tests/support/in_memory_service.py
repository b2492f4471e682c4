"""A whole orchestrator in memory: real rules, a real log, no database and no network.

    service = await in_memory_service()
    declined = Response(402, {}, b'{"detail": "card declined"}')
    service.participants.will_reply("process_payment", declined)
    saga = await service.start("order_processing")

Time stands still until the test advances it. Participants reply OK_REPLY unless they have a script.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from saga_orchestrator.eventstore.event import SHARD_COUNT, RecordedEvent, StreamId, shard_of
from saga_orchestrator.eventstore.memory import InMemoryLog, MemoryStore
from saga_orchestrator.fsm.call_outcome import CallResult, Direction, Response
from saga_orchestrator.fsm.decider.decide import is_idle
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.fsm.formats.strict_yaml import parse_yaml
from saga_orchestrator.fsm.inputs import StartSaga
from saga_orchestrator.fsm.instructions import CallParticipant, needs_no_recovery, next_wakeup
from saga_orchestrator.fsm.runtime.calls.callback_tokens import SECRET_BYTES, CallbackTokens
from saga_orchestrator.fsm.runtime.calls.executor import Executor
from saga_orchestrator.fsm.runtime.clock import saga_id
from saga_orchestrator.fsm.runtime.completion_webhooks import CompletionWebhooks
from saga_orchestrator.fsm.runtime.definition_registry import DefinitionRegistry
from saga_orchestrator.fsm.runtime.driver import NESTING_LIMIT, Driver
from saga_orchestrator.fsm.runtime.local_sagas import LocalSagas
from saga_orchestrator.fsm.runtime.orchestrator import Orchestrator
from saga_orchestrator.fsm.runtime.saga_repository import SagaRepository
from saga_orchestrator.fsm.runtime.sharding.recovery import Recovery
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.http.participants.call_headers import headers_of
from saga_orchestrator.projections.status_table import UnfinishedSaga

ROOT = Path(__file__).parents[2]
ORDER_PROCESSING = (ROOT / "fsm/definitions/builtin/order_processing.yaml").read_text()
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ORDER_STEP_DATA: list[Any] = [
    {"customer_id": 1, "total_amount": 50.0},
    {"order_id": 123, "amount": 50.0, "payment_method": "credit_card"},
    {"order_id": 123},
]
TOKENS = CallbackTokens(bytes(SECRET_BYTES))
OK_REPLY = Response(200, {}, b'{"order_id": 7, "payment_id": 8}')
TIME_LIMIT = timedelta(seconds=10)  # of real time: a bound for what must happen, never a wait


class FakeClock:
    """A clock that stands still, with ids that count and jitter in the middle."""

    def __init__(self) -> None:
        self.time = NOON
        self.drawn = 0

    def now(self) -> datetime:
        return self.time

    def jitter(self) -> float:
        return 0.5

    def new_saga_id(self, shard_id: int, shards: int) -> str:
        self.drawn += 1
        milliseconds = int(self.time.timestamp() * 1000)
        return saga_id(milliseconds, self.drawn << 8, shard_id, shards)

    def advance(self, by: timedelta) -> None:
        self.time += by


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest:
    """A request as a participant received it."""

    participant: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(slots=True)
class ScriptedParticipants:
    """Participants that reply with the script of a step, then OK_REPLY.

    `undo <step>` is the compensation of a step.
    """

    sent: list[SentRequest] = field(default_factory=list)
    script: dict[str, deque[CallResult]] = field(default_factory=lambda: defaultdict(deque))
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    arrived: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    def will_reply(self, call: str, *answers: CallResult) -> None:
        self.script[call].extend(answers)

    def hold(self, call: str) -> None:
        """Hold the replies to a call until it is released."""
        self.gates[call] = asyncio.Event()

    def release(self, call: str) -> None:
        self.gates.pop(call).set()

    async def await_call(self, call: str) -> None:
        """Wait until a call has arrived for the first time."""
        async with asyncio.timeout(TIME_LIMIT.total_seconds()):
            await self.arrived[call].wait()

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.sent]

    async def send(self, call: CallParticipant, epoch: int, token: str | None) -> CallResult:
        headers = headers_of(call, epoch, token)
        self.sent.append(
            SentRequest(
                participant=call.participant,
                method=call.method,
                path=call.path,
                headers=headers,
                body=call.body,
            )
        )
        name = _name_of(call)
        self.arrived[name].set()
        if gate := self.gates.get(name):
            await gate.wait()
        return self.script[name].popleft() if self.script[name] else OK_REPLY


@dataclass(slots=True)
class ScriptedWebhooks:
    """Webhooks of which every delivery succeeds."""

    delivered: list[Saga] = field(default_factory=list)

    async def send(self, saga: Saga, attempt: int) -> bool:
        self.delivered.append(saga)
        return True


def _name_of(call: CallParticipant) -> str:
    return call.step if call.direction is Direction.ACTION else f"undo {call.step}"


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemoryService:
    clock: FakeClock
    log: InMemoryLog
    participants: ScriptedParticipants
    registry: DefinitionRegistry
    driver: Driver
    orchestrator: Orchestrator

    @property
    def events(self) -> list[RecordedEvent]:
        """The events of all sagas, saga by saga."""
        streams = self.log.store.streams
        return [
            event for stream in streams.values() for event in stream if event.type != "ShardOwned"
        ]

    async def start(
        self, saga_type: str, *, step_data: Json = ORDER_STEP_DATA, entity_id: Json = 1
    ) -> Saga:
        """Start a saga; return it as it was recorded, while it goes on."""
        request = StartSaga(entity_id=entity_id, input={"step_data": step_data})
        return (await self.orchestrator.start(saga_type, request)).saga

    async def start_held(self, step: str, saga_type: str = "order_processing") -> Saga:
        """Start a saga, and return once the call of `step` has arrived: its reply is held."""
        self.participants.hold(step)
        saga = await self.start(saga_type)
        await self.participants.await_call(step)
        return saga

    async def await_rest(self, saga_id: str) -> Saga:
        saga = await self.orchestrator.wait_until_rest(
            await self.orchestrator.saga(saga_id), TIME_LIMIT
        )
        assert saga.state.status.is_at_rest, saga.state.status
        return saga

    async def advance(self, by: timedelta) -> int:
        """Advance the clock, and return how many sagas this has woken."""
        self.clock.advance(by)
        return self.driver.timers.step()

    async def recover(self, unfinished: list[UnfinishedSaga] | None = None) -> int:
        """Recover all sagas of the store, as a service does when it starts.

        With `unfinished`, recover those, as found in a status view.
        """
        if unfinished is None:
            unfinished = [unfinished_saga(saga_id) for saga_id in self.sagas]

        async def unfinished_in(shard_ids: Sequence[int]) -> list[UnfinishedSaga]:
            return [saga for saga in unfinished if shard_of(saga.saga_id) in shard_ids]

        return await Recovery(self.log, self.driver, self.clock, unfinished_in).run(
            range(SHARD_COUNT)
        )

    async def unfinished(self) -> list[UnfinishedSaga]:
        """Return what a status view has of the sagas of the store."""
        sagas = [await self.orchestrator.saga_as_of(saga_id) for saga_id in self.sagas]
        return [
            UnfinishedSaga(saga.state.saga_id, is_idle(saga), next_wakeup(saga))
            for saga in sagas
            if not needs_no_recovery(saga)
        ]

    @property
    def sagas(self) -> list[StreamId]:
        streams = self.log.store.streams.items()
        return [stream_id for stream_id, events in streams if events[0].type != "ShardOwned"]


async def in_memory_service(
    *documents: str,
    store: MemoryStore | None = None,
    log: InMemoryLog | None = None,
    participants: ScriptedParticipants | None = None,
    limit: int = 100,
    clock: FakeClock | None = None,
    is_alone: bool = True,
    nesting_limit: int = NESTING_LIMIT,
    addressed: Collection[str] | None = None,
) -> InMemoryService:
    """Return a service with `order_processing` and the definitions of `documents`, which are YAML.

    It owns all shards unless `is_alone` is false, and has URLs of all participants or of those
    `addressed`.
    """
    clock, log = clock or FakeClock(), log or InMemoryLog(store)
    participants = participants or ScriptedParticipants()
    registry = DefinitionRegistry(log, clock)
    journal = SagaRepository(log, registry)
    executor = Executor(participants, TOKENS, clock, limit=limit, addressed=addressed)
    callbacks = CompletionWebhooks(ScriptedWebhooks(), clock)
    driver = Driver(
        journal,
        executor,
        callbacks,
        clock,
        lambda saga, recorded: None,
        nesting_limit=nesting_limit,
    )
    if is_alone:
        epochs = await log.claim(range(SHARD_COUNT), recorded_at=clock.now())
        driver.acquire_shards(epochs, ())
    for document in (ORDER_PROCESSING, *documents):
        await registry.register(definition_from_yaml(document))
    return InMemoryService(
        clock=clock,
        log=log,
        participants=participants,
        registry=registry,
        driver=driver,
        orchestrator=Orchestrator(log, registry, LocalSagas(journal, driver), clock),
    )


def unfinished_saga(saga_id: str) -> UnfinishedSaga:
    """Return a saga that is to be recovered at once."""
    return UnfinishedSaga(saga_id, is_idle=False, wake_at=None)


def definition_from_yaml(document: str) -> Definition:
    return parse_definition(parse_yaml(document))
