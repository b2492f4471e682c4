"""What is done to the sagas that this node drives.

Whatever can be asked here can come through another node, and then maybe twice: a start is one by
the name of its saga, everything else by the message that it came in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...eventstore import Fenced, InvalidStreamId, LogUnavailable, WrongExpectedVersion
from ..errors import NotAllowed
from ..family import demand_free, depends_on_parent, driven_verbs
from ..happening import Happening, MessageDelivered
from ..saga import Saga
from .driver import Driver
from .errors import NotDrivenHere, NotServing, SagaNotFound, VersionMoved
from .journal import Journal
from .live import Live
from .message import Ask, Begin, Done


class Local:
    def __init__(self, journal: Journal, driver: Driver) -> None:
        self.journal, self.driver = journal, driver

    async def begin(self, begin: Begin) -> tuple[Saga, bool]:
        """The saga, and whether it was there already. Durable when it returns.

        Raises DefinitionNotFound, NotDrivenHere, NotServing.
        """
        self._demand(begin.saga_id)
        async with self.driver.turn_of(begin.saga_id):
            try:
                return await self.saga(begin.saga_id), True
            except SagaNotFound:
                pass
            definition = await self.journal.registry.get(begin.saga_type, begin.version)
            try:
                live = await self.driver.start(definition, begin.saga_id, begin.request)
            except WrongExpectedVersion:
                return await self.saga(begin.saga_id), True
            return live.saga, False

    async def happen(
        self, saga_id: str, happening: Happening, expected_version: int | None = None
    ) -> Saga:
        """Raises what the core refuses, SagaNotFound, VersionMoved, NotDrivenHere, NotServing."""
        self._demand(saga_id)
        with serving():
            async with self.driver.holding(saga_id, patiently=False) as live:
                if _was_taken(live.saga, happening):
                    # The version it expected is gone because of itself.
                    await self.driver.happen(live, happening)
                else:
                    await self._happen(live, happening, expected_version)
                saga = live.saga
            if saga.state.paused_at is not None and saga.definition.children:
                await self._pause_children(saga)
            return saga

    async def _pause_children(self, saga: Saga) -> None:
        """Return once the pause has reached the children, so that none of them sends anything new.

        The saga must not be held meanwhile (see `_happen`). If the log cannot record it now,
        the driver goes on trying.
        """
        with suppress(NotServing, LogUnavailable, Fenced):
            await self.driver.children.pause(saga)

    async def _happen(self, live: Live, happening: Happening, expected_version: int | None) -> None:
        """Hold the parent of a child until what is asked of the child is recorded, if the parent
        has a say in it: meanwhile it can neither leave its rest nor count the child.

        A child is in the shard of its parent, so both are driven here. Sagas are held from the
        child upwards only, so two requests never wait for each other. Raises DrivenByParent.
        """
        asked = happening.happening if isinstance(happening, MessageDelivered) else happening
        of = live.saga.state.parent
        if of is None or not depends_on_parent(live.saga, asked):
            await self.driver.happen(live, happening, expected_version=expected_version)
            return
        async with self.driver.holding(of.saga_id, patiently=False) as parent:
            while True:
                child = live.saga
                demand_free(child, parent.saga, asked)
                version = child.state.version if expected_version is None else expected_version
                try:
                    await self.driver.happen(live, happening, expected_version=version)
                    return
                except VersionMoved:  # the child has moved since it was looked at
                    if expected_version is not None:
                        raise
                except NotAllowed as refusal:
                    driven = driven_verbs(child, parent.saga)
                    left = (one for one in refusal.allowed_actions if one not in driven)
                    refusal.allowed_actions = tuple(left)
                    raise

    async def saga(self, saga_id: str) -> Saga:
        """As of now, wherever it is driven. Raises SagaNotFound, NotServing."""
        live = self.driver.live.get(saga_id)
        if live is not None and self.driver.is_current():
            return live.saga
        with serving():
            return self.driver.known(await self.journal.load(saga_id))

    async def answer(self, message_id: str, question: Ask | Begin) -> Done:
        """What another node asks for. Raises as `begin` and `happen` do."""
        if isinstance(question, Begin):
            saga, replayed = await self.begin(question)
            return Done(version=saga.state.version, replayed=replayed)
        delivered = MessageDelivered(message_id=message_id, happening=question.happening)
        saga = await self.happen(question.saga_id, delivered, question.expected_version)
        return Done(version=saga.state.version)

    def _demand(self, saga_id: str) -> None:
        try:
            driven = self.driver.drives(saga_id)
        except InvalidStreamId:
            raise SagaNotFound(saga_id) from None
        if not driven:
            raise NotDrivenHere(saga_id)


def _was_taken(saga: Saga, happening: Happening) -> bool:
    return isinstance(happening, MessageDelivered) and happening.message_id in saga.state.messages


@contextmanager
def serving() -> Iterator[None]:
    """A log that does not answer is told as such."""
    try:
        yield
    except LogUnavailable as error:
        raise NotServing(str(error)) from error
