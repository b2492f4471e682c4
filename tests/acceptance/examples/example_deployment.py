"""The service and its participants as real processes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import httpx
from saga_orchestrator.tests.acceptance.examples.demo_participant import Behavior
from saga_orchestrator.tests.acceptance.examples.example_sagas import ExampleSaga
from saga_orchestrator.tests.acceptance.process import ServerProcess, http_client
from saga_orchestrator.tests.support.waiting import wait_until

Json = Mapping[str, Any]


@dataclass(slots=True)
class ExampleDeployment:
    service: ServerProcess
    web: httpx.Client
    demo: httpx.Client
    orders: httpx.Client
    payments: httpx.Client
    sagas: int = 0

    @classmethod
    def of(cls, stack: ExitStack, service: ServerProcess, *others: ServerProcess) -> Self:
        """`others` are the demo participant, order-service and payment-service."""
        web, demo, orders, payments = (
            stack.enter_context(http_client(each.url)) for each in (service, *others)
        )
        return cls(service, web, demo, orders, payments)

    @property
    def log(self) -> Path:
        return self.service.log

    def play(self, story: ExampleSaga) -> Json:
        """Run an example; return its status at rest."""
        return self.run(story.saga_type, story.input)

    def run(self, saga_type: str, given: Json) -> Json:
        answer = self.start(saga_type, given)
        return self.await_rest(answer["saga_id"])

    def start(self, saga_type: str, given: Json, *, wait: int = 30) -> Json:
        self.sagas += 1
        body = {"saga_type": saga_type, "entity_id": self.sagas, "input": given}
        return self.post_json("/sagas/start", body, wait=wait)

    def post_json(self, path: str, body: Json | None = None, *, wait: int = 30) -> Json:
        reply = self.web.post(path, json=body or {}, headers={"Prefer": f"wait={wait}"})
        assert reply.status_code in (200, 202), reply.text
        answer: Json = reply.json()
        return answer

    def status(self, saga_id: str) -> Json:
        status: Json = self.web.get(f"/sagas/{saga_id}/status").json()
        return status

    def await_rest(self, saga_id: str) -> Json:
        resting = ("completed", "compensated", "parked")
        wait_until(lambda: self.status(saga_id)["status"] in resting, f"{saga_id} rests")
        return self.status(saga_id)

    def await_step(self, saga_id: str, step: str) -> None:
        wait_until(
            lambda: self.status(saga_id)["current_step"] == step, f"{saga_id} waits in {step}"
        )

    def events(self, saga_id: str) -> list[Json]:
        events: list[Json] = self.web.get(f"/sagas/{saga_id}/events").json()["events"]
        return events

    def steps_of(self, saga_id: str, event_type: str) -> list[str]:
        return [
            event["data"]["step"] for event in self.events(saga_id) if event["type"] == event_type
        ]

    def set_behavior(
        self, step: str, does: Behavior, *, direction: str = "action", times: int | None = None
    ) -> None:
        """Let the calls of a step fail, every time or `times` times."""
        switch = {"step": step, "direction": direction, "does": does, "times": times}
        self.demo.put("/switches", json=switch).raise_for_status()

    def reset(self) -> None:
        """Let all calls succeed, and clear the ledger."""
        self.demo.delete("/switches").raise_for_status()
        self.payments.put("/decline", json={"declined": False}).raise_for_status()

    def effects(self) -> list[str]:
        """Return the effects at the demo participant, in order."""
        effects: list[str] = self.demo.get("/ledger").json()["effects"]
        return effects

    def calls(self, step: str, direction: str = "action") -> list[Json]:
        calls: list[Json] = self.demo.get("/ledger").json()["calls"]
        return [call for call in calls if (call["step"], call["direction"]) == (step, direction)]
