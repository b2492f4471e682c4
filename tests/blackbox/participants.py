"""The participants of one scenario: they reply as scripted, and record every call."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from saga_orchestrator.tests.blackbox.ledger import ReceivedCall
from saga_orchestrator.tests.blackbox.participant_connection import ParticipantConnection
from saga_orchestrator.tests.blackbox.script import Endpoint, Script, ScriptedReply

HOST = "127.0.0.1"


class Participants:
    """`kill_orchestrator` is called by KILL replies, with the time at which the caller connected.

    A participant whose next reply is CONN does not listen at all.
    """

    def __init__(
        self,
        ports: Mapping[str, int],
        endpoints: Sequence[Endpoint],
        script: Mapping[str, Script],
        kill_orchestrator: Callable[[float], None],
    ) -> None:
        self.ports, self.endpoints, self.script = ports, endpoints, script
        self.ledger: list[ReceivedCall] = []
        self._kill_orchestrator = kill_orchestrator
        self._released: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._used_replies: Counter[tuple[str, str]] = Counter()  # by label and saga
        self._saga_numbers: dict[str, int] = {}  # in the order of first contact
        self._applied: set[tuple[str, str]] = set()  # label and key of each effect
        self._listeners: dict[str, asyncio.Server] = {}
        self._down: set[str] = set()
        self._connections: set[ParticipantConnection] = set()

    async def open(self) -> None:
        for participant in self.ports:
            await self.update_listener(participant)

    def close(self) -> None:
        for listener in self._listeners.values():
            listener.close()
        for connection in self._connections:
            connection.writer.transport.abort()

    # Commands of the scenario

    def release(self, label: str) -> None:
        """Let held replies of an endpoint go, now and from now on."""
        self.released(label).set()

    async def begin_outage(self, participant: str) -> None:
        """Refuse connections from now on, and end those that are open."""
        self._down.add(participant)
        await self.update_listener(participant)
        for connection in self._connections:
            if connection.participant == participant:
                connection.writer.close()

    async def end_outage(self, participant: str) -> None:
        """Listen again, and step over CONN in the scripts."""
        self._down.discard(participant)
        for label in self._refusing_endpoints(participant):
            self._used_replies[label, ""] += 1
        await self.update_listener(participant)

    # What connections ask for

    def label_of(self, participant: str, method: str, path: str) -> str:
        """Return the label of an endpoint; outside of the definitions, its path with dots."""
        path = path.split("?")[0]
        for endpoint in self.endpoints:
            served = (endpoint.participant, endpoint.method)
            if served == (participant, method) and endpoint.path.fullmatch(path):
                return endpoint.label
        return path.strip("/").replace("/", ".")

    def record(self, call: ReceivedCall) -> ScriptedReply:
        """Add `call` to the ledger, let its effect happen, and return the reply to send."""
        reply = ScriptedReply.parse(self._next_reply(call.label, call.saga_id))
        effect = (call.label, call.key or str(len(self.ledger)))
        call.took_effect = reply.takes_effect and effect not in self._applied
        if reply.takes_effect:
            self._applied.add(effect)
        self.ledger.append(call)
        return reply

    def released(self, label: str) -> asyncio.Event:
        return self._released[label]

    def kill_orchestrator(self, connected_at: float) -> None:
        self._kill_orchestrator(connected_at)

    def may_refuse(self, participant: str) -> bool:
        """True if a script of the participant has CONN anywhere."""
        return any("CONN" in self.script.get(label, ()) for label in self._labels(participant))

    async def update_listener(self, participant: str) -> None:
        """Listen, or stop listening during an outage or before CONN."""
        is_closed = participant in self._down or bool(self._refusing_endpoints(participant))
        if is_closed and participant in self._listeners:
            self._listeners.pop(participant).close()
        elif not is_closed and participant not in self._listeners:
            self._listeners[participant] = await asyncio.start_server(
                lambda reader, writer: self._serve(participant, reader, writer),
                HOST,
                self.ports[participant],
            )

    async def _serve(
        self, participant: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection = ParticipantConnection(self, participant, reader, writer)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)
            writer.close()

    def _labels(self, participant: str) -> list[str]:
        return [each.label for each in self.endpoints if each.participant == participant]

    def _refusing_endpoints(self, participant: str) -> list[str]:
        if not self.may_refuse(participant):
            return []
        return [label for label in self._labels(participant) if self._peek(label) == "CONN"]

    def _peek(self, label: str) -> str:
        script = self.script.get(label, ("200",))
        assert not isinstance(script, Mapping), "scripts by saga cannot refuse connections"
        return script[min(self._used_replies[label, ""], len(script) - 1)]

    def _next_reply(self, label: str, saga_id: str) -> str:
        """Take the next reply of the script; the last one repeats."""
        script = self.script.get(label, ("200",))
        if isinstance(script, Mapping):
            number = self._saga_numbers.setdefault(saga_id, len(self._saga_numbers))
            script = script["sagas"][number % len(script["sagas"])]
        else:
            saga_id = ""
        index = min(self._used_replies[label, saga_id], len(script) - 1)
        self._used_replies[label, saga_id] += 1
        return script[index]
