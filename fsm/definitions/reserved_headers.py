"""The headers that a definition or the participants file must not set: the service sets them."""

from __future__ import annotations

import re
from typing import Final

HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")

# They say where a message ends and what happens to the connection, so the transport sets them.
FRAMING_HEADERS: Final = frozenset(
    {"connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te"}
    | {"trailer", "transfer-encoding", "upgrade"}
)
RESERVED_HEADERS: Final = FRAMING_HEADERS | {
    "content-type",
    "idempotency-key",
    "saga-attempt",
    "saga-callback-token",
    "saga-epoch",
    "saga-id",
    "saga-step",
    "traceparent",
}
# The service also sets these, and every name with this prefix. Definitions registered before that
# was checked may have them, so the verifier refuses them and the parser does not.
ENCODING_HEADERS: Final = frozenset({"accept-encoding", "content-encoding"})
SERVICE_HEADER_PREFIX: Final = "saga-"
