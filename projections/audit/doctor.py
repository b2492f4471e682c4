"""Whether an installation has kept its promises, from its log alone, or with what others saw of it.

    shard by shard    the chain, in order of seq
                      stream by stream: is it whole, does it fold, what do the invariants say
                      some sagas at a time: are their rows in the status view what they fold into
    at the end        what keys stand for, and what others tell of sagas that the log does not know

It reads, and changes nothing. Nodes may serve meanwhile: it judges the log up to the heads that it
is given. Of a saga whose events do not stand where they belong nothing else is judged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ...eventstore.event import EMPTY_HEAD, SHARD_OWNED, Head, RecordedEvent, shard_stream
from ...eventstore.event_log import EventLog
from ...eventstore.hash_chain import find_broken_event
from ...eventstore.postgres.reader_pool import ReaderPool
from ...fsm.invariants import Invariant, Violation, one_key_one_saga
from .child_checks import check_children
from .saga_audit import AuditContext, AuditFinding, SagaAudit
from .streams import EVENTS_PER_READ, StreamReader
from .view_checks import check_rows, read_checkpoints

MAX_SAGAS_PER_CHECK = 200  # whose rows are compared by one statement


@dataclass(slots=True)
class AuditProgress:
    """How much, so far."""

    shards: int = 0
    sagas: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True)
class SharedSaga:
    saga_id: str
    keys: int


class Doctor:
    """`readers` read the statements of this room. Raises LogUnavailable."""

    def __init__(
        self, log: EventLog, readers: ReaderPool, heads: Mapping[int, Head], grounds: AuditContext
    ) -> None:
        self._log, self._readers, self._heads, self._context = log, readers, heads, grounds
        self._streams = StreamReader(readers)
        self._unseen_sagas = {*grounds.evidence.calls, *grounds.evidence.acknowledgements}
        self.progress = AuditProgress()

    async def findings(
        self, show: Callable[[AuditProgress], None] = lambda examined: None
    ) -> AsyncIterator[AuditFinding]:
        """`show` is told after each shard."""
        checkpoints = await read_checkpoints(self._readers)
        for shard_id, head in sorted(self._heads.items()):
            async for finding in self._audit_shard(shard_id, head, checkpoints.get(shard_id, 0)):
                yield finding
            self.progress.shards += 1
            show(self.progress)
        for violation in (*await self._check_keys(), *self._check_unseen_sagas()):
            yield violation

    async def _audit_shard(
        self, shard_id: int, head: Head, checkpoint: int
    ) -> AsyncIterator[AuditFinding]:
        if (bad := await self._broken_link(shard_id, head)) is not None:
            detail = f"the chain of shard {shard_id} breaks at seq {bad.seq}"
            yield _violation(Invariant.LOG_HAS_NO_GAPS, bad.stream_id, detail, bad.version)
        async for cases in self._saga_audits(shard_id, head):
            for case in cases:
                for finding in case.findings():
                    yield finding
                self._count(case)
            whole = [case.history for case in cases if case.history is not None]
            rows = await check_rows(self._readers, whole, checkpoint)
            for violation in (*rows, *await check_children(self._log, cases)):
                yield violation

    async def _broken_link(self, shard_id: int, head: Head) -> RecordedEvent | None:
        reached = EMPTY_HEAD
        while reached.seq < head.seq:
            limit = min(EVENTS_PER_READ, head.seq - reached.seq)
            page = await self._log.read_shard(shard_id, after_seq=reached.seq, limit=limit)
            if (bad := find_broken_event(page, reached)) is not None:
                return bad
            reached = Head(page[-1].seq, page[-1].epoch, page[-1].hash)
        return None

    async def _saga_audits(self, shard_id: int, head: Head) -> AsyncIterator[Sequence[SagaAudit]]:
        """Some at a time. The stream of the shard itself is none."""
        served_since, cases = await self._owned_since(shard_id, head), list[SagaAudit]()
        async for stream in self._streams.read_shard(shard_id, head.seq):
            if stream[0].type != SHARD_OWNED:
                cases.append(SagaAudit(stream, self._context, served_since))
            if len(cases) == MAX_SAGAS_PER_CHECK:
                yield cases
                cases = []
        if cases:
            yield cases

    async def _owned_since(self, shard_id: int, head: Head) -> datetime:
        """When its owner took the shard over: in the stream of a shard the version is the epoch."""
        owned = shard_stream(shard_id)
        claims = await self._log.read_stream(owned, after_version=head.epoch - 1, limit=1)
        return claims[0].recorded_at if claims else self._context.overdue

    def _count(self, case: SagaAudit) -> None:
        self._unseen_sagas.discard(case.saga_id)
        self.progress.sagas += 1
        self.progress.events += len(case.stream)

    async def _check_keys(self) -> Sequence[Violation]:
        """I13. One key stands for one saga by its primary key; here it is one saga, one key."""
        shared = await self._readers.fetch(SharedSaga, "find_shared_sagas", {})
        named = [
            _violation(Invariant.ONE_KEY_ONE_SAGA, one.saga_id, f"{one.keys} keys stand for it")
            for one in shared
        ]
        answers = self._context.evidence.acknowledgements.values()
        return [*named, *one_key_one_saga(one for told in answers for one in told)]

    def _check_unseen_sagas(self) -> Iterator[Violation]:
        witnesses = self._context.evidence
        for saga_id in sorted(self._unseen_sagas):
            if saga_id in witnesses.acknowledgements:
                detail = "it was acknowledged, and the log does not know it"
                yield _violation(Invariant.ACKNOWLEDGEMENTS_HOLD, saga_id, detail)
            if saga_id in witnesses.calls:
                detail = "participants were called for it, and the log does not know it"
                yield _violation(Invariant.INTENTS_COME_FIRST, saga_id, detail)


def _violation(
    promise: Invariant, saga_id: str, detail: str, version: int | None = None
) -> Violation:
    return Violation(code=promise, saga_id=saga_id, version=version, detail=detail)
