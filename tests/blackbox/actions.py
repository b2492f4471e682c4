"""The actions of a scenario, one method each. README.md lists their options."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import cycle

import httpx
from saga_orchestrator.tests.blackbox.client import (
    ExpectationFailed,
    json_object,
    member_at,
    require_none,
)
from saga_orchestrator.tests.blackbox.durations import seconds
from saga_orchestrator.tests.blackbox.json_values import Json
from saga_orchestrator.tests.blackbox.observations import Observations
from saga_orchestrator.tests.blackbox.run_context import POLL_SECONDS, RunContext


class Actions:
    def __init__(self, context: RunContext, observations: Observations) -> None:
        self.context, self.client = context, context.client
        self._by_name: Mapping[str, Callable[..., Awaitable[object]]] = {
            "callback": self._callback,
            "check": observations.check,
            "database": context.installation.set_database,
            "define": self.define,
            "end_outage": context.participants.end_outage,
            "freeze": self._freeze,
            "kill": self._kill,
            "note_time": self._note_time,
            "outage": context.participants.begin_outage,
            "release": self._release,
            "request": self._request,
            "restart": self._restart,
            "sleep": self._sleep,
            "start": self._start,
            "terminate": self._terminate,
            "thaw": self._thaw,
            "until": self._until,
        }

    async def perform(self, action: str | Mapping[str, Json]) -> None:
        """Perform `name`, or `{name: argument, option: value, ...}`. Raises ExpectationFailed."""
        (name, argument), *options = [(action, None)] if isinstance(action, str) else action.items()
        arguments = [] if argument is None else [argument]
        await self._by_name[name](*arguments, **dict(options))

    # Requests

    async def define(self, definition: Mapping[str, Json], *, expect: Json = None) -> None:
        """Register a definition."""
        path = f"/definitions/{definition['saga']}/{definition['version']}"
        await self._request(f"PUT {path}", body=definition, expect=expect)

    async def _start(
        self,
        body: Json = None,
        *,
        name: str = "",
        times: int = 1,
        node: str = "n1",
        **request: Json,
    ) -> None:
        """Start a saga, or several at the same time, at one node or at several in turn.

        The first saga is `{saga}`, unless it gets a name.
        """
        context = self.context
        if not context.sagas:
            context.started_at = time.time()
        prefer = request.pop("prefer", self._default_preference())
        request["headers"] = {"Prefer": prefer, **request.get("headers", {})}
        bodies = [self._start_body(body or {}, number) for number in range(1, times + 1)]
        starts = (
            self._request("POST /sagas/start", body=each, node=at, **request)
            for each, at in zip(bodies, cycle(node.split()), strict=False)
        )
        for context.start_reply in await asyncio.gather(*starts):
            if saga_id := json_object(context.start_reply).get("saga_id"):
                default = f"saga{len(context.sagas) + 1}" if context.sagas else "saga"
                context.sagas[name or default] = saga_id
        self.client.variables |= context.sagas

    def _default_preference(self) -> str:
        scenario = self.context.scenario
        waits = scenario.do == ["start"] and not scenario.kills_nodes
        return "wait=20" if waits else "respond-async"

    def _start_body(self, more: Mapping[str, Json], number: int) -> Json:
        self.client.variables["i"] = str(number)
        body: dict[str, Json] = {"entity_id": 7}
        if definitions := self.context.definitions:
            steps = definitions[0]["steps"]
            body["saga_type"] = definitions[0]["saga"]
            body["step_data"] = [{"n": place} for place in range(1, len(steps) + 1)]
        body |= self.client.substitute(more)
        return {name: value for name, value in body.items() if value is not None}

    async def _request(
        self,
        line: str,
        *,
        within: str | float = 0,
        times: int = 1,
        expect: Json = None,
        save: Mapping[str, str] | None = None,
        **request: Json,
    ) -> httpx.Response | None:
        """Send `METHOD /path`: `times` at once; again `within` a time until it is as expected.

        `save` keeps members of the reply as variables.
        """
        deadline = time.time() + seconds(within)
        while True:
            sent = (self.client.send(line, **request) for _ in range(times))
            replies = await asyncio.gather(*sent)
            try:
                for reply in replies:
                    self.client.compare(line, reply, expect or {})
                break
            except ExpectationFailed:
                if time.time() >= deadline:
                    raise
            await asyncio.sleep(POLL_SECONDS)
        for name, path in (save or {}).items():
            self.client.variables[name] = str(member_at(json_object(replies[0]), path))
        return replies[0]

    async def _callback(self, verb: str, *, call: str, token: str = "", **request: Json) -> None:
        """`complete` or `fail` the step of the latest call to endpoint `call`, with its token."""
        latest = [each for each in self.context.ledger if each.label == call][-1]
        token = token or latest.headers.get("saga-callback-token", "")
        line = f"POST /sagas/{latest.saga_id}/steps/{latest.step}/{verb}"
        await self._request(line, headers={"Saga-Callback-Token": token}, **request)

    # Participants and time

    async def _until(self, calls: str, *, within: str | float = "") -> None:
        """Wait until participants have received `a1`, or `a1 x3`."""
        label, _, times = calls.partition(" x")
        await self.context.eventually(lambda: self._require_calls(label, int(times or 1)), within)

    async def _require_calls(self, label: str, times: int) -> None:
        received = sum(call.label == label for call in self.context.ledger)
        is_enough = received >= times
        require_none([] if is_enough else [f"{label} was called {received} times, not {times}"])

    async def _release(self, label: str) -> None:
        self.context.participants.release(label)

    async def _sleep(self, duration: str) -> None:
        await asyncio.sleep(seconds(duration))

    async def _note_time(self, name: str, *, plus: str | float = 0) -> None:
        """Keep the time as a variable."""
        noted = datetime.now(UTC) + timedelta(seconds=seconds(plus))
        text = noted.isoformat(timespec="microseconds").replace("+00:00", "Z")
        self.client.variables[name] = text

    # Processes

    async def _kill(self, node: str = "n1") -> None:
        self._signal(node, signal.SIGKILL)

    async def _terminate(self, node: str = "n1") -> None:
        self._signal(node, signal.SIGTERM)

    async def _freeze(self, node: str) -> None:
        self._signal(node, signal.SIGSTOP)

    async def _thaw(self, node: str) -> None:
        self._signal(node, signal.SIGCONT)

    def _signal(self, node: str, number: signal.Signals) -> None:
        self.context.installation.nodes[node].send_signal(number)

    async def _restart(self, node: str = "n1") -> None:
        """Wait until the node has ended, then start it again."""
        await self.context.eventually(lambda: self._require_dead(node))
        await self.context.installation.nodes[node].start()

    async def _require_dead(self, node: str) -> None:
        is_alive = self.context.installation.nodes[node].is_alive
        require_none([f"{node} did not end"] if is_alive else [])
