"""Sagas that are a step of another one: started, called back, and listened to by name.

A child's name is a function of its parent and step, so every command here can be repeated: after a
crash the parent asks for its child again, and is told at once if it rests already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from ...eventstore import LogUnavailable
from ..command import ChildCommand, PauseChild, StartChild, UndoChild, child_commands
from ..errors import Finding, InvalidInput, NotAllowed
from ..events import Parent
from ..happening import (
    ChildRefused,
    ChildRested,
    CompensationAsked,
    Happening,
    PauseAsked,
    ResumeAsked,
    StartRequested,
)
from ..input_check import check_input
from ..machines import SagaStatus, StepStatus
from ..saga import Saga
from ..strict_json import Json, JsonObject
from .errors import DefinitionNotFound, LogBusy, SagaNotFound

if TYPE_CHECKING:
    from .driver import Driver
    from .live import Live

OVERLOAD_PAUSE_SECONDS = 0.1
UNREADABLE_PAUSE_SECONDS = 0.2
OVER = (SagaStatus.COMPENSATED, SagaStatus.ABANDONED)


class _NestedTooDeep(Exception):
    """A child saga that would be one too many below another."""

    def __init__(self, depth: int, limit: int) -> None:
        deep = f"it would be a saga {depth} deep under others"
        super().__init__(f"{deep}, and at most {limit} are allowed (SAGA_NESTING_LIMIT)")


class Children:
    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    async def obey(self, command: ChildCommand) -> None:
        """Until the log has taken it: nobody would ask again."""
        while True:
            try:
                await self._obey(command)
                return
            except LogBusy:
                await asyncio.sleep(OVERLOAD_PAUSE_SECONDS)
            except LogUnavailable:  # the log cannot be read now
                if self.driver.stopping:
                    raise
                await self.driver.pause(UNREADABLE_PAUSE_SECONDS)

    async def pause(self, parent: Saga) -> None:
        """Return once a pause has reached all children under way, and theirs."""
        for command in child_commands(parent):
            if isinstance(command, PauseChild):
                await self.obey(command)

    async def report(self, child: Saga) -> None:
        """Tell the parent how its child rests."""
        parent = child.state.parent
        assert parent is not None, "only a child has somebody to report to"
        await self._tell(parent, _rested(child, parent.step))

    async def _obey(self, command: ChildCommand) -> None:
        match command:
            case StartChild():
                await self._start(command)
            case UndoChild():
                await self._undo(command)
            case PauseChild():
                await self._pause(command)

    async def _start(self, command: StartChild) -> None:
        """Start the child, or let it go on if it exists, and report it if it rests."""
        try:
            child = await self._found_or_started(command)
        except (DefinitionNotFound, InvalidInput, _NestedTooDeep) as error:
            refused = ChildRefused(step=command.parent.step, error=str(error))
            await self._tell(command.parent, refused)
            return
        if child is None:
            return
        if child.state.paused_by_parent:
            await self._resume(command)
        if child.state.status.rests:
            await self.report(child)

    async def _pause(self, command: PauseChild) -> None:
        """Pause a child under way, and its children. One that has not begun, or rests, is kept
        from going on by its parent."""
        with suppress(SagaNotFound, NotAllowed):
            async with self.driver.holding(command.child_id) as live:
                parent = await self._saga(command.parent.saga_id)
                if parent.state.paused_at is not None:
                    why = f"its parent {command.parent.saga_id} is paused"
                    await self.driver.happen(live, PauseAsked(by_parent=True, reason=why))
                child = live.saga
            await self.pause(child)

    async def _resume(self, command: StartChild) -> None:
        """Let a child go on that its parent had paused, unless the parent is paused again."""
        async with self.driver.holding(command.child_id) as live:
            parent = await self._saga(command.parent.saga_id)
            if parent.state.paused_at is None:
                await self._end_pause(live, command.parent)

    async def _end_pause(self, live: Live, parent: Parent) -> None:
        if live.saga.state.paused_by_parent:
            why = f"its parent {parent.saga_id} goes on"
            await self.driver.happen(live, ResumeAsked(by_parent=True, reason=why))

    async def _found_or_started(self, command: StartChild) -> Saga | None:
        """None if the parent wants it no more: whoever called it back has found nothing to undo,
        and has told the parent so."""
        async with self.driver.turn_of(command.child_id):
            try:
                return await self._saga(command.child_id)
            except SagaNotFound:
                parent = await self._saga(command.parent.saga_id)
                wanted = _awaits(parent, command.parent.step)
                return await self._start_new(command) if wanted else None

    async def _saga(self, saga_id: str) -> Saga:
        live = self.driver.live.get(saga_id)
        return live.saga if live is not None else await self.driver.journal.load(saga_id)

    async def _start_new(self, command: StartChild) -> Saga:
        if command.parent.depth > self.driver.nesting_limit:
            raise _NestedTooDeep(command.parent.depth, self.driver.nesting_limit)
        given = _input(command.input)
        definition = await self.driver.journal.registry.get(command.saga_type, command.version)
        check_input(definition, given)
        request = StartRequested(entity_id=command.entity_id, input=given, parent=command.parent)
        return (await self.driver.start(definition, command.child_id, request)).saga

    async def _undo(self, command: UndoChild) -> None:
        """One that rests undone is only reported; one that never began need not be.

        One that cannot be undone goes forward, and is not held up by a pause of its parent.
        """
        step = command.parent.step
        try:
            async with self.driver.holding(command.child_id) as live:
                if live.saga.state.status not in OVER:
                    why = f"its parent {command.parent.saga_id} is undone"
                    try:
                        await self.driver.happen(live, CompensationAsked(reason=why))
                    except NotAllowed:
                        await self._end_pause(live, command.parent)
                        raise
                    await self._end_pause(live, command.parent)
                there = live.saga
        except SagaNotFound:
            await self._tell(command.parent, _never_began(step))
        except NotAllowed as error:
            await self._tell(command.parent, ChildRefused(step=step, error=str(error)))
        else:
            if there.state.status in OVER:
                await self.report(there)

    async def _tell(self, parent: Parent, happening: Happening) -> None:
        await self.driver.meet(parent.saga_id, happening)


def _awaits(parent: Saga, step: str) -> bool:
    state = parent.state
    going = state.status in (SagaStatus.RUNNING, SagaStatus.PARKED) and state.paused_at is None
    return going and parent.status_of(step) is StepStatus.WAITING


def _input(given: Json) -> JsonObject:
    """Raises InvalidInput."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return given
    detail = "the input of a child saga is an object"
    raise InvalidInput([Finding(code="not-an-object", pointer="/input", detail=detail)])


def _rested(child: Saga, step: str) -> ChildRested:
    return ChildRested(
        step=step,
        status=child.state.status,
        outputs=child.known_outputs,
        error=child.state.error or "",
    )


def _never_began(step: str) -> ChildRested:
    undone = SagaStatus.COMPENSATED
    return ChildRested(step=step, status=undone, outputs={}, error="it was never started")
