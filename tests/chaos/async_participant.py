"""parcel-service: it takes a parcel with 202, sends it a while later, and calls back then.

    taken ──> sent, or not ──> the saga is told, until a node says that it has heard
      └────────┴──recall──> recalled, which is never sent any more

What it takes and what it does is committed before anybody is told, so a kill loses nothing of it.
The order says how it goes: a callback may overtake the 202, come twice, or contradict itself.
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
  recalled integer not null default 0, sent_at text, told integer not null default 0, refusal text
);
create table if not exists answer (key text primary key, status integer not null);
"""
DUE: Final = "select * from parcel where not recalled and told < 2 and due <= ? limit 50"
POLL_SECONDS: Final = 0.1
DELAY_OF_OVERTAKEN_REPLY_SECONDS: Final = 0.5  # of a 202 whose callback comes first
REQUEST_TIMEOUT_SECONDS: Final = 8
REPEATED: Final = {"idempotency-replayed": "true"}


class ParcelService:
    def __init__(self, file: Path, nodes: Sequence[str]) -> None:
        self.nodes = nodes
        self._books = sqlite3.connect(file, isolation_level=None)
        self._books.row_factory = sqlite3.Row
        self._books.execute("pragma journal_mode = wal")
        self._books.executescript(SCHEMA)
        self._web = httpx.AsyncClient(timeout=REQUEST_TIMEOUT_SECONDS, trust_env=False)
        self._in_progress: set[str] = set()

    async def take(self, request: Request) -> Response:
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
            return JSONResponse({"detail": "it was recalled before it came"}, 409)
        if plan["overtakes"]:
            await asyncio.sleep(DELAY_OF_OVERTAKEN_REPLY_SECONDS)
        return Response(status_code=202, headers=None if new else REPEATED)

    async def recall(self, request: Request) -> Response:
        """Also of a parcel that has not come yet: then it will not be taken."""
        key, parcel = request.headers["idempotency-key"], (await request.json())["key"]
        self._books.execute("begin immediate")
        new = self._write("insert into answer values (?, 200) on conflict do nothing", key)
        self._write(
            "insert into parcel (key, recalled) values (?, 1)"
            " on conflict (key) do update set recalled = 1",
            parcel,
        )
        self._books.execute("commit")
        return JSONResponse({"status": "RECALLED"}, headers=None if new else REPEATED)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as work:
            while True:
                for parcel in self._books.execute(DUE, (_now(),)).fetchall():
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
        says = plan["arrives"]
        if parcel["told"] and plan["says_again"] == "the contrary":
            says = not says
        if (parcel["told"] and plan["says_again"] is None) or await self._call_back(parcel, says):
            self._write("update parcel set told = told + 1 where key = ?", key)
        self._in_progress.discard(key)

    async def _call_back(self, parcel: sqlite3.Row, done: bool) -> bool:
        """Whether a node has heard it, or does not want to."""
        verb = "complete" if done else "fail"
        path = f"/sagas/{parcel['saga_id']}/steps/{parcel['step']}/{verb}"
        headers = {"saga-callback-token": parcel["token"]}
        with suppress(httpx.TransportError):
            answer = await self._web.post(random.choice(self.nodes) + path, headers=headers)
            if 400 <= answer.status_code < 500 and answer.status_code != 429:
                refused = f"{path}: {answer.text}"
                self._write("update parcel set refusal = ? where key = ?", refused, parcel["key"])
                return True
            return answer.is_success
        return False

    def _parcel(self, key: str) -> sqlite3.Row:
        row: sqlite3.Row = self._books.execute(
            "select * from parcel where key = ?", (key,)
        ).fetchone()
        return row

    def _write(self, statement: str, *values: str | float) -> bool:
        """Whether anything was changed."""
        return self._books.execute(statement, values).rowcount > 0


def _now() -> float:
    return datetime.now(UTC).timestamp()


async def well(_: Request) -> Response:
    return JSONResponse({"status": "pass"})


def application(parcels: ParcelService) -> Starlette:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        work = asyncio.create_task(parcels.run())
        yield
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work

    return Starlette(
        routes=[
            Route("/health", well),
            Route("/parcels", parcels.take, methods=["POST"]),
            Route("/parcels/recall", parcels.recall, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--nodes", nargs="+", required=True, help="their base URLs")
    given = parser.parse_args()
    parcels = ParcelService(given.data / DATABASE_FILE, given.nodes)
    uvicorn.run(application(parcels), port=given.port, access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
