"""Tokens of step callbacks: HMACs of saga and step, so none is stored.

The token of a step is the same on every attempt and after every crash, and it is in no event. It is
used once because the saga completes a step once and ignores later callbacks.
"""

from __future__ import annotations

import hashlib
import hmac

SECRET_BYTES = 32


class CallbackTokens:
    """Issues and verifies the callback tokens of all steps under one secret."""

    def __init__(self, secret: bytes) -> None:
        assert len(secret) >= SECRET_BYTES, "a short secret can be guessed"
        self._secret = secret

    def issue(self, saga_id: str, step: str) -> str:
        """Return the token of a step."""
        subject = f"{saga_id}/{step}".encode()
        return hmac.new(self._secret, subject, hashlib.sha256).hexdigest()

    def verify(self, saga_id: str, step: str, token: str) -> bool:
        """True if `token` is the token of the step; compares in constant time."""
        return hmac.compare_digest(self.issue(saga_id, step).encode(), token.encode())
