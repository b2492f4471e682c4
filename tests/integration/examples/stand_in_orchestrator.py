"""The demo's third process in its tests: plays order_processing, and forgets it when it ends.

It keeps to the HTTP contract as far as the demo can see, and takes no care of anything else.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ORDERS, PAYMENTS = os.environ["ORDER_SERVICE_URL"], os.environ["PAYMENT_SERVICE_URL"]
PAGE = 4  # events; less than a saga has

Json = Mapping[str, Any]


class Saga:
    def __init__(self, saga_id: str, web: httpx.AsyncClient) -> None:
        self.saga_id, self.web = saga_id, web
        self.events: list[Json] = []
        self.status = "running"
        self.error: str | None = None

    def record(self, kind: str, **data: object) -> None:
        self.events.append(
            {
                "version": len(self.events) + 1,
                "seq": len(self.events) + 1,
                "epoch": 1,
                "type": kind,
                "recorded_at": datetime.now(UTC).isoformat(),
                "data": data,
            }
        )

    async def call(self, step: str, direction: str, url: str, body: Json | None) -> httpx.Response:
        compensates = direction == "compensation"
        self.record("CompensationCalled" if compensates else "StepCalled", step=step, attempt=1)
        headers = {
            "Idempotency-Key": f'"{self.saga_id}/{step}/{direction}"',
            "Saga-Id": self.saga_id,
            "Saga-Step": step,
            "Saga-Attempt": "1",
        }
        reply = await self.web.post(url, json=body, headers=headers)
        if reply.is_success:
            self.record("CompensationSucceeded" if compensates else "StepSucceeded", step=step)
        return reply

    async def run(self, step_data: Sequence[Json]) -> None:
        self.record("SagaStarted")
        reply = await self.call("create_order", "action", f"{ORDERS}/orders", step_data[0])
        order = reply.json()["order_id"]
        body = {**step_data[1], "order_id": order}
        paid = await self.call("process_payment", "action", f"{PAYMENTS}/payments", body)
        if paid.is_success:
            confirm = f"{ORDERS}/orders/{order}/confirm"
            await self.call("confirm_order", "action", confirm, {"order_id": order})
            self.status = "completed"
        else:
            self.error = f"process_payment was rejected: 402 {paid.json()['detail']}"
            self.record("StepRejected", step="process_payment", attempt=1, error=self.error)
            undo = f"{ORDERS}/orders/{order}/compensate"
            await self.call("create_order", "compensation", undo, None)
            self.status = "compensated"
        self.record("SagaCompleted" if self.status == "completed" else "SagaCompensated")

    def view(self) -> Json:
        return {
            "saga_id": self.saga_id,
            "saga_type": "order_processing",
            "status": self.status,
            "success": self.status == "completed",
            "error": self.error,
        }


SAGAS: dict[str, Saga] = {}


async def health(_: Request) -> Response:
    return JSONResponse({"status": "pass"})


async def start(request: Request) -> Response:
    async with httpx.AsyncClient(trust_env=False) as web:
        saga = Saga(f"{os.getpid()}-{len(SAGAS)}", web)
        SAGAS[saga.saga_id] = saga
        await saga.run((await request.json())["step_data"])
    if "--breaks" in sys.argv:
        print("out of luck", flush=True)
        os._exit(3)
    return JSONResponse(saga.view())


async def status(request: Request) -> Response:
    return JSONResponse(SAGAS[request.path_params["saga_id"]].view())


async def events(request: Request) -> Response:
    saga = SAGAS[request.path_params["saga_id"]]
    after = int(request.query_params.get("after", 0))
    page = saga.events[after : after + PAGE]
    more = after + PAGE < len(saga.events)
    link = f'</sagas/{saga.saga_id}/events?after={after + PAGE}>; rel="next"'
    return JSONResponse({"events": page}, headers={"link": link} if more else {})


APP = Starlette(
    routes=[
        Route("/health", health),
        Route("/sagas/start", start, methods=["POST"]),
        Route("/sagas/{saga_id}/status", status),
        Route("/sagas/{saga_id}/events", events),
    ]
)

if __name__ == "__main__":
    if "--stillborn" in sys.argv:
        sys.exit("no disk, no luck")
    uvicorn.run(APP, port=int(os.environ["SERVICE_PORT"]), log_level="warning")
