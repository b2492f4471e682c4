"""Any node takes any request: all is as through the node that drives the saga."""

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

UNDONE = {"outcome": "undone", "evidence": "ticket 7"}


@dataclass(slots=True)
class Person:
    """Asks for things through one node, and looks at their consequences through the saga's own."""

    web: httpx.Client
    own_node: httpx.Client
    saga_id: str
    told: list[tuple[str, int, str]] = field(default_factory=list)

    def ask(self, verb: str, body: Mapping[str, Any] | None = None, **headers: str) -> None:
        """Writes the answer down: how the saga is now, or why it is refused."""
        named = {name.replace("_", "-"): one for name, one in headers.items()}
        path = f"/sagas/{self.saga_id}/{verb}"
        answer = self.web.post(path, json=body or {}, headers=named)
        said = answer.json()
        word = said["status"] if answer.is_success else said["code"]
        self.told.append((verb, answer.status_code, "paused" if said.get("paused") else word))
        if answer.is_success:
            assert status_of(self.own_node, self.saga_id)["version"] >= said["version"]


def an_errand(person: Person, desk: DeferringParticipant) -> None:
    """From its beginning to its bitter end."""
    web, saga_id = person.web, person.saga_id
    person.ask("pause", If_Match='"1"')
    person.ask("pause", If_Match=etag_of(web, saga_id))
    person.ask("resume")
    person.ask("resume")
    person.ask("steps/note/skip")
    person.ask("steps/nothing/skip")
    person.ask("signals/approval", {"by": "anna"}, Idempotency_Key="yes")
    await_waiting(web, saga_id, "deliver")
    person.ask("signals/approval", {"by": "anna"}, Idempotency_Key="yes")
    person.ask("steps/deliver/complete", Saga_Callback_Token="not the one")
    person.ask("steps/deliver/complete", Saga_Callback_Token=desk.complete_accepted(saga_id))
    person.ask("steps/deliver/fail", Saga_Callback_Token=desk.tokens[saga_id])
    person.ask("cancel")
    person.ask("compensate", Prefer=PREFER_WAIT)
    person.ask("retry", Prefer=PREFER_WAIT)
    person.ask("steps/book/resolve", {"outcome": "undone"})
    person.ask("steps/book/resolve", UNDONE, Prefer=PREFER_WAIT)
    person.ask("compensate")
    person.ask("abandon", {"reason": "too late"})


TOLD = [
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


def test_every_verb_and_callback_is_answered_through_another_node_as_through_its_own(
    pair: NodeGroup, desk: DeferringParticipant
) -> None:
    with pair.clients() as (own, other):
        through_its_own = Person(own, own, start_errand(own))
        an_errand(through_its_own, desk)
        through_another = Person(other, own, start_errand(own))
        an_errand(through_another, desk)
    here, there = (
        pair.deployment.database.event_types(one.saga_id)
        for one in (through_its_own, through_another)
    )

    assert through_its_own.told == TOLD
    assert through_another.told == TOLD
    assert "ForwardedInputApplied" in there
    assert [one for one in there if one != "ForwardedInputApplied"] == here
    assert pair.deployment.run_doctor().violations == []


def test_who_waits_at_another_node_hears_what_comes(pair: NodeGroup, undisturbed: Outcome) -> None:
    house, entity_id = pair.deployment, pair.deployment.new_order()
    patient, last = {"Prefer": PREFER_WAIT}, undisturbed.events
    with pair.client_of_other() as beside, ThreadPoolExecutor(2) as clients:
        with house.proxy.hold(PAY, HoldPoint.EFFECT) as hold:
            saga_id = house.saga_id(entity_id)
            hold.await_call()
            path = f"/sagas/{saga_id}/status?min_version={last}"
            looked = clients.submit(beside.get, path, headers=patient)
            started = clients.submit(house.start, entity_id, PREFER_WAIT, beside)
            early = beside.get(path, headers={"Prefer": "wait=0"})
            hold.release()
        told = [one.result().json() for one in (looked, started)]
        undone = beside.post(f"/sagas/{saga_id}/compensate", headers=patient)

    assert (early.status_code, early.json()["code"]) == (409, "version-not-reached")
    assert [one["status"] for one in told] == ["completed", "completed"]
    assert told[0]["version"] == last
    assert started.result().headers["Idempotency-Replayed"] == "true"
    assert (undone.status_code, undone.json()["status"]) == (200, "compensated")
    assert status_of(house.api, saga_id) == undone.json()


def test_a_key_stands_for_one_request_at_all_nodes(pair: NodeGroup) -> None:
    house, entity_id = pair.deployment, pair.deployment.new_order()
    first = house.start(entity_id)
    with pair.client_of_other() as beside:
        again = house.start(entity_id, web=beside)
        headers = {"Idempotency-Key": f"order-{entity_id}"}
        another = beside.post(
            "/sagas/start", json=order_request(house.new_order()), headers=headers
        )

    assert again.json() == first.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (another.status_code, another.json()["code"]) == (422, "idempotency-key-reused")
    assert house.database.sagas_of(entity_id) == [first.json()["saga_id"]]


@pytest.mark.usefixtures("desk")
def test_a_definition_registered_at_one_node_is_started_at_another_at_once(pair: NodeGroup) -> None:
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

    with pair.clients() as doors:
        for version, (one, other) in enumerate([doors, reversed(doors), doors], 1):
            assert put(one, version) == 201
            assert (started(other), started(one)) == (version, version)
            assert put(other, version) == 200
            assert put(other, version, "payment-service") == 409
