"""Record a database that the upgrade test opens with the version after this one.

    python -m saga_orchestrator.tests.integration.upgrade.record

Two nodes of the version that is checked out drive sagas into every state that there is, with every
type of event, and are killed in the middle of it. Written are a dump of the database, in plain SQL,
and what the interface said of each saga. Run it on the last commit of a version.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import psycopg
from saga_orchestrator.eventstore.embedded import embedded_server, installation
from saga_orchestrator.examples.scenarios import order_request
from saga_orchestrator.fsm.codec import TYPES
from saga_orchestrator.tests.acceptance.process import (
    SAGA_COMMAND,
    ServerProcess,
    clean_environ,
    free_port,
    http_client,
)
from saga_orchestrator.tests.integration.upgrade.definitions import DEFINITIONS, FORWARDED
from saga_orchestrator.tests.integration.upgrade.scripted_participant import ScriptedParticipant
from saga_orchestrator.tests.support.waiting import wait_until

FOLDER: Final = Path(__file__).parent / "previous_version"
FAR_FUTURE: Final = "2999-01-01T00:00:00Z"
SHARES: Final = "select count(*) from shard_owner group by node_id"
UNANSWERED: Final = "select count(*) from message where answer is null"
STREAM_OF_KEY: Final = "select stream_id::text from stream_key where key like %s"
VERSIONS: Final = "select stream_id::text, max(version) from event group by 1"
BLOCKED_WRITERS: Final = (
    "from pg_stat_activity where datname = current_database()"
    " and application_name like 'node % writer' and wait_event_type = 'Lock'"
)
KEY: Final = "start-through-the-inbox"


@dataclass(slots=True)
class Recording:
    """`clients` are those of two nodes by name; each drives half of the shards."""

    clients: Mapping[str, httpx.Client]
    participant: ScriptedParticipant
    database: psycopg.Connection[tuple[Any, ...]]
    sagas: dict[str, str] = field(default_factory=dict)  # saga_id by case

    def start(self, case: str, saga_type: str, *, at: str = "near", **members: Any) -> str:
        """Start a saga at a node, which drives it."""
        request = {
            "saga_type": saga_type,
            "entity_id": case,
            "input": {"number": 123456789012345678901234567890, "text": "Größe 𝄞", "nothing": None},
            "tags": {"case": case},
        }
        headers = {"Prefer": "respond-async"}
        answer = self.clients[at].post("/sagas/start", json=request | members, headers=headers)
        assert answer.is_success, answer.text
        self.sagas[case] = answer.json()["saga_id"]
        return self.sagas[case]

    def post(self, saga_id: str, path: str, at: str = "near", **body: Any) -> None:
        headers = {"Saga-Actor": "recorder"}
        answer = self.clients[at].post(f"/sagas/{saga_id}/{path}", json=body, headers=headers)
        assert answer.is_success, f"{path}: {answer.text}"

    def get(self, path: str) -> Any:
        answer = self.clients["near"].get(path)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()

    def events(self, saga_id: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.get(f"/sagas/{saga_id}/events?limit=1000")["events"]
        return events

    def child_of(self, saga_id: str) -> str:
        named = (event["data"].get("child_id") for event in self.events(saga_id))
        (child,) = filter(None, named)
        return str(child)

    def await_event(self, saga_id: str, kind: str, times: int = 1) -> None:
        def is_recorded() -> bool:
            return [event["type"] for event in self.events(saga_id)].count(kind) >= times

        wait_until(is_recorded, f"{kind} of {saga_id}")

    def await_status(self, saga_id: str, status: str) -> None:
        def is_reached() -> bool:
            view: dict[str, Any] = self.get(f"/sagas/{saga_id}/status")
            return bool(view["status"] == status)

        wait_until(is_reached, f"{saga_id} is {status}")

    def views(self) -> dict[str, Any]:
        """Return what the interface says of every saga, by its id."""
        cases = {saga_id: case for case, saga_id in self.sagas.items()}
        listed = {saga["saga_id"] for saga in self.get("/sagas?limit=1000")["sagas"]}
        return {
            saga_id: {
                "case": cases.get(saga_id, "child"),
                "status": self.get(f"/sagas/{saga_id}/status"),
                "events": self.events(saga_id),
            }
            for saga_id in sorted(listed | set(cases))
        }


def record_sagas_left_alone(recording: Recording) -> None:
    """Record sagas that come to rest by themselves. The first word of a case is the status."""
    start = recording.start
    webhook = f"{recording.participant.url}/webhook"
    completed = start("completed", "three_steps", callback_url=webhook)
    start("completed at the far node", "three_steps", at="far")
    start("completed after a retry", "retried")
    start("compensated", "refused")
    start("compensated as never sent", "never_sent")
    start("completed after its status was asked", "status_asked")
    start("completed by polling", "polled")
    start("completed after a sleep", "slept")
    start("completed with a child", "parent_of_completed")
    start("compensated for its child", "parent_of_refused")
    start("compensated at its deadline", "signalled", deadline="1s")
    start("parked after the pivot", "refused_after_pivot")
    start("parked with a failed compensation", "compensation_refused")
    start("parked without an output", "output_lost")
    start("parked for a signal", "signal_too_late")
    due = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    start("completed after a scheduled start", "three_steps", start_at=due)
    the_order = order_request(123)
    start(
        "completed order", "order_processing", entity_id=123, input={},
        step_data=the_order["step_data"],
    )  # fmt: skip
    recording.await_event(completed, "CompletionWebhookDelivered")


def record_sagas_of_operators(recording: Recording) -> None:
    """Record sagas that rest after a request of an operator, a client or a participant."""
    start, post, await_event = recording.start, recording.post, recording.await_event
    undone = start("compensated by hand", "three_steps")
    recording.await_status(undone, "completed")
    post(undone, "compensate", reason="asked for")

    early = start("completed by an early callback", "called_back_early")
    await_event(early, "WaitStarted")
    recording.participant.complete(early, "pay").raise_for_status()
    post(early, "signals/go", word=None)

    cancelled = start("compensated before its start", "three_steps", start_at=FAR_FUTURE)
    post(cancelled, "cancel", reason="not wanted")

    resolved = start("completed as resolved", "unknown_after_pivot")
    recording.await_status(resolved, "parked")
    post(resolved, "steps/ship/resolve", outcome="done", evidence="seen", output={"id": 7})

    again = start("compensated at the second try", "compensation_refused")
    recording.await_status(again, "parked")
    post(again, "retry", reason="the participant was mended")

    lost = start("parked with its output not received", "output_lost")
    recording.await_status(lost, "parked")
    post(lost, "retry", step="reserve")
    await_event(lost, "OutputNotReceived")

    abandoned = start("abandoned", "signalled")
    await_event(abandoned, "WaitStarted")
    post(abandoned, "abandon", reason="not wanted any more")

    skipped = start("completed with skipped steps", "conditional")
    await_event(skipped, "WaitStarted")
    post(skipped, "steps/ship/skip", reason="fetched by the client")
    post(skipped, "signals/go", early=False)

    resumed = start("completed after a pause", "parent_of_waiting")
    await_event(resumed, "WaitStarted")
    post(resumed, "pause", reason="wait")
    child = recording.child_of(resumed)
    await_event(child, "SagaPaused")
    post(resumed, "resume")
    await_event(child, "SagaResumed")
    post(child, "signals/go")

    hurried = start("completed as hurried", "backs_off")
    await_event(hurried, "StepBackedOff")
    post(hurried, "retry", reason="it is back")

    for number in range(3):
        of_bulk = start(f"compensated in bulk {number}", "signalled", tags={"bulk": "yes"})
        await_event(of_bulk, "WaitStarted")
    job = {"action": "cancel", "filter": {"tags": {"bulk": "yes"}}, "reason": "a whole day"}
    answer = recording.clients["near"].post("/bulk", json=job | {"dry_run": False})
    assert answer.is_success, answer.text

    forwarded = start("completed by a forwarded signal", "signalled", at="far")
    await_event(forwarded, "WaitStarted")
    post(forwarded, "signals/go", through="the other node")
    await_event(forwarded, "ForwardedInputApplied")


def record_unfinished_sagas(recording: Recording) -> None:
    """Record sagas that are under way, and stay as they are until the nodes are killed."""
    start, post, await_event = recording.start, recording.post, recording.await_event
    start("pending", "three_steps", start_at=FAR_FUTURE)
    for case, saga_type, kind, times in (
        ("calls an action", "action_hangs", "StepCalled", 2),
        ("calls side by side", "side_by_side", "StepSucceeded", 2),
        ("calls a compensation", "compensation_hangs", "CompensationCalled", 1),
        ("waits for a signal", "signalled", "WaitStarted", 1),
        ("waits for its child", "parent_of_waiting", "WaitStarted", 1),
        ("waits for a parked child", "parent_of_parked", "WaitStarted", 1),
        ("waits for a callback", "called_back", "StepAccepted", 1),
        ("backs off", "backs_off", "StepBackedOff", 1),
        ("sleeps", "sleeps", "WaitStarted", 1),
    ):
        await_event(start(case, saga_type), kind, times)
    for case in ("waits for its child", "waits for a parked child"):
        await_event(recording.child_of(recording.sagas[case]), "WaitStarted")

    doomed = start("calls a pivot and is to compensate", "pivot_hangs")
    await_event(doomed, "StepCalled", 2)
    post(doomed, "compensate", reason="changed their mind")
    await_event(doomed, "CompensationRequested")

    paused = start("paused with its child", "parent_of_waiting")
    await_event(paused, "WaitStarted")
    await_event(recording.child_of(paused), "WaitStarted")
    post(paused, "pause", reason="over night")
    await_event(recording.child_of(paused), "SagaPaused")

    early = start("has an early signal", "signalled_early")
    await_event(early, "StepCalled")
    post(early, "signals/go", word="early")


def leave_messages_unanswered(
    recording: Recording, far: ServerProcess, requests: ThreadPoolExecutor
) -> None:
    """Freeze the far node and ask the near one about its sagas: each request is a message."""
    waiting = {}
    for case, message in FORWARDED.items():
        saga_id = recording.start(f"is to be sent {case}", message.saga_type, at="far")
        recording.await_event(saga_id, message.recorded)
        waiting[case] = saga_id
    recording.post(waiting["resume"], "pause", at="far", reason="for a while")
    version = recording.get(f"/sagas/{waiting['pause']}/status")["version"]
    token = recording.participant.tokens[waiting["complete"], "pay"]
    headers = {"pause": {"If-Match": f'"{version}"'}, "complete": {"Saga-Callback-Token": token}}
    start = {"saga_type": "three_steps", "entity_id": KEY, "input": {}}

    with psycopg.connect(recording.database.info.dsn) as lock:
        lock.execute("lock table event in share row exclusive mode")
        at_far = requests.submit(start_with_key, recording.clients["far"], start)
        blocked = f"select true {BLOCKED_WRITERS}"
        wait_until(
            lambda: recording.database.execute(blocked.encode()).fetchone(), "a start is blocked"
        )
        far.freeze()
        ended = f"select pg_terminate_backend(pid) {BLOCKED_WRITERS}"
        recording.database.execute(ended.encode())
    assert not at_far.done(), "the far node has not answered"
    requests.submit(start_with_key, recording.clients["near"], start)
    for case, saga_id in waiting.items():
        message = FORWARDED[case]
        requests.submit(
            recording.clients["near"].post,
            f"/sagas/{saga_id}/{message.path}",
            json=message.body,
            headers={"Saga-Actor": "recorder", **headers.get(case, {})},
        )
    messages = (len(FORWARDED) + 1,)
    wait_until(
        lambda: recording.database.execute(UNANSWERED).fetchone() == messages,
        "every message is in the inbox",
        timedelta(seconds=6),  # before the shards of the frozen node are taken over
    )


def start_with_key(node: httpx.Client, request: Mapping[str, Any]) -> httpx.Response:
    headers = {"Prefer": "respond-async", "Idempotency-Key": f'"{KEY}"'}
    return node.post("/sagas/start", json=request, headers=headers)


@contextmanager
def two_nodes(
    database_url: str, participant: ScriptedParticipant, log: Path
) -> Iterator[tuple[ServerProcess, ServerProcess]]:
    """Two nodes that have shared the shards of the database."""
    with ExitStack() as stack:
        near, far = (a_node(database_url, participant, log) for _ in range(2))
        for node in (near, far):
            node.start()
            stack.callback(node.end)
        with psycopg.connect(database_url, autocommit=True) as database:
            wait_until(
                lambda: database.execute(SHARES).fetchall() == [(32,), (32,)],
                "both nodes drive their half of the shards",
            )
        yield near, far


def a_node(database_url: str, participant: ScriptedParticipant, log: Path) -> ServerProcess:
    port = free_port()
    environ = clean_environ(
        DATABASE_URL=database_url,
        SERVICE_PORT=str(port),
        SCRIPTED_SERVICE_URL=participant.url,
        ORDER_SERVICE_URL=participant.url,
        PAYMENT_SERVICE_URL=participant.url,
        ABSENT_SERVICE_URL="http://127.0.0.1:9",
        SAGA_CALLBACK_LOOPBACK="true",
    )
    return ServerProcess((*SAGA_COMMAND, "serve"), f"http://127.0.0.1:{port}", environ, log)


def dump(database_url: str) -> str:
    parts = urlsplit(database_url)
    place = parse_qs(parts.query)
    where = ("-h", place["host"][0], "-p", place["port"][0], "-U", "postgres", parts.path[1:])
    options = ("--no-owner", "--inserts", "--rows-per-insert=50")
    program = str(installation() / "bin" / "pg_dump")
    done = subprocess.run([program, *options, *where], check=True, capture_output=True, text=True)
    # Lines that only psql understands are left out.
    return "".join(line for line in done.stdout.splitlines(True) if not line.startswith("\\"))


def record(folder: Path, database_url: str) -> dict[str, Any]:
    """Return what is expected of the database that the nodes leave behind."""
    with ExitStack() as stack:
        participant = stack.enter_context(ScriptedParticipant(agreeable=False).running())
        log = folder / "service.log"
        near, far = stack.enter_context(two_nodes(database_url, participant, log))
        participant.service_url = near.url
        database = stack.enter_context(psycopg.connect(database_url, autocommit=True))
        clients = {
            "near": stack.enter_context(http_client(near.url)),
            "far": stack.enter_context(http_client(far.url)),
        }
        requests = stack.enter_context(ThreadPoolExecutor(len(FORWARDED) + 2))
        for name, steps in DEFINITIONS.items():
            document = {"saga": name, "version": 1, "steps": steps}
            answer = clients["near"].put(f"/definitions/{name}/1", json=document)
            assert answer.status_code == httpx.codes.CREATED, answer.text
        recording = Recording(clients, participant, database)
        record_sagas_left_alone(recording)
        record_sagas_of_operators(recording)
        for case, saga_id in recording.sagas.items():
            recording.await_status(saga_id, case.split()[0])
        record_unfinished_sagas(recording)
        leave_messages_unanswered(recording, far, requests)
        sagas = recording.views()
        near.kill()
        far.kill()
        versions: dict[str, int] = dict(database.execute(VERSIONS).fetchall())
        recorded = {kind for (kind,) in database.execute("select distinct type from event")}
        ((key_stream,),) = database.execute(STREAM_OF_KEY, [f"%{KEY}%"]).fetchall()
    missing = {kind.type_name for kind in TYPES.values()} - recorded
    assert not missing, missing
    assert all(
        view["status"]["version"] == versions[each_saga_id] for each_saga_id, view in sagas.items()
    )
    tokens = {f"{saga_id}/{step}": token for (saga_id, step), token in participant.tokens.items()}
    return {"sagas": sagas, "callback_tokens": tokens, "start_through_inbox": key_stream}


def write(name: str, text: str) -> None:
    """Write a file that does not differ if its text does not."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / name).write_bytes(gzip.compress(text.encode(), mtime=0))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        with embedded_server(Path(name)) as server:
            expected = record(Path(name), server.url)
            write("database.sql.gz", dump(server.url))
        write("expected.json.gz", json.dumps(expected, ensure_ascii=False))


if __name__ == "__main__":
    main()
