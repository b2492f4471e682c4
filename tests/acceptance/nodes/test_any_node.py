"""Any node accepts any request, with the same result as at the owner of the saga."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from saga_orchestrator.examples.scenarios import order_request
from saga_orchestrator.tests.acceptance.deployment import PAY, PREFER_ASYNC, PREFER_WAIT, Outcome
from saga_orchestrator.tests.acceptance.nodes.deferring_participant import (
    ERRAND,
    YAML,
    DeferringParticipant,
)
from saga_orchestrator.tests.acceptance.nodes.errand_sagas import (
    await_waiting,
    etag_of,
    start_errand,
    status_of,
)
from saga_orchestrator.tests.acceptance.nodes.node_group import NodeGroup
from saga_orchestrator.tests.acceptance.recording_proxy import HoldPoint

pytestmark = pytest.mark.slow

RESOLUTION = {"outcome": "undone", "evidence": "ticket 7"}


@dataclass(slots=True)
class Operator:
    """Sends commands through one node, and reads their consequences at the owner of the saga."""

    web: httpx.Client
    own_node: httpx.Client
    saga_id: str
    responses: list[tuple[str, int, str]] = field(default_factory=list)

    def send(self, command: str, body: Mapping[str, Any] | None = None, **headers: str) -> None:
        """Send a command; record the status of the saga, or the code of the refusal."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/sagas/{self.saga_id}/{command}"
        response = self.web.post(path, json=body or {}, headers=named)
        view = response.json()
        word = view["status"] if response.is_success else view["code"]
        word = "paused" if view.get("paused") else word
        self.responses.append((command, response.status_code, word))
        if response.is_success:
            assert status_of(self.own_node, self.saga_id)["version"] >= view["version"]


def drive_errand(operator: Operator, deferring: DeferringParticipant) -> None:
    """Send every command and callback to an errand until it is compensated."""
    web, saga_id = operator.web, operator.saga_id
    operator.send("pause", If_Match='"1"')
    operator.send("pause", If_Match=etag_of(web, saga_id))
    operator.send("resume")
    operator.send("resume")
    operator.send("steps/note/skip")
    operator.send("steps/nothing/skip")
    operator.send("signals/approval", {"by": "anna"}, Idempotency_Key="yes")
    await_waiting(web, saga_id, "deliver")
    operator.send("signals/approval", {"by": "anna"}, Idempotency_Key="yes")
    operator.send("steps/deliver/complete", Saga_Callback_Token="not the one")
    operator.send(
        "steps/deliver/complete", Saga_Callback_Token=deferring.complete_accepted(saga_id)
    )
    operator.send("steps/deliver/fail", Saga_Callback_Token=deferring.tokens[saga_id])
    operator.send("cancel")
    operator.send("compensate", Prefer=PREFER_WAIT)
    operator.send("retry", Prefer=PREFER_WAIT)
    operator.send("steps/book/resolve", {"outcome": "undone"})
    operator.send("steps/book/resolve", RESOLUTION, Prefer=PREFER_WAIT)
    operator.send("compensate")
    operator.send("abandon", {"reason": "too late"})


RESPONSES = [
    ("pause", 412, "version-mismatch"),
    ("pause", 200, "paused"),
    ("resume", 200, "running"),
    ("resume", 409, "not-allowed"),
    ("steps/note/skip", 200, "running"),
    ("steps/nothing/skip", 404, "unknown-step"),
    ("signals/approval", 200, "running"),
    ("signals/approval", 200, "running"),
    ("steps/deliver/complete", 403, "wrong-callback-token"),
    ("steps/deliver/complete", 200, "completed"),
    ("steps/deliver/fail", 200, "completed"),
    ("cancel", 409, "not-allowed"),
    ("compensate", 200, "parked"),
    ("retry", 200, "parked"),
    ("steps/book/resolve", 422, "invalid-request"),
    ("steps/book/resolve", 200, "compensated"),
    ("compensate", 200, "compensated"),
    ("abandon", 409, "not-allowed"),
]


