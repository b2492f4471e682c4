"""What others have written down of sagas: participants of calls, clients of answers.

Both are JSON lines, one call or one answer a line:

    {"at", "participant", "key", "saga_id", "step", "direction", "attempt", "epoch", "method",
     "path", "effect": true|false, "status"}
    {"at", "saga_id", "status", "version"?, "request"}

Whoever is killed while writing leaves half a line at the end: that is not counted.
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
    """By saga, each in order of time. `watch` tells whose silence means something."""

    coverage: LedgerCoverage
    calls: Mapping[str, Sequence[LedgerEntry]] = field(default_factory=dict)
    acknowledgements: Mapping[str, Sequence[ClientAck]] = field(default_factory=dict)


def collect_evidence(
    calls: Iterable[LedgerEntry], answers: Iterable[ClientAck], *, at: datetime
) -> Evidence:
    """`at` is from before they were asked: of what happened later nothing is missed."""
    heard = list(calls)
    watch = LedgerCoverage(frozenset(one.participant for one in heard), until=at)
    return Evidence(coverage=watch, calls=_by_saga(heard), acknowledgements=_by_saga(answers))


def read_calls(lines: Iterable[bytes]) -> Iterator[LedgerEntry]:
    """Raises ValueError that names the line."""
    return _read(CALL, lines)


def read_acknowledgements(lines: Iterable[bytes]) -> Iterator[ClientAck]:
    """Raises ValueError that names the line."""
    return _read(ACKNOWLEDGEMENT, lines)


def _read(adapter: TypeAdapter[Record], lines: Iterable[bytes]) -> Iterator[Record]:
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            return
        try:
            yield adapter.validate_json(line)
        except ValidationError as error:
            first = next(validation_findings(error))
            where = first.pointer or "it"
            raise ValueError(f"line {number}: {where} {first.detail}") from None


def _by_saga(told: Iterable[Record]) -> Mapping[str, Sequence[Record]]:
    found: defaultdict[str, list[Record]] = defaultdict(list)
    for one in sorted(told, key=lambda one: one.at):
        found[one.saga_id].append(one)
    return found
