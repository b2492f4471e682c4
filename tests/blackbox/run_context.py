"""What actions and observations of one scenario have in common."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable

import httpx
from saga_orchestrator.tests.blackbox.client import Client, ExpectationFailed, require_none
from saga_orchestrator.tests.blackbox.durations import seconds
from saga_orchestrator.tests.blackbox.installation import Installation
from saga_orchestrator.tests.blackbox.ledger import ReceivedCall
from saga_orchestrator.tests.blackbox.participants import Participants
from saga_orchestrator.tests.blackbox.scenario import Scenario

WITHIN_SECONDS = 10.0  # until an expectation holds, unless it has its own `within`
WITHIN_SECONDS_AFTER_CRASH = 30.0
WITHIN_SECONDS_AT_REST = 0.5  # once the saga rests in another status
POLL_SECONDS = 0.02


class RestsInOtherStatus(ExpectationFailed):
    """The saga rests in a status that is not the expected one, so waiting is in vain."""


class RunContext:
    """One run of a scenario: its participants, its client, and the sagas that it has started."""

    def __init__(self, scenario: Scenario, installation: Installation) -> None:
        self.scenario, self.installation = scenario, installation
        self.definitions, names = scenario.unique_definitions(secrets.token_hex(3))
        urls = {name: f"http://127.0.0.1:{port}" for name, port in scenario.ports.items()}
        known = {f"{name}_name": scenario.registered_name(name) for name in scenario.ports}
        nodes = {
            name: str(node.client.base_url).rstrip("/") for name, node in installation.nodes.items()
        }
        self.client = Client(installation, {**names, **urls, **known, **nodes})
        self.participants = Participants(
            scenario.ports, scenario.endpoints, scenario.script, installation.kill
        )
        self.sagas: dict[str, str] = {}  # ids, by the names in the scenario
        self.start_reply: httpx.Response | None = None  # of the latest start
        self.started_at = time.time()

    @property
    def ledger(self) -> list[ReceivedCall]:
        return self.participants.ledger

    @property
    def first_saga(self) -> str:
        """The id; if the reply to the start was lost, the participants know which saga it was."""
        known = [*self.sagas.values(), *(call.saga_id for call in self.ledger if call.saga_id)]
        require_none([] if known else ["no saga was started"])
        return known[0]

    async def eventually(
        self, holds: Callable[[], Awaitable[None]], within: str | float = ""
    ) -> None:
        """Try `holds` again until it does not raise. Raises ExpectationFailed when time is up."""
        is_slow = self.scenario.kills_nodes or self.scenario.needs_own_installation
        default = WITHIN_SECONDS_AFTER_CRASH if is_slow else WITHIN_SECONDS
        deadline = time.time() + (default if within == "" else seconds(within))
        while True:
            try:
                return await holds()
            except ExpectationFailed as failure:
                if isinstance(failure, RestsInOtherStatus):
                    deadline = min(deadline, time.time() + WITHIN_SECONDS_AT_REST)
                if time.time() >= deadline:
                    raise
            await asyncio.sleep(POLL_SECONDS)
