"""One-time tokens of callbacks: a function of a secret and of what is called, so none is stored.

The token of a call is the same on every attempt and after every crash, and it is in no event. That
it counts once is the saga's own rule: a step is completed once, whatever comes later is ignored.
"""

from __future__ import annotations

import hashlib
import hmac

HEADER = "saga-callback-token"
SECRET_BYTES = 32


class CallbackTokens:
    def __init__(self, secret: bytes) -> None:
        assert len(secret) >= SECRET_BYTES, "a short secret can be guessed"
        self._secret = secret

    def issue(self, saga_id: str, step: str) -> str:
        named = f"{saga_id}/{step}".encode()
        return hmac.new(self._secret, named, hashlib.sha256).hexdigest()

    def verify(self, saga_id: str, step: str, token: str) -> bool:
        return hmac.compare_digest(self.issue(saga_id, step).encode(), token.encode())
