"""Sagas that are a step of another one: started, called back, and listened to by name.

A child's name is a function of its parent and step, so every command here can be repeated: after a
crash the parent asks for its child again, and is told at once if it rests already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from ...eventstore.errors import LogUnavailable
from ..definitions.findings import Finding, InvalidInput
from ..definitions.input_check import check_input
from ..errors import NotAllowed
from ..events import Parent
from ..formats.strict_json import Json, JsonObject
from ..inputs import (
    ChildFinished,
    ChildInstructionRefused,
    Compensate,
    Input,
    Pause,
    Resume,
    StartSaga,
)
from ..instructions import (
    ChildInstruction,
    CompensateChild,
    PauseChild,
    StartChild,
    child_instructions,
)
from ..machines import SagaStatus, StepStatus
from ..saga import Saga
from .errors import DefinitionNotFound, Overloaded, SagaNotFound

if TYPE_CHECKING:
    from .active_saga import ActiveSaga
    from .driver import Driver

OVERLOAD_RETRY_SECONDS = 0.1
READ_RETRY_SECONDS = 0.2
COMPENSATED_OR_ABANDONED = (SagaStatus.COMPENSATED, SagaStatus.ABANDONED)


class _NestedTooDeep(Exception):
    """A child saga that would be one too many below another."""

    def __init__(self, depth: int, limit: int) -> None:
        deep = f"it would be a saga {depth} deep under others"
        super().__init__(f"{deep}, and at most {limit} are allowed (SAGA_NESTING_LIMIT)")


class ChildSagas:
    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    async def execute(self, command: ChildInstruction) -> None:
        """Until the log has taken it: nobody would ask again."""
        while True:
            try:
                await self._execute(command)
                return
            except Overloaded:
                await asyncio.sleep(OVERLOAD_RETRY_SECONDS)
            except LogUnavailable:  # the log cannot be read now
                if self.driver.stopping:
                    raise
                await self.driver.sleep(READ_RETRY_SECONDS)

    async def pause(self, parent: Saga) -> None:
        """Return once a pause has reached all children under way, and theirs."""
        for command in child_instructions(parent):
            if isinstance(command, PauseChild):
                await self.execute(command)

    async def notify_parent(self, child: Saga) -> None:
        """Tell the parent how its child rests."""
        parent = child.state.parent
        assert parent is not None, "only a child has somebody to report to"
        await self._deliver(parent, _finished(child, parent.step))

    async def _execute(self, command: ChildInstruction) -> None:
        match command:
            case StartChild():
                await self._start(command)
            case CompensateChild():
                await self._compensate(command)
            case PauseChild():
                await self._pause(command)

    async def _start(self, command: StartChild) -> None:
        """Start the child, or let it go on if it exists, and report it if it rests."""
        try:
            child = await self._load_or_start(command)
        except (DefinitionNotFound, InvalidInput, _NestedTooDeep) as error:
            refused = ChildInstructionRefused(step=command.parent.step, error=str(error))
            await self._deliver(command.parent, refused)
            return
        if child is None:
            return
        if child.state.paused_by_parent:
            await self._resume(command)
        if child.state.status.is_at_rest:
            await self.notify_parent(child)

    async def _pause(self, command: PauseChild) -> None:
        """Pause a child under way, and its children. One that has not begun, or rests, is kept
        from going on by its parent."""
        with suppress(SagaNotFound, NotAllowed):
            async with self.driver.acquire(command.child_id) as live:
                parent = await self._saga(command.parent.saga_id)
                if parent.state.paused_at is not None:
                    why = f"its parent {command.parent.saga_id} is paused"
                    await self.driver.handle(live, Pause(by_parent=True, reason=why))
                child = live.saga
            await self.pause(child)

    async def _resume(self, command: StartChild) -> None:
        """Let a child go on that its parent had paused, unless the parent is paused again."""
        async with self.driver.acquire(command.child_id) as live:
            parent = await self._saga(command.parent.saga_id)
            if parent.state.paused_at is None:
                await self._end_pause(live, command.parent)

    async def _end_pause(self, live: ActiveSaga, parent: Parent) -> None:
        if live.saga.state.paused_by_parent:
            why = f"its parent {parent.saga_id} goes on"
            await self.driver.handle(live, Resume(by_parent=True, reason=why))

    async def _load_or_start(self, command: StartChild) -> Saga | None:
        """None if the parent wants it no more: whoever called it back has found nothing to undo,
        and has told the parent so."""
        async with self.driver.creation_lock(command.child_id):
            try:
                return await self._saga(command.child_id)
            except SagaNotFound:
                parent = await self._saga(command.parent.saga_id)
                wanted = _awaits_child(parent, command.parent.step)
                return await self._start_new(command) if wanted else None

    async def _saga(self, saga_id: str) -> Saga:
        live = self.driver.active.get(saga_id)
        return live.saga if live is not None else await self.driver.repository.load(saga_id)

    async def _start_new(self, command: StartChild) -> Saga:
        if command.parent.depth > self.driver.nesting_limit:
            raise _NestedTooDeep(command.parent.depth, self.driver.nesting_limit)
        given = _input_object(command.input)
        definition = await self.driver.repository.registry.get(command.saga_type, command.version)
        check_input(definition, given)
        request = StartSaga(entity_id=command.entity_id, input=given, parent=command.parent)
        return (await self.driver.start(definition, command.child_id, request)).saga

    async def _compensate(self, command: CompensateChild) -> None:
        """One that rests undone is only reported; one that never began need not be.

        One that cannot be undone goes forward, and is not held up by a pause of its parent.
        """
        step = command.parent.step
        try:
            async with self.driver.acquire(command.child_id) as live:
                if live.saga.state.status not in COMPENSATED_OR_ABANDONED:
                    why = f"its parent {command.parent.saga_id} is undone"
                    try:
                        await self.driver.handle(live, Compensate(reason=why))
                    except NotAllowed:
                        await self._end_pause(live, command.parent)
                        raise
                    await self._end_pause(live, command.parent)
                there = live.saga
        except SagaNotFound:
            await self._deliver(command.parent, _never_started(step))
        except NotAllowed as error:
            await self._deliver(
                command.parent, ChildInstructionRefused(step=step, error=str(error))
            )
        else:
            if there.state.status in COMPENSATED_OR_ABANDONED:
                await self.notify_parent(there)

    async def _deliver(self, parent: Parent, happening: Input) -> None:
        await self.driver.deliver(parent.saga_id, happening)


def _awaits_child(parent: Saga, step: str) -> bool:
    state = parent.state
    going = state.status in (SagaStatus.RUNNING, SagaStatus.PARKED) and state.paused_at is None
    return going and parent.status_of(step) is StepStatus.WAITING


def _input_object(given: Json) -> JsonObject:
    """Raises InvalidInput."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return given
    detail = "the input of a child saga is an object"
    raise InvalidInput([Finding(code="not-an-object", pointer="/input", detail=detail)])


def _finished(child: Saga, step: str) -> ChildFinished:
    return ChildFinished(
        step=step,
        status=child.state.status,
        outputs=child.known_outputs,
        error=child.state.error or "",
    )


def _never_started(step: str) -> ChildFinished:
    undone = SagaStatus.COMPENSATED
    return ChildFinished(step=step, status=undone, outputs={}, error="it was never started")
