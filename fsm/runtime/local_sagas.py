"""Requests about the sagas that this node drives.

A request may come through another node, and then twice: a start is recognised by the id of its
saga, every other input by the id of its message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...eventstore import Fenced, InvalidStreamId, LogUnavailable, WrongExpectedVersion
from ..decider.driven_by_parent import depends_on_parent, driven_verbs, require_not_driven
from ..errors import NotAllowed
from ..inputs import ForwardedInput, Input
from ..saga import Saga
from .active_saga import ActiveSaga
from .driver import Driver
from .errors import NotShardOwner, SagaNotFound, Unavailable, VersionConflict
from .saga_repository import SagaRepository
from .sharding.lease import SOLE_NODE, LeaseView
from .sharding.node_protocol import RemoteCommand, RemoteResult, RemoteStart


class LocalSagas:
    """Executes requests on the sagas of this node."""

    def __init__(
        self, repository: SagaRepository, driver: Driver, lease: LeaseView = SOLE_NODE
    ) -> None:
        """While the `lease` is current, a saga in memory is the newest there is."""
        self.repository, self.driver, self.lease = repository, driver, lease

    async def start(self, start: RemoteStart) -> tuple[Saga, bool]:
        """Start a saga durably; return it, and whether it had been started before.

        Raises DefinitionNotFound, NotShardOwner, Unavailable.
        """
        self._require_driven(start.saga_id)
        async with self.driver.creation_lock(start.saga_id):
            try:
                return await self.saga(start.saga_id), True
            except SagaNotFound:
                pass
            definition = await self.repository.registry.get(start.saga_type, start.version)
            try:
                active = await self.driver.start(definition, start.saga_id, start.request)
            except WrongExpectedVersion:
                return await self.saga(start.saga_id), True
            return active.saga, False

    async def handle(
        self, saga_id: str, input_: Input, expected_version: int | None = None
    ) -> Saga:
        """Handle an input durably; return the saga after it.

        Raises what the core refuses, SagaNotFound, VersionConflict, NotShardOwner, Unavailable.
        """
        self._require_driven(saga_id)
        with log_errors_as_unavailable():
            async with self.driver.acquire(saga_id, waits_for_log=False) as active:
                if _was_applied(active.saga, input_):
                    # The first delivery has changed the version that was expected.
                    await self.driver.handle(active, input_)
                else:
                    await self._handle(active, input_, expected_version)
                saga = active.saga
            if saga.state.paused_at is not None and saga.definition.children:
                await self._pause_children(saga)
            return saga

    async def _pause_children(self, saga: Saga) -> None:
        """Pause the children too, so that none of them sends anything new once this returns.

        The saga must not be held meanwhile (see `_handle`). If the log cannot record the pauses
        now, the driver repeats them.
        """
        with suppress(Unavailable, LogUnavailable, Fenced):
            await self.driver.child_sagas.pause(saga)

    async def _handle(
        self, active: ActiveSaga, input_: Input, expected_version: int | None
    ) -> None:
        """Handle an input; if it depends on the parent, hold the parent until it is recorded.

        Meanwhile the parent can neither leave its rest nor count the child. A child is in the
        shard of its parent, so both are driven here. Sagas are held from the child upwards only,
        so two requests never deadlock. Raises DrivenByParent.
        """
        original = input_.input if isinstance(input_, ForwardedInput) else input_
        parent_ref = active.saga.state.parent
        if parent_ref is None or not depends_on_parent(active.saga, original):
            await self.driver.handle(active, input_, expected_version=expected_version)
            return
        async with self.driver.acquire(parent_ref.saga_id, waits_for_log=False) as parent:
            while True:
                child = active.saga
                require_not_driven(child, parent.saga, original)
                version = child.state.version if expected_version is None else expected_version
                try:
                    await self.driver.handle(active, input_, expected_version=version)
                    return
                except VersionConflict:  # the child has changed since it was checked
                    if expected_version is not None:
                        raise
                except NotAllowed as refusal:
                    driven = driven_verbs(child, parent.saga)
                    refusal.allowed_actions = tuple(
                        verb for verb in refusal.allowed_actions if verb not in driven
                    )
                    raise

    async def saga(self, saga_id: str) -> Saga:
        """Return the saga as of now, whichever node drives it. Raises SagaNotFound, Unavailable."""
        active = self.driver.active.get(saga_id)
        if active is not None and self.lease.is_current:
            return active.saga
        with log_errors_as_unavailable():
            return self.driver.with_unrecorded(await self.repository.load(saga_id))

    async def execute(self, message_id: str, request: RemoteCommand | RemoteStart) -> RemoteResult:
        """Execute the request of another node. Raises as `start` and `handle` do."""
        if isinstance(request, RemoteStart):
            saga, replayed = await self.start(request)
            return RemoteResult(version=saga.state.version, replayed=replayed)
        delivered = ForwardedInput(message_id=message_id, input=request.input)
        saga = await self.handle(request.saga_id, delivered, request.expected_version)
        return RemoteResult(version=saga.state.version)

    def _require_driven(self, saga_id: str) -> None:
        try:
            driven = self.driver.drives(saga_id)
        except InvalidStreamId:
            raise SagaNotFound(saga_id) from None
        if not driven:
            raise NotShardOwner(saga_id)


def _was_applied(saga: Saga, input_: Input) -> bool:
    return (
        isinstance(input_, ForwardedInput) and input_.message_id in saga.state.applied_message_ids
    )


@contextmanager
def log_errors_as_unavailable() -> Iterator[None]:
    """Raise Unavailable in place of LogUnavailable."""
    try:
        yield
    except LogUnavailable as error:
        raise Unavailable(str(error)) from error
