"""The real HTTP interface on an orchestrator that completes every saga at once.

python benchmarks/http_ingress_service.py PORT
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from saga_orchestrator.benchmarks.load import ORDER
from saga_orchestrator.fsm import definitions
from saga_orchestrator.fsm.call_outcome import CallOutcome, Outcome
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.fsm.formats.strict_yaml import parse_yaml
from saga_orchestrator.fsm.inputs import StartSaga
from saga_orchestrator.fsm.runtime.clock import SystemClock
from saga_orchestrator.fsm.runtime.concurrency import SharedTimeout
from saga_orchestrator.fsm.runtime.orchestrator import StartResult
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.testing import action_answer, given
from saga_orchestrator.http.app import build_app
from saga_orchestrator.http.participants.webhook_sender import WebhookPolicy
from saga_orchestrator.http.state import AppState
from saga_orchestrator.http.uvicorn_server import build_server
from saga_orchestrator.server import tune_garbage_collector
from starlette.applications import Starlette

STEPS = ("create_order", "process_payment", "confirm_order")
OUTPUT: Json = {"order_id": 7, "payment_id": 8, "status": "DONE"}
DEFINITION = Path(definitions.__file__).parent / "builtin" / "order_processing.yaml"


class ImmediateOrchestrator:
    """An orchestrator whose sagas complete one iteration of the event loop after their start."""

    def __init__(self, sagas: Sequence[Saga]) -> None:
        self.started, *_, self.completed = sagas
        self.clock = SystemClock()

    async def start(self, saga_type: str, request: StartSaga, **_: object) -> StartResult:
        return StartResult(self.started, replayed=False)

    async def wait_until_rest(self, saga: Saga, within: timedelta) -> Saga:
        loop = asyncio.get_running_loop()
        reached: asyncio.Future[Saga] = loop.create_future()
        loop.call_soon(reached.set_result, self.completed)
        return await reached


def sagas() -> list[Saga]:
    """Return the states of an order from its start to its end."""
    definition = parse_definition(parse_yaml(DEFINITION.read_text()))
    case = given(definition, input={"step_data": cast(Json, ORDER["step_data"])})
    versions = [case.saga]
    for step in STEPS:
        case = case.when(action_answer(step, CallOutcome(kind=Outcome.DONE, output=OUTPUT)))
        versions.append(case.saga)
    return versions


def state() -> AppState:
    """Return the state of the application, without what a start does not need."""
    nothing = cast(Any, None)
    return AppState(
        orchestrator=cast(Any, ImmediateOrchestrator(sagas())),
        listing=nothing,
        health=nothing,
        webhook_policy=WebhookPolicy([], loopback=False),
        audit=nothing,
        tokens=nothing,
        bulk=nothing,
        feed=nothing,
        statistics=nothing,
        executor=nothing,
        event_counts=nothing,
        participants={},
        worker_thread=nothing,
        body_timeout=SharedTimeout(timedelta(seconds=30)),
        redaction=nothing,
        allowed_hosts=(),
        allowed_origins=(),
    )


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[AppState]:
    yield state()


def main() -> None:
    tune_garbage_collector()
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    build_server(build_app(lifespan, version="0")).run(sockets=[listener])


if __name__ == "__main__":
    main()
