"""The doctor: checks the invariants of an installation against its log and outside evidence.

    shard by shard    the hash chain, in order of seq
                      stream by stream: is it complete, does it replay, do the invariants hold
                      batches of sagas: do their rows in the status table match their replays
    at the end        idempotency keys, and evidence of sagas that the log does not contain

The doctor only reads. Nodes may serve meanwhile: it audits the log up to given heads. If the
events of a saga are out of place, nothing else of the saga is checked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

from ...eventstore import (
    SHARD_OWNED,
    EventLog,
    Head,
    shard_stream,
)
from ...eventstore.postgres import ReaderPool
from ...fsm.invariants import Invariant, Violation, one_key_one_saga
from ..status_table import read_checkpoints
from .chain import verify_shard
from .child_checks import check_children
from .saga_audit import AuditContext, AuditFinding, SagaAudit
from .streams import StreamReader
from .view_checks import check_rows

MAX_SAGAS_PER_CHECK = 200  # one statement compares their rows


@dataclass(slots=True)
class AuditProgress:
    """The part of the log that has been audited so far."""

    shards: int = 0
    sagas: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True)
class SharedSaga:
    """A saga that is bound to more than one idempotency key."""

    saga_id: str
    keys: int


class Doctor:
    """An audit of the log up to `heads`. `readers` execute the statements of projections/sql.

    Every method raises LogUnavailable.
    """

    def __init__(
        self, log: EventLog, readers: ReaderPool, heads: Mapping[int, Head], context: AuditContext
    ) -> None:
        self._log, self._readers, self._heads, self._context = log, readers, heads, context
        self._streams = StreamReader(readers)
        self._unseen_sagas = {*context.evidence.calls, *context.evidence.acknowledgements}
        self.progress = AuditProgress()

    async def findings(
        self, show: Callable[[AuditProgress], None] = lambda progress: None
    ) -> AsyncIterator[AuditFinding]:
        """Yield all findings. `show` is called after each shard."""
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
        reached, bad = await verify_shard(self._log, shard_id, head.seq)
        if bad is not None:
            detail = f"the chain of shard {shard_id} breaks at seq {bad.seq}"
            yield _violation(Invariant.LOG_HAS_NO_GAPS, bad.stream_id, detail, bad.version)
        elif reached != head:
            detail = (
                f"the chain of shard {shard_id} leads to seq {reached.seq}, and not to the event"
                f" that was its last one when the audit began, seq {head.seq}"
            )
            yield _violation(Invariant.LOG_HAS_NO_GAPS, shard_stream(shard_id), detail)
        async for audits in self._saga_audits(shard_id, head):
            for audit in audits:
                for finding in audit.findings():
                    yield finding
                self._count(audit)
            histories = [audit.history for audit in audits if audit.history is not None]
            rows = await check_rows(self._readers, histories, checkpoint)
            for violation in (*rows, *await check_children(self._log, audits)):
                yield violation

    async def _saga_audits(self, shard_id: int, head: Head) -> AsyncIterator[Sequence[SagaAudit]]:
        """Yield audits of the sagas of a shard, in batches; the shard's own stream is skipped."""
        served_since, audits = await self._owned_since(shard_id, head), list[SagaAudit]()
        async for stream in self._streams.read_shard(shard_id, head.seq):
            if stream[0].type != SHARD_OWNED:
                audits.append(SagaAudit(stream, self._context, served_since))
            if len(audits) == MAX_SAGAS_PER_CHECK:
                yield audits
                audits = []
        if audits:
            yield audits

    async def _owned_since(self, shard_id: int, head: Head) -> datetime:
        """Return when the owner claimed the shard. In a shard's stream the version is the epoch."""
        stream_id = shard_stream(shard_id)
        claims = await self._log.read_stream(stream_id, after_version=head.epoch - 1, limit=1)
        return claims[0].recorded_at if claims else self._context.overdue

    def _count(self, audit: SagaAudit) -> None:
        self._unseen_sagas.discard(audit.saga_id)
        self.progress.sagas += 1
        self.progress.events += len(audit.stream)

    async def _check_keys(self) -> Sequence[Violation]:
        """Check I13: the primary key ensures one saga per key; here, that a saga has one key."""
        shared = await self._readers.fetch(SharedSaga, "find_shared_sagas", {})
        violations = [
            _violation(Invariant.ONE_KEY_ONE_SAGA, saga.saga_id, f"{saga.keys} keys stand for it")
            for saga in shared
        ]
        acks = chain.from_iterable(self._context.evidence.acknowledgements.values())
        return [*violations, *one_key_one_saga(acks)]

    def _check_unseen_sagas(self) -> Iterator[Violation]:
        evidence = self._context.evidence
        for saga_id in sorted(self._unseen_sagas):
            if saga_id in evidence.acknowledgements:
                detail = "it was acknowledged to a client, and the log does not contain it"
                yield _violation(Invariant.ACKNOWLEDGEMENTS_HOLD, saga_id, detail)
            if saga_id in evidence.calls:
                detail = "participants were called for it, and the log does not contain it"
                yield _violation(Invariant.INTENTS_COME_FIRST, saga_id, detail)


def _violation(
    invariant: Invariant, saga_id: str, detail: str, version: int | None = None
) -> Violation:
    return Violation(code=invariant, saga_id=saga_id, version=version, detail=detail)
