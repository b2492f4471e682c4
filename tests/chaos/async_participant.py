"""parcel-service: it accepts a parcel with 202, sends it later, and calls back.

    accepted ──> sent, or not ──> callback, repeated until a node acknowledges it
       └───────────┴──recall──> recalled, never to be sent

Everything is committed before it is reported, so a kill loses nothing. The order determines what
happens: a callback may overtake the 202, come twice, or contradict the first one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

DATABASE_FILE: Final = "parcel-service.sqlite3"
SCHEMA: Final = """
create table if not exists parcel (
  key text primary key, saga_id text, step text, token text, plan text, due real,
  recalled integer not null default 0, sent_at text, callbacks integer not null default 0,
  refusal text
);
create table if not exists answer (key text primary key, status integer not null);
"""
DUE: Final = "select * from parcel where not recalled and callbacks < 2 and due <= ? limit 50"
POLL_SECONDS: Final = 0.1
DELAY_OF_OVERTAKEN_REPLY_SECONDS: Final = 0.5  # of a 202 whose callback comes first
REQUEST_TIMEOUT_SECONDS: Final = 8
REPEATED: Final = {"idempotency-replayed": "true"}


class ParcelService:
    """`nodes` are the base URLs for callbacks."""

    def __init__(self, file: Path, nodes: Sequence[str]) -> None:
        self.nodes = nodes
        self._database = sqlite3.connect(file, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.execute("pragma journal_mode = wal")
        self._database.executescript(SCHEMA)
        self._http = httpx.AsyncClient(timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False)
        self._in_progress: set[str] = set()

    async def accept(self, request: Request) -> Response:
        headers, plan = request.headers, await request.json()
        key = headers["idempotency-key"]
        due = 0.0 if plan["overtakes"] else _now() + plan["takes"]
        new = self._write(
            "insert into parcel (key, saga_id, step, token, plan, due) values (?, ?, ?, ?, ?, ?)"
            " on conflict do nothing",
            *(key, headers["saga-id"], headers["saga-step"], headers["saga-callback-token"]),
            *(json.dumps(plan), due),
        )
        if self._parcel(key)["recalled"]:
            return JSONResponse({"detail": "it was recalled before"}, 409)
        if plan["overtakes"]:
            await asyncio.sleep(DELAY_OF_OVERTAKEN_REPLY_SECONDS)
        return Response(status_code=202, headers=None if new else REPEATED)

    async def recall(self, request: Request) -> Response:
        """Recall a parcel; one that has not arrived yet will be refused."""
        key, parcel = request.headers["idempotency-key"], (await request.json())["key"]
        self._database.execute("begin immediate")
        new = self._write("insert into answer values (?, 200) on conflict do nothing", key)
        self._write(
            "insert into parcel (key, recalled) values (?, 1)"
            " on conflict (key) do update set recalled = 1",
            parcel,
        )
        self._database.execute("commit")
        return JSONResponse({"status": "RECALLED"}, headers=None if new else REPEATED)

    async def run(self) -> None:
        """Process parcels that are due, until cancelled."""
        async with asyncio.TaskGroup() as work:
            while True:
                for parcel in self._database.execute(DUE, (_now(),)).fetchall():
                    if parcel["key"] not in self._in_progress:
                        self._in_progress.add(parcel["key"])
                        work.create_task(self._process(parcel))
                await asyncio.sleep(POLL_SECONDS)

    async def _process(self, parcel: sqlite3.Row) -> None:
        plan, key = json.loads(parcel["plan"]), parcel["key"]
        if plan["arrives"]:
            self._write(
                "update parcel set sent_at = coalesce(sent_at, ?) where key = ? and not recalled",
                datetime.now(UTC).isoformat(),
                key,
            )
        done, second = plan["arrives"], plan["second_callback"]
        if parcel["callbacks"] and second == "opposite":
            done = not done
        if (parcel["callbacks"] and second is None) or await self._call_back(parcel, done):
            self._write("update parcel set callbacks = callbacks + 1 where key = ?", key)
        self._in_progress.discard(key)

    async def _call_back(self, parcel: sqlite3.Row, done: bool) -> bool:
        """Call back; return True if a node has acknowledged it or refused it for good."""
        verb = "complete" if done else "fail"
        path = f"/sagas/{parcel['saga_id']}/steps/{parcel['step']}/{verb}"
        headers = {"saga-callback-token": parcel["token"]}
        with suppress(httpx.TransportError):
            response = await self._http.post(random.choice(self.nodes) + path, headers=headers)
            if 400 <= response.status_code < 500 and response.status_code != 429:
                refusal = f"{path}: {response.text}"
                self._write("update parcel set refusal = ? where key = ?", refusal, parcel["key"])
                return True
            return response.is_success
        return False

    def _parcel(self, key: str) -> sqlite3.Row:
        row: sqlite3.Row = self._database.execute(
            "select * from parcel where key = ?", (key,)
        ).fetchone()
        return row

    def _write(self, statement: str, *values: str | float) -> bool:
        """Execute a statement; return True if it changed anything."""
        return self._database.execute(statement, values).rowcount > 0


def _now() -> float:
    return datetime.now(UTC).timestamp()


async def health(_: Request) -> Response:
    return JSONResponse({"status": "pass"})


def application(service: ParcelService) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        work = asyncio.create_task(service.run())
        yield
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    return Starlette(
        routes=[
            Route("/health", health),
            Route("/parcels", service.accept, methods=["POST"]),
            Route("/parcels/recall", service.recall, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--nodes", nargs="+", required=True, help="their base URLs")
    options = parser.parse_args()
    service = ParcelService(options.data / DATABASE_FILE, options.nodes)
    uvicorn.run(application(service), port=options.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
