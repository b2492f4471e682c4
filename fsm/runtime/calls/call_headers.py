"""What a call says of itself, the same to every participant.

It nearly always goes out as it stands here, so it is made as the lines of a request at once.
Nothing in them comes from outside: ids of sagas are ours, and the name of a step has no
sign but - and _.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from zlib import crc32

from ...instructions import CallParticipant
from .callback_tokens import HEADER

BODILESS = (
    "idempotency-key: %s\r\nsaga-id: %s\r\nsaga-step: %s\r\nsaga-attempt: %d\r\nsaga-epoch: %d\r\n"
    "traceparent: 00-%s-%08x%08x-01\r\n"
)
LINES = BODILESS + "content-type: application/json\r\n"


class CallHeaders(Mapping[str, str]):
    """`lines` are sound and whole, each with its end. Whoever asks by name has them parsed."""

    __slots__ = ("_members", "lines")

    def __init__(self, lines: str) -> None:
        self.lines = lines
        self._members: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        return self.by_name()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name())

    def __len__(self) -> int:
        return len(self.by_name())

    def by_name(self) -> dict[str, str]:
        if self._members is None:
            fields = (line.partition(": ") for line in self.lines.splitlines())
            self._members = {name: value for name, _, value in fields}
        return self._members


def headers_of(call: CallParticipant, epoch: int, token: str | None = None) -> CallHeaders:
    """The trace is named by the saga, the span by key and attempt. A callback brings back `token`.

    A body is JSON.
    """
    saga_id, key = call.saga_id, call.key
    lines = (BODILESS if call.body is None else LINES) % (
        key,
        saga_id,
        call.step,
        call.attempt,
        epoch,
        saga_id.replace("-", ""),
        crc32(key.encode()),
        call.attempt,  # with the one before unique in its trace, which is enough for a span
    )
    return CallHeaders(lines if token is None else f"{lines}{HEADER}: {token}\r\n")
