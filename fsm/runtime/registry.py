"""Definitions by name and version: immutable, and kept beside the log."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ...eventstore import EventLog, PutResult
from ..definition import Definition
from ..reader import restore_definition
from ..strict_json import parse
from .clock import Clock
from .errors import DefinitionExists, DefinitionNotFound

KIND = "definition"


class Registry:
    def __init__(self, log: EventLog, clock: Clock, sleep_cap: timedelta | None = None) -> None:
        """With a `sleep_cap` no step sleeps longer. When a sleep ends is recorded as it begins, so
        sagas that sleep already are not touched, and no replay depends on it."""
        self.log, self.clock, self.sleep_cap = log, clock, sleep_cap
        self._known: dict[tuple[str, int], Definition] = {}
        self._newest: dict[str, int] = {}

    async def load(self) -> None:
        """Read all that were ever registered."""
        for document in await self.log.list_documents(KIND):
            self._remember(restore_definition(parse(document.content)))

    async def register(self, definition: Definition) -> bool:
        """Whether it is new. Raises DefinitionExists if the version has another content."""
        result = await self.log.put_document(
            KIND,
            definition.name,
            definition.version,
            definition.source,
            put_at=self.clock.now(),
        )
        if result is PutResult.DIFFERENT:
            raise DefinitionExists(definition.name, definition.version)
        self._remember(definition)
        return result is PutResult.CREATED

    async def get(self, name: str, version: int | None = None) -> Definition:
        """That version, or the newest. Raises DefinitionNotFound."""
        wanted = version if version is not None else self._newest.get(name)
        if wanted is not None and (known := self._known.get((name, wanted))):
            return known
        document = await self.log.get_document(KIND, name, version)
        if document is None:
            raise DefinitionNotFound(name, version)
        return self._remember(restore_definition(parse(document.content)))

    def known(self) -> list[Definition]:
        """In order of name and version."""
        return [self._known[place] for place in sorted(self._known)]

    def _remember(self, definition: Definition) -> Definition:
        name, version = definition.name, definition.version
        self._newest[name] = max(version, self._newest.get(name, 0))
        return self._known.setdefault((name, version), _capped(definition, self.sleep_cap))


def _capped(definition: Definition, sleep_cap: timedelta | None) -> Definition:
    if sleep_cap is None or all(step.sleep is None for step in definition.steps):
        return definition
    steps = [
        step if step.sleep is None else replace(step, sleep=min(step.sleep, sleep_cap))
        for step in definition.steps
    ]
    return replace(definition, steps=tuple(steps))
