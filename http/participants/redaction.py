"""Secrets that went out do not come back in.

What a participant replies is recorded and shown. One that repeats the headers of a call, in an
error message say, would put a secret into the log for ever, so it is blotted out on arrival.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from ...fsm.answer import Answer, Reply

SHORTEST_SECRET = 8  # characters; anything shorter is found in replies that do not repeat it
BLOT = "[secret]"


class Redaction:
    def __init__(self, secrets: Iterable[str]) -> None:
        found = {form for secret in secrets for form in _forms(secret)}
        self._forms = sorted(found, key=len, reverse=True)

    def of(self, answer: Answer) -> Answer:
        if isinstance(answer, Reply):
            return replace(answer, body=self._in_bytes(answer.body))
        return replace(answer, reason=self._in_text(answer.reason))

    def _in_bytes(self, body: bytes) -> bytes:
        for form in self._forms:
            body = body.replace(form.encode(), BLOT.encode())
        return body

    def _in_text(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, BLOT)
        return text


def _forms(secret: str) -> Iterator[str]:
    """Whole, without a scheme like `Bearer` before it, and each as JSON writes it."""
    for form in (secret, *secret.split()):
        if len(form) >= SHORTEST_SECRET:
            yield form
            yield json.dumps(form)[1:-1]
