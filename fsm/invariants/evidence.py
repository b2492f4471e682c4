"""Invariants of what clients were answered, and of secrets in the log (I13, I15, I16)."""

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
    """An answer as its client got it: an acknowledgement of the service.

    `status` is that of the saga; an HTTP status says only that the request was acknowledged.
    `request` is the idempotency key of the request.
    """

    at: datetime
    saga_id: str
    status: SagaStatus | int | None = None
    version: int | None = None
    request: str | None = None


def acknowledgements_hold(history: History, answers: Iterable[ClientAck]) -> Iterator[Breach]:
    """Invariant I16. Each version and status that a client was answered is in the log."""
    reached = {
        entry.version: status
        for entry, status in zip(history.entries, history.statuses, strict=True)
    }
    for answer in answers:
        version, status = answer.version, answer.status
        possible = {reached[version]} if version in reached else set(history.statuses)
        if version is not None and version not in reached:
            detail = f"version {version} was acknowledged, and the log ends at {history.version}"
            yield Breach(None, detail)
        elif isinstance(status, SagaStatus) and status not in possible:
            when = f"at version {version}" if version is not None else "at any version"
            yield Breach(version, f"{status} was acknowledged, and the saga was not {when}")


def one_key_one_saga(answers: Iterable[ClientAck]) -> Iterator[Violation]:
    """Invariant I13. A repeated request is answered with the same saga."""
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
    """Invariant I15. No secret is in an event, in any encoding.

    `payloads` come with their versions, `secrets` in every form that they can take in JSON.
    """
    for version, payload in payloads:
        if contains_secret(payload, secrets):
            yield Breach(version, "it contains a secret")
