"""The base of both participants: endpoints on a ledger, and the program that serves them."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from . import barrier
from .call import Answer, BodyTooLarge, Call, JsonObject, read_call
from .ledger import Ledger, Transaction

STOP_TIMEOUT = timedelta(seconds=5)  # for requests in flight

Endpoint = Callable[[Request], Awaitable[Response]]
Rule = Callable[[Transaction, Call, barrier.Perform], Answer]
Reading = Callable[[Transaction, Request], JsonObject | None]


def application(name: str, ledger: Ledger, routes: Sequence[Route]) -> Starlette:
    """Return an app with `routes`, /health and /calls, which closes the ledger at its end."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        ledger.close()

    def health(book: Transaction, _: Request) -> JsonObject:
        book.row("count_calls")
        return {"status": "pass", "service": name}

    def calls(book: Transaction, _: Request) -> JsonObject:
        return {"calls": barrier.recent_calls(book)}

    common = [
        Route("/health", read_endpoint(ledger, health)),
        Route("/calls", read_endpoint(ledger, calls)),
    ]
    return Starlette(
        routes=[*common, *routes],
        lifespan=lifespan,
        exception_handlers={BodyTooLarge: body_too_large},
    )


def action_route(ledger: Ledger, path: str, perform: barrier.Perform) -> Route:
    return Route(path, call_endpoint(ledger, barrier.perform_action, perform), methods=["POST"])


def compensation_route(ledger: Ledger, path: str, perform: barrier.Perform) -> Route:
    return Route(
        path, call_endpoint(ledger, barrier.perform_compensation, perform), methods=["POST"]
    )


def setting_route(ledger: Ledger, path: str, perform: barrier.Perform) -> Route:
    """Return a route for a PUT, which is idempotent by itself and so passes no barrier."""
    return Route(path, call_endpoint(ledger, barrier.perform_validated, perform), methods=["PUT"])


def call_endpoint(ledger: Ledger, rule: Rule, perform: barrier.Perform) -> Endpoint:
    def in_one_transaction(call: Call) -> Answer:
        with ledger.transaction() as book:
            return rule(book, call, perform)

    async def endpoint(request: Request) -> Response:
        answer = await run_in_threadpool(in_one_transaction, await read_call(request))
        headers = {"idempotency-replayed": "true"} if answer.replayed else None
        return JSONResponse(answer.body, answer.status, headers)

    return endpoint


def read_endpoint(ledger: Ledger, read: Reading) -> Endpoint:
    """Return the endpoint of a GET; `read` returns None if there is no such thing."""

    def in_one_transaction(request: Request) -> JsonObject | None:
        with ledger.transaction() as book:
            return read(book, request)

    async def endpoint(request: Request) -> Response:
        body = await run_in_threadpool(in_one_transaction, request)
        return not_found() if body is None else JSONResponse(body)

    return endpoint


def not_found() -> Response:
    return JSONResponse({"detail": "not found"}, HTTPStatus.NOT_FOUND)


async def body_too_large(_: Request, __: Exception) -> Response:
    return JSONResponse({"detail": "the body is too large"}, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def argument_parser(name: str, port: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description=f"The participant {name}.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=port, help="0 takes a free port")
    parser.add_argument("--data", type=Path, default=Path(".state"), help="folder of its state")
    return parser


def serve(name: str, build: Callable[[], Starlette], *, host: str, port: int) -> int:
    """Serve until SIGTERM or SIGINT; 1 if the port is taken."""
    try:
        listener = socket.create_server((host, port))
    except OSError as error:
        print(f"{name}: cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)
        return 1
    with listener:
        print(f"{name} listens on http://{host}:{listener.getsockname()[1]}", flush=True)
        with suppress(KeyboardInterrupt):
            uvicorn_server(build).run(sockets=[listener])
    return 0


def uvicorn_server(build: Callable[[], Starlette]) -> uvicorn.Server:
    stop_within = int(STOP_TIMEOUT.total_seconds())
    return uvicorn.Server(
        uvicorn.Config(
            build(), log_level="warning", access_log=False, timeout_graceful_shutdown=stop_within
        )
    )
