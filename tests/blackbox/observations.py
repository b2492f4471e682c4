"""The expectations of a scenario, one method for each subject. README.md lists them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import pairwise

from saga_orchestrator.tests.blackbox.client import ExpectationFailed, json_object, require_none
from saga_orchestrator.tests.blackbox.expectations import differences, wrong_sequence
from saga_orchestrator.tests.blackbox.invariants import RESTING_STATUSES
from saga_orchestrator.tests.blackbox.json_values import Json
from saga_orchestrator.tests.blackbox.ledger import ReceivedCall
from saga_orchestrator.tests.blackbox.run_context import RestsInOtherStatus, RunContext

Observation = Callable[[Json], Awaitable[None]]


class Observations:
    """A subject that is not listed here is a member of the status of the first saga."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self._subjects: Mapping[str, Observation] = {
            "bodies": self._bodies,
            "calls": self._calls,
            "counts": self._counts,
            "each": self._each,
            "effects": self._effects,
            "gaps": self._gaps,
            "headers": self._headers,
            "http": self._http,
            "paths": self._paths,
            "reply": self._reply,
            "sagas": self._sagas,
            "statuses": self._statuses,
            "together": self._together,
            "took": self._took,
            "verified": self._verified,
        }

    async def check(self, expected: Mapping[str, Json]) -> None:
        """Wait until all expectations hold. Raises ExpectationFailed."""
        subjects = {name: value for name, value in expected.items() if name != "within"}
        await self.context.eventually(lambda: self._compare(subjects), expected.get("within", ""))

    async def _compare(self, expected: Mapping[str, Json]) -> None:
        of_saga = {}
        for subject, value in self.context.client.substitute(expected).items():
            if observe := self._subjects.get(subject):
                await observe(value)
            else:
                of_saga[subject] = value
        if of_saga:
            await self._compare_saga(self.context.first_saga, of_saga)

    async def _compare_saga(self, saga_id: str, expected: Mapping[str, Json]) -> None:
        client = self.context.client
        view = await client.status_of(saga_id)
        members = {
            name: value for name, value in expected.items() if name not in {"calls", "events"}
        }
        if "steps" in expected:
            members["steps"] = _steps_by_status(expected["steps"])
        steps = {step["name"]: step for step in view["steps"]}
        problems = differences(members, {**view, "steps": steps})
        if "calls" in expected:
            calls = [call for call in self.context.ledger if call.saga_id == saga_id]
            problems += wrong_sequence(expected["calls"], calls)
        if "events" in expected:
            problems += differences(expected["events"], await client.events_of(saga_id), "events")
        has_other_status = differences(expected.get("status", view["status"]), view["status"])
        is_final = has_other_status and view["status"] in RESTING_STATUSES
        require_none(problems, RestsInOtherStatus if is_final else ExpectationFailed)

    # Sagas

    async def _each(self, expected: Mapping[str, Json]) -> None:
        for saga_id in set(self.context.sagas.values()):
            await self._compare_saga(saga_id, expected)

    async def _sagas(self, expected: Mapping[str, Mapping[str, Json]]) -> None:
        for name, members in expected.items():
            await self._compare_saga(self.context.client.variables[name], members)

    async def _statuses(self, expected: Json) -> None:
        """The number of sagas in each status."""
        saga_ids = set(self.context.sagas.values())
        views = [await self.context.client.status_of(saga_id) for saga_id in saga_ids]
        statuses = dict(Counter(view["status"] for view in views))
        require_none(differences(expected, statuses, "statuses"))

    async def _took(self, expected: Json) -> None:
        """Seconds since the first start."""
        require_none(differences(expected, time.time() - self.context.started_at, "took"))

    # The reply to the latest start, and the chain of the log

    async def _http(self, expected: Json) -> None:
        reply = self.context.start_reply
        status = reply.status_code if reply is not None else None
        require_none(differences(expected, status, "http"))

    async def _reply(self, expected: Json) -> None:
        require_none(differences(expected, json_object(self.context.start_reply), "reply"))

    async def _verified(self, expected: Json) -> None:
        line = "GET /audit/verify"
        reply = await self.context.client.send(line)
        self.context.client.compare(line, reply, {"reply": {"valid": expected}})

    # Calls

    async def _calls(self, expected: Sequence[str | list[str]]) -> None:
        require_none(wrong_sequence(expected, self.context.ledger))

    async def _counts(self, expected: Mapping[str, Json]) -> None:
        counts = Counter(call.label for call in self.context.ledger)
        require_none(differences(expected, {label: counts[label] for label in expected}, "counts"))

    async def _effects(self, expected: Mapping[str, Json]) -> None:
        counts = Counter(call.label for call in self.context.ledger if call.took_effect)
        require_none(differences(expected, {label: counts[label] for label in expected}, "effects"))

    async def _bodies(self, expected: Mapping[str, Json]) -> None:
        self._compare_calls(expected, lambda call: call.body)

    async def _headers(self, expected: Mapping[str, Json]) -> None:
        self._compare_calls(expected, lambda call: call.headers)

    async def _paths(self, expected: Mapping[str, Json]) -> None:
        self._compare_calls(expected, lambda call: call.path)

    def _compare_calls(
        self, expected: Mapping[str, Json], part: Callable[[ReceivedCall], Json]
    ) -> None:
        """Compare a part of all calls of `a1`, or of the second one, `a1 #2`."""
        for name, value in expected.items():
            label, _, number = name.partition(" #")
            calls = [call for call in self.context.ledger if call.label == label]
            chosen = calls[int(number) - 1 : int(number)] if number else calls
            require_none([] if chosen else [f"{name} was never called"])
            require_none(line for call in chosen for line in differences(value, part(call), name))

    async def _gaps(self, expected: Mapping[str, Sequence[Json]]) -> None:
        """Seconds from each call of an endpoint to the next."""
        for label, gaps in expected.items():
            times = [call.received for call in self.context.ledger if call.label == label]
            actual = [later - earlier for earlier, later in pairwise(times)]
            require_none(differences(list(gaps), actual[: len(gaps)], f"gaps of {label}"))

    async def _together(self, labels: Sequence[str]) -> None:
        """The first calls of these endpoints were open at the same time."""
        first = {call.label: call for call in reversed(self.context.ledger) if call.label in labels}
        require_none([f"{label} was never called" for label in labels if label not in first])
        last_received = max(call.received for call in first.values())
        overlap = all(last_received < call.ended for call in first.values())
        require_none([] if overlap else [f"{labels} were not open at the same time"])


def _steps_by_status(steps: Mapping[str, Json]) -> Json:
    """Write out `s1: succeeded`, which is short for `s1: {status: succeeded}`."""
    return {
        name: {"status": step} if isinstance(step, str) else step for name, step in steps.items()
    }
