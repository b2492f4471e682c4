"""Invariants of what clients hold in their hands, and of secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ..formats.redaction import contains_secret
from ..machines import SagaStatus
from .history import History
from .violation import Breach, Invariant, Violation


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAck:
    """An answer as its client got it. `status` is that of the saga; the number of an HTTP status
    says only that it was acknowledged. `request` names what was asked by its idempotency key."""

    at: datetime
    saga_id: str
    status: SagaStatus | int | None = None
    version: int | None = None
    request: str | None = None


def acknowledgements_hold(history: History, answers: Iterable[ClientAck]) -> Iterator[Breach]:
    """I16."""
    reached = {
        one.version: status for one, status in zip(history.entries, history.statuses, strict=True)
    }
    for answer in answers:
        version, status = answer.version, answer.status
        told = {reached[version]} if version in reached else set(history.statuses)
        if version is not None and version not in reached:
            detail = f"version {version} was acknowledged, and the log ends at {history.version}"
            yield Breach(None, detail)
        elif isinstance(status, SagaStatus) and status not in told:
            when = f"at version {version}" if version is not None else "ever"
            yield Breach(version, f"{status} was acknowledged, and it was not {when}")


def one_key_one_saga(answers: Iterable[ClientAck]) -> Iterator[Violation]:
    """I13. Whoever repeats a request is told of the same saga."""
    first: dict[str, str] = {}
    for answer in answers:
        if answer.request is None:
            continue
        known = first.setdefault(answer.request, answer.saga_id)
        if known != answer.saga_id:
            yield Violation(
                code=Invariant.ONE_KEY_ONE_SAGA,
                saga_id=answer.saga_id,
                version=None,
                detail=f"{answer.request} was answered with saga {known} before",
            )


def secrets_are_absent(
    payloads: Iterable[tuple[int, bytes]], secrets: Collection[bytes]
) -> Iterator[Breach]:
    """`payloads` with their versions; `secrets` in every form in which they could stand there."""
    for version, payload in payloads:
        if contains_secret(payload, secrets):
            yield Breach(version, "a secret stands in it")
