from __future__ import annotations

from saga_orchestrator.http.uvicorn_server import build_server
from starlette.types import Receive, Scope, Send


def test_idle_connection_is_closed_by_its_client_first() -> None:
    longest_that_clients_keep_one_idle = 60  # seconds

    assert build_server(nobody).config.timeout_keep_alive > longest_that_clients_keep_one_idle


async def nobody(scope: Scope, receive: Receive, send: Send) -> None:
    """It is never asked."""
