"""The headers that identify a call of a saga, the same for every participant.

They are rendered as lines of a request at once, which saves 5 µs a saga (1.6 %). Nothing in them
needs escaping: saga ids are generated, and the name of a step has no sign but - and _.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from zlib import crc32

from ...fsm.instructions import CallParticipant

CALLBACK_TOKEN_HEADER = "saga-callback-token"
BODILESS = (
    "idempotency-key: %s\r\nsaga-id: %s\r\nsaga-step: %s\r\nsaga-attempt: %d\r\nsaga-epoch: %d\r\n"
    "traceparent: 00-%s-%08x%08x-01\r\n"
)
LINES = BODILESS + "content-type: application/json\r\n"


class CallHeaders(Mapping[str, str]):
    """Header lines that need no validation, each with its end; parsed on access by name."""

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
    """Return the headers of a call. A step callback of the participant brings back `token`.

    The trace id is the saga's, the span id is of key and attempt. A body is JSON.
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
    return CallHeaders(lines if token is None else f"{lines}{CALLBACK_TOKEN_HEADER}: {token}\r\n")
