"""Child sagas: sagas that are a step of another one. They are started, paused and compensated here.

The id of a child is a function of its parent and step, so every instruction can be repeated: after
a crash the parent starts its child again, and is notified at once if the child is at rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from ...eventstore import LogUnavailable
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
from .active_saga import OVERLOAD_RETRY_SECONDS, ActiveSaga, SagaHost
from .definition_registry import DefinitionRegistry
from .errors import DefinitionNotFound, Overloaded, SagaNotFound

READ_RETRY_SECONDS: Final = 0.2
COMPENSATED_OR_ABANDONED = (SagaStatus.COMPENSATED, SagaStatus.ABANDONED)


class _NestedTooDeep(Exception):
    """The child would exceed the limit of nesting."""

    def __init__(self, depth: int, limit: int) -> None:
        subject = f"it would be nested {depth} levels deep"
        super().__init__(f"{subject}, and at most {limit} are allowed (SAGA_NESTING_LIMIT)")


class ChildSagas:
    """Carries out the instructions of parents, and reports to parents."""

    def __init__(self, host: SagaHost, registry: DefinitionRegistry, nesting_limit: int) -> None:
        """`nesting_limit` is the number of sagas that may be above another one."""
        self.host, self.registry, self.nesting_limit = host, registry, nesting_limit

    async def execute(self, instruction: ChildInstruction) -> None:
        """Carry out an instruction; repeat it until the log has recorded its effect."""
        while True:
            try:
                await self._execute(instruction)
                return
            except Overloaded:
                await asyncio.sleep(OVERLOAD_RETRY_SECONDS)
            except LogUnavailable:
                if self.host.is_stopping:
                    raise
                await self.host.sleep(READ_RETRY_SECONDS)

    async def pause(self, parent: Saga) -> None:
        """Pause all active children of a paused parent, and theirs."""
        for instruction in child_instructions(parent):
            if isinstance(instruction, PauseChild):
                await self.execute(instruction)

    async def notify_parent(self, child: Saga) -> None:
        """Notify the parent that its child is at rest."""
        parent = child.state.parent
        assert parent is not None, "only a child has a parent to notify"
        await self._deliver(parent, _finished(child, parent.step))

    async def _execute(self, instruction: ChildInstruction) -> None:
        match instruction:
            case StartChild():
                await self._start(instruction)
            case CompensateChild():
                await self._compensate(instruction)
            case PauseChild():
                await self._pause(instruction)

    async def _start(self, instruction: StartChild) -> None:
        """Start the child, or let it continue if it exists; notify the parent if it is at rest."""
        try:
            child = await self._load_or_start(instruction)
        except (DefinitionNotFound, InvalidInput, _NestedTooDeep) as error:
            refused = ChildInstructionRefused(step=instruction.parent.step, error=str(error))
            await self._deliver(instruction.parent, refused)
            return
        if child is None:
            return
        if child.state.paused_by_parent:
            await self._resume(instruction)
        if child.state.status.is_at_rest:
            await self.notify_parent(child)

    async def _pause(self, instruction: PauseChild) -> None:
        """Pause an active child, and its children.

        A child that is not started, or at rest, cannot continue anyway without its parent.
        """
        with suppress(SagaNotFound, NotAllowed):
            async with self.host.acquire(instruction.child_id) as active:
                parent = await self.host.load(instruction.parent.saga_id)
                if parent.state.paused_at is not None:
                    reason = f"its parent {instruction.parent.saga_id} is paused"
                    await self.host.handle(active, Pause(by_parent=True, reason=reason))
                child = active.saga
            await self.pause(child)

    async def _resume(self, instruction: StartChild) -> None:
        """Resume a child that its parent had paused, unless the parent is paused again."""
        async with self.host.acquire(instruction.child_id) as active:
            parent = await self.host.load(instruction.parent.saga_id)
            if parent.state.paused_at is None:
                await self._end_pause(active, instruction.parent)

    async def _end_pause(self, active: ActiveSaga, parent: Parent) -> None:
        if active.saga.state.paused_by_parent:
            reason = f"its parent {parent.saga_id} goes on"
            await self.host.handle(active, Resume(by_parent=True, reason=reason))

    async def _load_or_start(self, instruction: StartChild) -> Saga | None:
        """Return the child, started if need be; None if the parent no longer waits for it.

        In that case its compensation has found nothing to compensate, and notified the parent.
        """
        async with self.host.creation_lock(instruction.child_id):
            try:
                return await self.host.load(instruction.child_id)
            except SagaNotFound:
                parent = await self.host.load(instruction.parent.saga_id)
                is_awaited = _awaits_child(parent, instruction.parent.step)
                return await self._start_new(instruction) if is_awaited else None

    async def _start_new(self, instruction: StartChild) -> Saga:
        if instruction.parent.depth > self.nesting_limit:
            raise _NestedTooDeep(instruction.parent.depth, self.nesting_limit)
        child_input = _input_object(instruction.input)
        definition = await self.registry.get(instruction.saga_type, instruction.version)
        check_input(definition, child_input)
        request = StartSaga(
            entity_id=instruction.entity_id, input=child_input, parent=instruction.parent
        )
        return (await self.host.start(definition, instruction.child_id, request)).saga

    async def _compensate(self, instruction: CompensateChild) -> None:
        """Compensate the child, and notify the parent if nothing is left to do.

        A child that cannot be compensated goes forward, whether or not its parent is paused.
        """
        step = instruction.parent.step
        try:
            async with self.host.acquire(instruction.child_id) as active:
                if active.saga.state.status not in COMPENSATED_OR_ABANDONED:
                    reason = f"its parent {instruction.parent.saga_id} is undone"
                    try:
                        await self.host.handle(active, Compensate(reason=reason))
                    except NotAllowed:
                        await self._end_pause(active, instruction.parent)
                        raise
                    await self._end_pause(active, instruction.parent)
                child = active.saga
        except SagaNotFound:
            await self._deliver(instruction.parent, _never_started(step))
        except NotAllowed as error:
            await self._deliver(
                instruction.parent, ChildInstructionRefused(step=step, error=str(error))
            )
        else:
            if child.state.status in COMPENSATED_OR_ABANDONED:
                await self.notify_parent(child)

    async def _deliver(self, parent: Parent, input_: Input) -> None:
        await self.host.deliver(parent.saga_id, input_)


def _awaits_child(parent: Saga, step: str) -> bool:
    state = parent.state
    goes_forward = state.status in (SagaStatus.RUNNING, SagaStatus.PARKED)
    return goes_forward and state.paused_at is None and parent.status_of(step) is StepStatus.WAITING


def _input_object(value: Json) -> JsonObject:
    """Return the value as an input. Raises InvalidInput if it is not an object."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
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
    return ChildFinished(
        step=step, status=SagaStatus.COMPENSATED, outputs={}, error="it was never started"
    )