def test_every_command_and_callback_gets_the_same_response_from_any_node(
    pair: NodeGroup, deferring: DeferringParticipant
) -> None:
    with pair.clients() as (own, other):
        through_its_own = Operator(own, own, start_errand(own))
        drive_errand(through_its_own, deferring)
        through_another = Operator(other, own, start_errand(own))
        drive_errand(through_another, deferring)
    own_events, forwarded_events = (
        pair.deployment.database.event_types(each.saga_id)
        for each in (through_its_own, through_another)
    )

    assert through_its_own.responses == RESPONSES
    assert through_another.responses == RESPONSES
    assert "ForwardedInputApplied" in forwarded_events
    assert [kind for kind in forwarded_events if kind != "ForwardedInputApplied"] == own_events
    assert pair.deployment.run_doctor().violations == []


def test_client_waiting_at_another_node_gets_the_result(
    pair: NodeGroup, undisturbed: Outcome
) -> None:
    deployment, entity_id = pair.deployment, pair.deployment.new_order()
    waiting, last_version = {"Prefer": PREFER_WAIT}, undisturbed.events
    with pair.client_of_other() as other_api, ThreadPoolExecutor(2) as clients:
        with deployment.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
            saga_id = deployment.saga_id(entity_id)
            hold.await_call()
            path = f"/sagas/{saga_id}/status?min_version={last_version}"
            read = clients.submit(other_api.get, path, headers=waiting)
            started = clients.submit(deployment.start, entity_id, PREFER_WAIT, other_api)
            early = other_api.get(path, headers={"Prefer": "wait=0"})
            hold.release()
        views = [response.result().json() for response in (read, started)]
        compensated = other_api.post(f"/sagas/{saga_id}/compensate", headers=waiting)

    assert (early.status_code, early.json()["code"]) == (409, "version-not-reached")
    assert [view["status"] for view in views] == ["completed", "completed"]
    assert views[0]["version"] == last_version
    assert started.result().headers["Idempotency-Replayed"] == "true"
    assert (compensated.status_code, compensated.json()["status"]) == (200, "compensated")
    assert status_of(deployment.api, saga_id) == compensated.json()


def test_idempotency_key_stands_for_one_request_at_all_nodes(pair: NodeGroup) -> None:
    deployment, entity_id = pair.deployment, pair.deployment.new_order()
    first = deployment.start(entity_id)
    with pair.client_of_other() as other_api:
        again = deployment.start(entity_id, web=other_api)
        headers = {"Idempotency-Key": f"order-{entity_id}"}
        another = other_api.post(
            "/sagas/start", json=order_request(deployment.new_order()), headers=headers
        )

    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (another.status_code, another.json()["code"]) == (422, "idempotency-key-reused")
    assert deployment.database.sagas_of(entity_id) == [first.json()["saga_id"]]


@pytest.mark.usefixtures("deferring")
def test_definition_registered_at_one_node_starts_at_another_at_once(pair: NodeGroup) -> None:
    def put(web: httpx.Client, version: int, participant: str = "order-service") -> int:
        text = ERRAND.replace("errand", "trip").replace("version: 1", f"version: {version}")
        content = text.replace("order-service", participant)
        return web.put(f"/definitions/trip/{version}", content=content, headers=YAML).status_code

    def started(web: httpx.Client) -> int:
        body = {"saga_type": "trip", "entity_id": 1}
        saga_id = web.post("/sagas/start", json=body, headers={"Prefer": PREFER_ASYNC}).json()[
            "saga_id"
        ]
        version: int = status_of(web, saga_id)["definition_version"]
        return version

    with pair.clients() as apis:
        for version, (first, other) in enumerate([apis, reversed(apis), apis], 1):
            assert put(first, version) == 201
            assert (started(other), started(first)) == (version, version)
            assert put(other, version) == 200
            assert put(other, version, "payment-service") == 409
