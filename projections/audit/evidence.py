"""Outside evidence about sagas: ledgers of participants and acknowledgements to clients.

Both are JSON lines, one call or one acknowledgement per line:

    {"at", "participant", "key", "saga_id", "step", "direction", "attempt", "epoch", "method",
     "path", "effect": true|false, "status"}
    {"at", "saga_id", "status", "version"?, "request"}

An incomplete line at the end, from a writer that was killed, is ignored.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from ...fsm.definitions.validation_errors import validation_findings
from ...fsm.invariants import ClientAck, LedgerCoverage, LedgerEntry

CALL, ACKNOWLEDGEMENT = TypeAdapter(LedgerEntry), TypeAdapter(ClientAck)
Record = TypeVar("Record", LedgerEntry, ClientAck)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Calls and acknowledgements by saga, in order of time.

    `coverage` says for which participants the ledgers are complete, and until when.
    """

    coverage: LedgerCoverage
    calls: Mapping[str, Sequence[LedgerEntry]] = field(default_factory=dict)
    acknowledgements: Mapping[str, Sequence[ClientAck]] = field(default_factory=dict)


def collect_evidence(
    calls: Iterable[LedgerEntry], acknowledgements: Iterable[ClientAck], *, at: datetime
) -> Evidence:
    """Group calls and acknowledgements by saga.

    `at` is a time before they were collected: until then the ledgers are complete.
    """
    entries = list(calls)
    coverage = LedgerCoverage(frozenset(call.participant for call in entries), until=at)
    return Evidence(
        coverage=coverage,
        calls=_by_saga(entries),
        acknowledgements=_by_saga(acknowledgements),
    )


def read_calls(lines: Iterable[bytes]) -> Iterator[LedgerEntry]:
    """Parse the lines of a ledger. Raises ValueError that names the line."""
    return _read(CALL, lines)


def read_acknowledgements(lines: Iterable[bytes]) -> Iterator[ClientAck]:
    """Parse the lines of a client's record. Raises ValueError that names the line."""
    return _read(ACKNOWLEDGEMENT, lines)


def _read(adapter: TypeAdapter[Record], lines: Iterable[bytes]) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            return
        try:
            yield adapter.validate_json(line)
        except ValidationError as error:
            first = next(validation_findings(error))
            subject = first.pointer or "it"
            raise ValueError(f"line {number}: {subject} {first.detail}") from None


def _by_saga(records: Iterable[Record]) -> Mapping[str, Sequence[Record]]:
    by_saga: defaultdict[str, list[Record]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.at):
        by_saga[record.saga_id].append(record)
    return by_saga
