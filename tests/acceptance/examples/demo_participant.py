"""A demo participant that plays any role.

It serves `/<role>/...` and honours the key of a call: an action takes effect once, a repeated key
gets the same reply, and a compensation that overtakes its action prevents it. The key names the
step, so the meaning of an action does not matter. All roles share one ledger, which has the order
of effects across them.

    GET /ledger          the effects in order, and all calls
    PUT /switches        set how the calls of a step fail from now on, and how many of them
    DELETE /switches     reset: no failures, no effects
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

UNLIMITED = 1_000_000
SETTLES_LATER = "clearing-service"  # replies 202, and acts when it is queried
TRUNCATED_RESPONSE = Response(b"{", headers={"content-length": "1000"})


class Behavior(StrEnum):
    REJECT = "reject"
    LOSE_REPLY = "lose_reply"
    BREAK_DOWN = "break_down"
    SAY_FAILURE = "say_failure"  # as participants of DTM do
    SAY_ONGOING = "say_ongoing"


@dataclass(frozen=True, slots=True)
class ReceivedCall:
    """A call. `direction` is action, compensation or status."""

    role: str
    step: str
    direction: str
    attempt: int
    authorization: str | None


@dataclass(slots=True)
class Switch:
    behavior: Behavior
    left: int


class DemoParticipant:
    def __init__(self) -> None:
        self.effects: list[str] = []
        self.calls: list[ReceivedCall] = []
        self.answers: dict[str, Mapping[str, Any]] = {}
        self.undone: set[str] = set()
        self.switches: dict[tuple[str, str], Switch] = {}

    async def call(self, request: Request) -> Response:
        seen = received_call(request)
        self.calls.append(seen)
        given, wrong = await request.body(), self.wrong(seen)
        if wrong is not None and (refusal := refused(wrong, seen)):
            return refusal
        reply = self.answer(seen, request.headers["idempotency-key"], given)
        return TRUNCATED_RESPONSE if wrong is Behavior.LOSE_REPLY else reply

    def wrong(self, seen: ReceivedCall) -> Behavior | None:
        """Return how this call fails, if it does."""
        switch = self.switches.get((seen.step, seen.direction))
        if switch is None or switch.left == 0:
            return None
        switch.left -= 1
        return switch.behavior

    def answer(self, seen: ReceivedCall, key: str, given: bytes) -> Response:
        match seen.direction:
            case "compensation":
                return self.undo(json.loads(given)["key"], key, seen.step)
            case "status":
                return self.status(key, seen)
            case _ if key in self.undone:
                return JSONResponse({"error": "it was compensated before"}, 409)
            case _ if seen.role == SETTLES_LATER:
                return Response(status_code=202)
            case _:
                repeated = {"called_as": seen.authorization}
                return JSONResponse({**self.act(key, seen.step), **repeated})

    def act(self, key: str, step: str) -> Mapping[str, Any]:
        if key not in self.answers:
            self.effects.append(step)
            number = len(self.answers) + 1
            self.answers[key] = {"id": number, "reference": f"{step}-{number}"}
        return self.answers[key]

    def undo(self, action: str, key: str, step: str) -> Response:
        if action != f"{key.removesuffix('/compensation')}/action":
            return JSONResponse({"error": f"{action} is not what is undone"}, 422)
        if action in self.answers and action not in self.undone:
            self.effects.append(f"undo {step}")
        self.undone.add(action)
        return JSONResponse({})

    def status(self, key: str, seen: ReceivedCall) -> Response:
        if key in self.answers or seen.role == SETTLES_LATER:
            return JSONResponse({"status": "done", "output": self.act(key, seen.step)})
        return JSONResponse({"status": "not_done"})

    async def ledger(self, _: Request) -> Response:
        return JSONResponse(
            {"effects": self.effects, "calls": [asdict(call) for call in self.calls]}
        )

    async def switch(self, request: Request) -> Response:
        asked = await request.json()
        switch = Switch(Behavior(asked["does"]), asked["times"] or UNLIMITED)
        self.switches[asked["step"], asked["direction"]] = switch
        return Response(status_code=204)

    async def forget(self, _: Request) -> Response:
        for state in (self.effects, self.calls, self.answers, self.undone, self.switches):
            state.clear()
        return Response(status_code=204)


def refused(wrong: Behavior, seen: ReceivedCall) -> Response | None:
    """Return the reply of a call that has no effect, or None if it has one."""
    match wrong:
        case Behavior.REJECT if seen.direction == "status":
            return JSONResponse({"status": "not_done"})
        case Behavior.REJECT:
            return JSONResponse({"error": f"{seen.step} is not possible"}, 409)
        case Behavior.SAY_FAILURE:
            return JSONResponse({"dtm_result": "FAILURE"})
        case Behavior.SAY_ONGOING if seen.direction == "status":
            return JSONResponse({"status": "in_progress"})
        case Behavior.SAY_ONGOING:
            return JSONResponse({"dtm_result": "ONGOING"}, 425)
        case Behavior.BREAK_DOWN:
            return JSONResponse({"error": "out of order"}, 500)
        case Behavior.LOSE_REPLY:
            return None


def received_call(request: Request) -> ReceivedCall:
    """Read a call; a status query has the key of its action."""
    _, step, direction = request.headers["idempotency-key"].rsplit("/", 2)
    return ReceivedCall(
        role=request.path_params["role"],
        step=step,
        direction="status" if request.method == "GET" else direction,
        attempt=int(request.headers["saga-attempt"]),
        authorization=request.headers.get("authorization"),
    )


async def well(_: Request) -> Response:
    return JSONResponse({"status": "pass"})


def application() -> Starlette:
    demo = DemoParticipant()
    return Starlette(
        routes=[
            Route("/health", well),
            Route("/ledger", demo.ledger),
            Route("/switches", demo.switch, methods=["PUT"]),
            Route("/switches", demo.forget, methods=["DELETE"]),
            Route("/{role}/{path:path}", demo.call, methods=["GET", "POST"]),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    uvicorn.run(application(), port=port, access_log=False, log_level="critical")


if __name__ == "__main__":
    main()
