from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from saga_orchestrator.fsm.call_outcome import CallResult
from saga_orchestrator.http.participants.client import ParticipantsClient
from saga_orchestrator.http.participants.pool import ConnectTimeouts, TransportLimits
from saga_orchestrator.tests.integration.participants.peer import (
    PATIENCE,
    Answering,
    Ask,
    Conversation,
    Network,
    Script,
)

SELF_SIGNED = Path(__file__).parent / "self_signed.pem"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    network = Network()
    yield network
    await network.end()


@pytest.fixture
def answering() -> Answering:

    def script_for(reply: bytes) -> Script:
        async def script(conversation: Conversation) -> None:
            while True:
                await conversation.request()
                conversation.say(reply)

        return script

    return script_for


@pytest.fixture
def ask() -> Ask:

    async def call(
        client: ParticipantsClient,
        *,
        method: str = "POST",
        path: str = "/orders",
        within: timedelta = PATIENCE,
        body: bytes | None = b"{}",
    ) -> CallResult:
        return await client.request("shop", method, path, {"Saga-Id": "s1"}, body, within)

    return call


@pytest.fixture
def in_a_hurry() -> TransportLimits:
    """Waits for nothing long, and has a single connection."""
    short = timedelta(milliseconds=100)
    return TransportLimits(
        connections_per_origin=1, connect_timeouts=ConnectTimeouts(connect=short, slot=short)
    )


@pytest.fixture
def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SELF_SIGNED)
    return context


@pytest.fixture
def trusting_tls() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(SELF_SIGNED))
