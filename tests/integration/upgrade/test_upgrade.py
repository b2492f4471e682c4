"""A database that the version before has left behind is opened, read and driven on.

`previous_version/` was written by `record.py`: two nodes of that version were killed while sagas
were in every state. The service starts on it as it would on the database of a release before.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import httpx
import psycopg
import pytest
from saga_orchestrator.tests.acceptance.process import (
    SAGA_COMMAND,
    ServerProcess,
    http_client,
    run_to_end,
)
from saga_orchestrator.tests.integration.upgrade.record import FOLDER, a_node
from saga_orchestrator.tests.integration.upgrade.scripted_participant import ScriptedParticipant
from saga_orchestrator.tests.support.postgres import database_url_of, execute
from saga_orchestrator.tests.support.waiting import wait_until

pytestmark = pytest.mark.slow

EXPECTED: Final = json.loads(gzip.decompress((FOLDER / "expected.json.gz").read_bytes()))
# What is shown under another name than the version before recorded it.
NEW_TYPES: Final = {
    "CallbackDelivered": "CompletionWebhookDelivered",
    "CompensationCovered": "CompensationImplied",
    "MessageTaken": "ForwardedInputApplied",
    "SagaFellDue": "ScheduledStartReached",
    "StatusAsked": "StatusQueried",
    "StepFoundNotDone": "StepConfirmedNotExecuted",
}
RESTING: Final = ("completed", "compensated", "parked", "abandoned")

GO: Final = ("signals/go", {"word": "of the new version"})
SUPPLIED: Final = {"outcome": "done", "evidence": "seen", "output": {"id": "supplied"}}
# What clients and operators do next, by case; then the status that the saga comes to.
NEXT: Final[dict[str, tuple[list[tuple[str, dict[str, Any]]], str]]] = {
    "pending": ([("cancel", {})], "compensated"),
    "calls an action": ([], "completed"),
    "calls side by side": ([], "completed"),
    "calls a compensation": ([], "compensated"),
    "calls a pivot and is to compensate": ([], "completed"),
    "waits for a signal": ([GO], "completed"),
    "waits for its child": ([], "completed"),
    "waits for a parked child": ([("cancel", {})], "compensated"),
    "waits for a callback": ([], "completed"),
    "backs off": ([], "completed"),
    "sleeps": ([], "completed"),
    "paused with its child": ([("resume", {})], "completed"),
    "has an early signal": ([], "completed"),
    "parked after the pivot": ([("retry", {})], "completed"),
    "parked with a failed compensation": ([("retry", {})], "compensated"),
    "parked without an output": ([("steps/reserve/resolve", SUPPLIED)], "completed"),
    "parked with its output not received": ([("steps/reserve/resolve", SUPPLIED)], "completed"),
    "parked for a signal": ([("compensate", {})], "compensated"),
    "is to be sent signal": ([], "completed"),
    "is to be sent compensate": ([], "compensated"),
    "is to be sent cancel": ([], "compensated"),
    "is to be sent pause": ([("resume", {}), GO], "completed"),
    "is to be sent resume": ([GO], "completed"),
    "is to be sent abandon": ([], "abandoned"),
    "is to be sent retry": ([], "completed"),
    "is to be sent skip": ([GO], "completed"),
    "is to be sent resolve": ([], "completed"),
    "is to be sent complete": ([], "completed"),
}
CHILDREN_THAT_WAIT: Final = ("waits for its child", "paused with its child")
# The event that a message of the version before leads to, by case.
FORWARDED: Final = {
    "is to be sent signal": "SignalReceived",
    "is to be sent compensate": "CompensationStarted",
    "is to be sent cancel": "CompensationStarted",
    "is to be sent pause": "SagaPaused",
    "is to be sent resume": "SagaResumed",
    "is to be sent abandon": "SagaAbandoned",
    "is to be sent retry": "SagaUnparked",
    "is to be sent skip": "StepSkipped",
    "is to be sent resolve": "StepResolved",
    "is to be sent complete": "StepSucceeded",
}


@dataclass(frozen=True, slots=True)
class Upgraded:
    web: httpx.Client
    node: ServerProcess
    cases: dict[str, str]  # saga_id by case

    def get(self, path: str) -> Any:
        answer = self.web.get(path)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()

    def events(self, saga_id: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.get(f"/sagas/{saga_id}/events?limit=1000")["events"]
        return events

    def status(self, saga_id: str) -> str:
        return str(self.get(f"/sagas/{saga_id}/status")["status"])

    def child_of(self, case: str) -> str:
        named = (event["data"].get("child_id") for event in self.events(self.cases[case]))
        (child,) = filter(None, named)
        return str(child)

    def post(self, saga_id: str, path: str, body: dict[str, Any]) -> None:
        answer = self.web.post(f"/sagas/{saga_id}/{path}", json=body)
        assert answer.is_success, f"{path}: {answer.text}"


@pytest.fixture(scope="module")
def upgraded(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    """The new version on the old database. It has just been started."""
    name = "of_the_previous_version"
    execute(postgres_server, "create database {}", name)
    url = database_url_of(postgres_server, name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(gzip.decompress((FOLDER / "database.sql.gz").read_bytes()))
    with ExitStack() as stack:
        participant = stack.enter_context(ScriptedParticipant(agreeable=True).running())
        node = a_node(url, participant, tmp_path_factory.mktemp("upgraded") / "service.log")
        stack.callback(node.end)
        node.start()
        cases = {view["case"]: saga_id for saga_id, view in EXPECTED["sagas"].items()}
        yield Upgraded(stack.enter_context(http_client(node.url)), node, cases)
    execute(postgres_server, "drop database {} with (force)", name)


def test_sagas_at_rest_have_the_status_that_they_had(upgraded: Upgraded) -> None:
    resting = {
        saga_id: view["status"]
        for saga_id, view in EXPECTED["sagas"].items()
        if view["status"]["status"] in RESTING and "is to be sent" not in view["case"]
    }

    assert len(resting) > len(RESTING)
    assert {saga: upgraded.get(f"/sagas/{saga}/status") for saga in resting} == resting


def test_every_saga_has_at_its_last_version_the_status_that_it_had(upgraded: Upgraded) -> None:
    for saga_id, view in EXPECTED["sagas"].items():
        then = upgraded.get(f"/sagas/{saga_id}/status?at_version={view['status']['version']}")

        assert then | view["status"] == then, view["case"]


def test_every_history_begins_with_the_events_that_it_had(upgraded: Upgraded) -> None:
    for saga_id, view in EXPECTED["sagas"].items():
        history = [renamed(event) for event in view["events"]]

        assert upgraded.events(saga_id)[: len(history)] == history, view["case"]


def test_the_hash_chain_goes_on_from_the_old_events(upgraded: Upgraded) -> None:
    audit = upgraded.get("/audit/verify")

    assert (audit["valid"], audit["events"] > 0) == (True, True)


def test_messages_that_were_left_unanswered_take_effect_once(upgraded: Upgraded) -> None:
    def new_types(case: str) -> list[str]:
        saga_id = upgraded.cases[case]
        old = len(EXPECTED["sagas"][saga_id]["events"])
        return [event["type"] for event in upgraded.events(saga_id)[old:]]

    for case, recorded in FORWARDED.items():
        wait_until(lambda case=case: "ForwardedInputApplied" in new_types(case), case)  # type: ignore[misc]

        taken = new_types(case)
        assert taken.count("ForwardedInputApplied") == 1, case
        assert recorded in taken[: taken.index("ForwardedInputApplied")], case

    wait_until(lambda: upgraded.status(EXPECTED["start_through_inbox"]) == "completed", "the start")


def test_unfinished_sagas_are_driven_to_their_end(upgraded: Upgraded) -> None:
    for case in FORWARDED:
        wait_until(lambda case=case: has(upgraded, case, "ForwardedInputApplied"), case)  # type: ignore[misc]
    for case, (requests, _) in NEXT.items():
        for path, body in requests:
            upgraded.post(upgraded.cases[case], path, body)
    for case in CHILDREN_THAT_WAIT:
        upgraded.post(upgraded.child_of(case), *GO)
    saga_id = upgraded.cases["waits for a callback"]
    token = {"Saga-Callback-Token": EXPECTED["callback_tokens"][f"{saga_id}/pay"]}
    upgraded.web.post(
        f"/sagas/{saga_id}/steps/pay/complete", json={"output": None}, headers=token
    ).raise_for_status()

    for case, (_, status) in NEXT.items():
        wait_until(
            lambda case=case, status=status: upgraded.status(upgraded.cases[case]) == status,  # type: ignore[misc]
            f"{case}: {status}, not {upgraded.status(upgraded.cases[case])}",
        )

    counts = upgraded.get("/sagas?limit=1000")["sagas"]
    assert {count["status"] for count in counts} <= {"completed", "compensated", "abandoned"}
    assert upgraded.get("/audit/verify")["valid"]
    assert (
        run_to_end(
            *SAGA_COMMAND, "doctor", DATABASE_URL=upgraded.node.environ["DATABASE_URL"]
        ).returncode
        == 0
    )


def renamed(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event as the new version shows it: `why` of SagaParked is `reason`, beside data."""
    data = dict(event["data"])
    reason = {"reason": data.pop("why")} if event["type"] == "SagaParked" else {}
    kind = NEW_TYPES.get(event["type"], event["type"])
    return {**event, "type": kind, **reason, "data": data}


def has(upgraded: Upgraded, case: str, kind: str) -> bool:
    return kind in [event["type"] for event in upgraded.events(upgraded.cases[case])]
