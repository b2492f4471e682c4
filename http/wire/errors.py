"""Requests that are refused before the orchestrator gets them.

RequestRefused
├── ForeignHost                a name that is not one of this service
├── ForeignOrigin              made by a page of another site
├── MalformedRequest           not valid HTTP
├── HeadTooLarge               more bytes or lines before the body than are read
├── HeadTooSlow                the head did not arrive in time
├── TooManyConnections         all connections are busy
├── UnsupportedTransferCoding  a transfer coding other than chunked
├── BodyTooLarge               more bytes than are read
├── BodyTooSlow                the body did not arrive in time
├── NotJson, NotYaml           bytes that are not what their media type says
├── UnsupportedMediaType       a media type that the endpoint does not read
├── InvalidRequest             a body that does not fit; carries its findings
│   └── InvalidQuery           query parameters that do not fit
├── InvalidIdempotencyKey      empty, too long, or not visible ASCII
├── InvalidIfMatch             not an entity tag, or a weak one
├── InvalidActor               empty, too long, or not printable
├── SagaTypeNotFound           a start of a saga type that is not registered
├── SagaVersionNotFound        the saga never had, or has not yet, that version
├── OutputNotFound             the step has no output, or none yet
├── WrongCallbackToken         a callback without the token of its call
├── InvalidSignalName          a name that no signal can have
├── TooManySagas               more sagas than a bulk job may have
├── StartUnconfirmed           a start that may or may not have been recorded
├── MethodNotAllowed           the path exists, for other methods
└── PathNotFound               the path does not exist
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...fsm.definitions.findings import Finding


class RequestRefused(Exception):
    """The base of all refusals of requests."""


class ForeignHost(RequestRefused):
    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host} is not a name of this service: call it by an address, or add the name to"
            " SAGA_ALLOWED_HOSTS"
        )


class ForeignOrigin(RequestRefused):
    def __init__(self, origin: str | None) -> None:
        match origin:
            case None:
                page = "a page of another site"
            case "null":
                page = "a page without an origin, as of a file or a sandboxed frame,"
            case _:
                page = f"a page of {origin}"
        super().__init__(
            f"{page} may not call this service unless its origin is in SAGA_ALLOWED_ORIGINS"
        )


class MalformedRequest(RequestRefused):
    pass


class HeadTooLarge(RequestRefused):
    def __init__(self, limit: str) -> None:
        super().__init__(f"request line and headers have more than {limit}")


class HeadTooSlow(RequestRefused):
    def __init__(self, seconds: float) -> None:
        super().__init__(f"request line and headers did not arrive within {seconds:g} s")


class TooManyConnections(RequestRefused):
    def __init__(self) -> None:
        super().__init__("every connection is busy; connect again later, or to another node")


class UnsupportedTransferCoding(RequestRefused):
    def __init__(self) -> None:
        super().__init__("send the body with Content-Length, or with Transfer-Encoding: chunked")


class BodyTooLarge(RequestRefused):
    def __init__(self, limit: int) -> None:
        super().__init__(f"the body is larger than {limit} bytes")


class BodyTooSlow(RequestRefused):
    def __init__(self, seconds: float) -> None:
        super().__init__(f"the body did not arrive within {seconds:g} s")


class NotJson(RequestRefused):
    pass


class NotYaml(RequestRefused):
    pass


class UnsupportedMediaType(RequestRefused):
    def __init__(self, supported: Sequence[str]) -> None:
        """Without `supported` types, the content encoding is unsupported."""
        how = f"with Content-Type: {' or '.join(supported)}" if supported else None
        super().__init__(f"send the body {how or 'without a Content-Encoding'}")


class InvalidRequest(RequestRefused):
    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__(
            "; ".join(
                f"{finding.pointer or 'the body'}: {finding.detail}" for finding in self.findings
            )
        )


class InvalidQuery(InvalidRequest):
    pass


class InvalidIdempotencyKey(RequestRefused):
    def __init__(self) -> None:
        super().__init__("a key is 1 to 255 visible ASCII characters, bare or as a quoted string")


class InvalidIfMatch(RequestRefused):
    def __init__(self, given: str) -> None:
        version = re.search("[0-9]{1,10}", given)
        quoted = f'"{version[0] if version else "6"}"'
        super().__init__(
            f"If-Match is the version of the saga in quotation marks, as ETag gives it:"
            f" write If-Match: {quoted}, and not {given[:80]}"
        )


class InvalidActor(RequestRefused):
    def __init__(self, longest: int) -> None:
        super().__init__(
            f"Saga-Actor is one header of 1 to {longest} printable characters, in UTF-8"
        )


class SagaTypeNotFound(RequestRefused):
    pass


class SagaVersionNotFound(RequestRefused):
    pass


class OutputNotFound(RequestRefused):
    def __init__(self, step: str) -> None:
        super().__init__(f"step {step} has no output")


class WrongCallbackToken(RequestRefused):
    def __init__(self) -> None:
        super().__init__("send back the Saga-Callback-Token that came with the call")


class InvalidSignalName(RequestRefused):
    def __init__(self) -> None:
        super().__init__(
            "a signal is named by a letter and at most 62 more letters, digits, _ and -"
        )


class TooManySagas(RequestRefused):
    def __init__(self, limit: int) -> None:
        super().__init__(f"the filter matches more than {limit} sagas; make it narrower")


class StartUnconfirmed(RequestRefused):
    def __init__(self, *, keyed: bool) -> None:
        again = (
            "repeat it with the same Idempotency-Key"
            if keyed
            else "look for it before you start it again, and give starts an Idempotency-Key"
        )
        super().__init__(f"it is not known whether the start was recorded: {again}")


class MethodNotAllowed(RequestRefused):
    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(f"this path answers to {', '.join(allowed)}")
        self.allowed = tuple(allowed)


class PathNotFound(RequestRefused):
    def __init__(self) -> None:
        super().__init__("there is nothing at this path; GET /docs lists what there is")
