"""Definitions by name and version: immutable documents beside the log, cached in memory.

A version is cached for ever. The latest version of a name may change on another node, so among
several nodes it is cached for a moment only; and `register` returns only after every node's cached
latest version has expired.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Final

from ...eventstore import EventLog, PutResult
from ..definitions.definition import Definition
from ..definitions.parser import parse_unverified_definition, reject_verifier_errors
from ..expressions.functions import json_equal
from ..formats.strict_json import parse
from .clock import Clock
from .concurrency import WorkerThread
from .errors import DefinitionExists, DefinitionNotFound
from .sharding.lease import SOLE_NODE, LeaseView

DOCUMENT_KIND = "definition"
LATEST_VERSION_TTL: Final = timedelta(milliseconds=250)


@dataclass(frozen=True, slots=True)
class _PendingRead:
    """A read of the log that is shared by all callers of the same version: thousands may start at
    once."""

    started_at: float  # time of the event loop
    task: asyncio.Task[Definition]


class DefinitionRegistry:
    """Registers, caches and loads definitions."""

    def __init__(
        self,
        log: EventLog,
        clock: Clock,
        sleep_cap: timedelta | None = None,
        lease: LeaseView = SOLE_NODE,
    ) -> None:
        """With a `sleep_cap` no step sleeps longer. A node that is alone registers all versions.

        The end of a sleep is recorded as it begins, so the cap touches no saga that sleeps already,
        and no replay depends on it.
        """
        self.log, self.clock, self.sleep_cap, self.lease = log, clock, sleep_cap, lease
        self._known: dict[tuple[str, int], Definition] = {}
        self._latest: dict[str, int] = {}
        self._latest_read_at: dict[str, float] = {}
        self._registering = asyncio.Lock()
        self._pending_reads: dict[tuple[str, int | None], _PendingRead] = {}
        self._worker_thread = WorkerThread()

    async def load(self) -> None:
        """Read all registered definitions that are not cached yet."""
        for document in await self.log.list_documents(DOCUMENT_KIND):
            if (document.name, document.version) not in self._known:
                self._cache(await self._load_definition(document.content))

    async def register(self, definition: Definition) -> bool:
        """Record the definition; return whether it is new.

        A recorded definition is not verified again: a later verifier may be stricter.

        Raises InvalidDefinition, and DefinitionExists if the version has another content.
        """
        async with self._registering:  # else two halves of a cycle would not see each other
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
        if result is PutResult.CREATED and not self.lease.is_alone:
            await asyncio.sleep(LATEST_VERSION_TTL.total_seconds())
        return result is PutResult.CREATED

    async def _recorded_or_verified(self, definition: Definition) -> Definition:
        """Return the recorded definition if its JSON has the same value (0.50 is kept as 0.5)."""
        document = await self.log.get_document(DOCUMENT_KIND, definition.name, definition.version)
        if document is not None:
            recorded = parse(document.content)
            if json_equal(recorded, parse(definition.source)):
                return parse_unverified_definition(recorded)
        await self.load()
        size = len(definition.source)
        await self._worker_thread.run(size, reject_verifier_errors, definition, self.known())
        return definition

    async def get(self, name: str, version: int | None = None) -> Definition:
        """Return that version, or the latest. Raises DefinitionNotFound."""
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
            len(content), parse_unverified_definition, parse(content)
        )

    def _on_read_done(
        self, key: tuple[str, int | None], reading: _PendingRead, task: asyncio.Task[Definition]
    ) -> None:
        if not task.cancelled():
            task.exception()  # retrieved here: every caller may have gone
        if self._pending_reads.get(key) is reading:
            del self._pending_reads[key]

    def cached(self, name: str, version: int | None = None) -> Definition | None:
        """Return that version, or the latest, if it is known without a read of the log."""
        if version is None:
            version = self._latest_version(name)
        return None if version is None else self._known.get((name, version))

    def _latest_version(self, name: str) -> int | None:
        """Return the latest version, or None if it is not cached or the cached one has expired."""
        if not self.lease.is_alone:
            age = asyncio.get_running_loop().time() - self._latest_read_at.get(name, 0.0)
            if age > LATEST_VERSION_TTL.total_seconds():
                return None
        return self._latest.get(name)

    def known(self) -> list[Definition]:
        """Return all cached definitions, in order of name and version."""
        return [self._known[key] for key in sorted(self._known)]

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
