"""Definitions by name and version: immutable, and kept beside the log.

A version is known for ever once it was seen. Which one is the newest may change on another node, so
among several nodes that is remembered for a moment only; and a new version is not said to be
registered before everybody's memory of an older newest one is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

from ...eventstore.event_log import EventLog, PutResult
from ..definitions.definition import Definition
from ..definitions.parser import load_registered_definition, reject_errors
from ..expressions.functions import json_equal
from ..formats.strict_json import parse
from .clock import Clock
from .concurrency import WorkerThread
from .errors import DefinitionExists, DefinitionNotFound

DOCUMENT_KIND = "definition"
LATEST_VERSION_TTL: Final = timedelta(milliseconds=250)


@dataclass(frozen=True, slots=True)
class _PendingRead:
    """A look into the log that all share who want the same: thousands may start at once."""

    started_at: float  # the loop's time
    task: asyncio.Task[Definition]


class DefinitionRegistry:
    def __init__(self, log: EventLog, clock: Clock, sleep_cap: timedelta | None = None) -> None:
        """With a `sleep_cap` no step sleeps longer. When a sleep ends is recorded as it begins, so
        sagas that sleep already are not touched, and no replay depends on it."""
        self.log, self.clock, self.sleep_cap = log, clock, sleep_cap
        self.is_alone: Callable[[], bool] = lambda: True  # no other node can register anything
        self._known: dict[tuple[str, int], Definition] = {}
        self._latest: dict[str, int] = {}
        self._latest_read_at: dict[str, float] = {}
        self._registering = asyncio.Lock()
        self._pending_reads: dict[tuple[str, int | None], _PendingRead] = {}
        self._worker_thread = WorkerThread()

    async def load(self) -> None:
        """Read all that were ever registered."""
        for document in await self.log.list_documents(DOCUMENT_KIND):
            if (document.name, document.version) not in self._known:
                self._cache(await self._load_definition(document.content))

    async def register(self, definition: Definition) -> bool:
        """Put it into the log; return whether it is new.

        What is registered already is not verified again: a later verifier may be stricter.

        Raises InvalidDefinition, and DefinitionExists if the version has another content.
        """
        async with self._registering:  # or two halves of a circle would not see each other
            definition = await self._recorded_or_verified(definition)
            result = await self.log.put_document(
                DOCUMENT_KIND,
                definition.name,
                definition.version,
                definition.source,
                put_at=self.clock.now(),
            )
            if result is PutResult.DIFFERENT:
                raise DefinitionExists(definition.name, definition.version)
            self._cache(definition)
        if result is PutResult.CREATED and not self.is_alone():
            await asyncio.sleep(LATEST_VERSION_TTL.total_seconds())
        return result is PutResult.CREATED

    async def _recorded_or_verified(self, definition: Definition) -> Definition:
        """Return the recorded one if its JSON has the same value: 0.50 may be there as 0.5."""
        there = await self.log.get_document(DOCUMENT_KIND, definition.name, definition.version)
        if there is not None and json_equal(
            recorded := parse(there.content), parse(definition.source)
        ):
            return load_registered_definition(recorded)
        await self.load()
        size = len(definition.source)
        await self._worker_thread.run(size, reject_errors, definition, self.known())
        return definition

    async def get(self, name: str, version: int | None = None) -> Definition:
        """That version, or the newest. Raises DefinitionNotFound."""
        if known := self.cached(name, version):
            return known
        now = asyncio.get_running_loop().time()
        reading = self._pending_reads.get((name, version))
        if reading is None or now - reading.started_at > LATEST_VERSION_TTL.total_seconds():
            reading = _PendingRead(now, asyncio.create_task(self._read(name, version, now)))
            self._pending_reads[name, version] = reading
            reading.task.add_done_callback(partial(self._on_read_done, (name, version), reading))
        return await asyncio.shield(reading.task)

    async def _read(self, name: str, version: int | None, asked_at: float) -> Definition:
        document = await self.log.get_document(DOCUMENT_KIND, name, version)
        if document is None:
            raise DefinitionNotFound(name, version)
        if version is None:
            self._latest_read_at[name] = asked_at
        known = self._known.get((name, document.version))
        return known or self._cache(await self._load_definition(document.content))

    async def _load_definition(self, content: bytes) -> Definition:
        return await self._worker_thread.run(
            len(content), load_registered_definition, parse(content)
        )

    def _on_read_done(
        self, place: tuple[str, int | None], reading: _PendingRead, task: asyncio.Task[Definition]
    ) -> None:
        if not task.cancelled():
            task.exception()  # each caller that still waits is given it
        if self._pending_reads.get(place) is reading:
            del self._pending_reads[place]

    def cached(self, name: str, version: int | None = None) -> Definition | None:
        """That version, or the newest, if the log need not be asked for it."""
        wanted = version if version is not None else self._latest_version(name)
        return None if wanted is None else self._known.get((name, wanted))

    def _latest_version(self, name: str) -> int | None:
        """None if it is not known, or not any more."""
        if not self.is_alone():
            age = asyncio.get_running_loop().time() - self._latest_read_at.get(name, 0.0)
            if age > LATEST_VERSION_TTL.total_seconds():
                return None
        return self._latest.get(name)

    def known(self) -> list[Definition]:
        """In order of name and version."""
        return [self._known[place] for place in sorted(self._known)]

    def _cache(self, definition: Definition) -> Definition:
        name, version = definition.name, definition.version
        self._latest[name] = max(version, self._latest.get(name, 0))
        return self._known.setdefault((name, version), _with_sleep_cap(definition, self.sleep_cap))


def _with_sleep_cap(definition: Definition, sleep_cap: timedelta | None) -> Definition:
    if sleep_cap is None or all(step.sleep is None for step in definition.steps):
        return definition
    steps = [
        step if step.sleep is None else replace(step, sleep=min(step.sleep, sleep_cap))
        for step in definition.steps
    ]
    return replace(definition, steps=tuple(steps))
