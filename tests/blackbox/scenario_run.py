"""One run of a scenario: its actions, its expectations, and the invariants at the end."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from saga_orchestrator.tests.blackbox.actions import Actions
from saga_orchestrator.tests.blackbox.client import ExpectationFailed, json_object, require_none
from saga_orchestrator.tests.blackbox.expectations import differences
from saga_orchestrator.tests.blackbox.installation import Installation
from saga_orchestrator.tests.blackbox.invariants import (
    RESTING_STATUSES,
    SagaRecord,
    breaches,
    step_nodes,
)
from saga_orchestrator.tests.blackbox.json_values import Json
from saga_orchestrator.tests.blackbox.ledger import ReceivedCall
from saga_orchestrator.tests.blackbox.observations import Observations
from saga_orchestrator.tests.blackbox.run_context import RunContext
from saga_orchestrator.tests.blackbox.scenario import Scenario

MAX_AUDITED_SAGAS = 25  # of one scenario, whose history is read
MAX_READINGS = 5  # until a view and its events agree
MAX_SHOWN = 600  # characters of the calls in a report


class ScenarioRun:
    def __init__(self, scenario: Scenario, installation: Installation, *, audit: bool) -> None:
        self.context = RunContext(scenario, installation)
        self.audit = audit
        self._observations = Observations(self.context)
        self._actions = Actions(self.context, self._observations)

    async def run(self) -> None:
        """Play the scenario. Raises ExpectationFailed with everything that is wrong."""
        context = self.context
        await context.installation.restart_dead_nodes()
        await context.participants.open()
        try:
            for definition in context.definitions:
                await self._actions.define(definition)
            for action in context.scenario.do:
                await self._actions.perform(action)
            await self._observations.check(context.scenario.expect)
            await self._check_invariants()
        finally:
            await context.installation.heal()
            await self._abandon_running_sagas()
            context.participants.close()

    @property
    def history(self) -> str:
        """The labels of all calls, for a report."""
        ledger = self.context.ledger
        labels = " ".join(call.label for call in ledger) or "none"
        return labels if len(labels) < MAX_SHOWN else f"{labels[:MAX_SHOWN]} ... ({len(ledger)})"

    async def _check_invariants(self) -> None:
        context, calls = self.context, self._step_calls()
        require_none(f"{call.label} came without Saga-Id" for call in calls if not call.saga_id)
        saga_ids = dict.fromkeys([*context.sagas.values(), *(call.saga_id for call in calls)])
        records = [
            await self._read_record(saga_id, is_audited=self.audit and number < MAX_AUDITED_SAGAS)
            for number, saga_id in enumerate(saga_ids)
        ]
        require_none(line for record in records for line in breaches(record))
        if all(record.is_at_rest for record in records):
            require_none([] if self._step_calls() == calls else ["I10: reading made calls"])
            for record in records:
                later = await context.client.status_of(record.view["saga_id"])
                require_none(
                    differences(record.view["status"], later["status"], "I1: at rest, later")
                )

    def _step_calls(self) -> list[ReceivedCall]:
        """Return all calls but webhooks."""
        labels = {endpoint.label for endpoint in self.context.participants.endpoints}
        return [call for call in self.context.ledger if call.label in labels]

    async def _read_record(self, saga_id: str, *, is_audited: bool) -> SagaRecord:
        view, events = await self._read_view_and_events(saga_id, is_audited=is_audited)
        paths = [f"/sagas/{saga_id}/status?at_version={event['version']}" for event in events]
        definition = self._definition_of(view["saga_type"], view["definition_version"])
        return SagaRecord(
            view=view,
            events=events,
            past_views=[json_object(await self.context.client.get(path)) for path in paths],
            nodes=step_nodes(definition),
            calls=[call for call in self.context.ledger if call.saga_id == saga_id],
            has_one_owner=not self.context.scenario.stale_owner,
        )

    async def _read_view_and_events(
        self, saga_id: str, *, is_audited: bool
    ) -> tuple[Json, list[Json]]:
        """Return both as of the same version, unless the saga keeps moving."""
        client = self.context.client
        for _ in range(MAX_READINGS):
            view = await client.status_of(saga_id)
            events = await client.events_of(saga_id) if is_audited else []
            if not events or events[-1]["version"] == view["version"]:
                break
        return view, events

    def _definition_of(self, name: str, version: int) -> Mapping[str, Json]:
        """Return a definition of the scenario; those of a `define` action have no known steps."""
        for definition in self.context.definitions:
            if (definition["saga"], definition["version"]) == (name, version):
                return definition
        return {"steps": []}

    async def _abandon_running_sagas(self) -> None:
        """Abandon what is not at rest; a saga with a running child must say what becomes of it."""
        client, body = self.context.client, {"reason": "the scenario is over"}
        for saga_id in set(self.context.sagas.values()):
            for children in ({}, {"children": "cancel"}):
                with suppress(ExpectationFailed):
                    if (await client.status_of(saga_id))["status"] not in RESTING_STATUSES:
                        line = f"POST /sagas/{saga_id}/abandon"
                        await client.send(line, body={**body, **children})
