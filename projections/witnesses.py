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

from ..fsm.complaints import findings_of
from ..fsm.invariants import Acknowledged, SeenCall, Watch

CALL, ANSWER = TypeAdapter(SeenCall), TypeAdapter(Acknowledged)
Told = TypeVar("Told", SeenCall, Acknowledged)


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """By saga, each in order of time. `watch` tells whose silence means something."""

    watch: Watch
    calls: Mapping[str, Sequence[SeenCall]] = field(default_factory=dict)
    answers: Mapping[str, Sequence[Acknowledged]] = field(default_factory=dict)


def hear(calls: Iterable[SeenCall], answers: Iterable[Acknowledged], *, at: datetime) -> Witnesses:
    """`at` is from before they were asked: of what happened later nothing is missed."""
    heard = list(calls)
    watch = Watch(frozenset(one.participant for one in heard), until=at)
    return Witnesses(watch=watch, calls=_by_saga(heard), answers=_by_saga(answers))


def read_calls(lines: Iterable[bytes]) -> Iterator[SeenCall]:
    """Raises ValueError that names the line."""
    return _read(CALL, lines)


def read_answers(lines: Iterable[bytes]) -> Iterator[Acknowledged]:
    """Raises ValueError that names the line."""
    return _read(ANSWER, lines)


def _read(adapter: TypeAdapter[Told], lines: Iterable[bytes]) -> Iterator[Told]:
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            return
        try:
            yield adapter.validate_json(line)
        except ValidationError as error:
            first = next(findings_of(error))
            where = first.pointer or "it"
            raise ValueError(f"line {number}: {where} {first.detail}") from None


def _by_saga(told: Iterable[Told]) -> Mapping[str, Sequence[Told]]:
    found: defaultdict[str, list[Told]] = defaultdict(list)
    for one in sorted(told, key=lambda one: one.at):
        found[one.saga_id].append(one)
    return found
