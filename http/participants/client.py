"""Call participants by name, and report what is certain about the outcome.

A failure is a value and no exception: `NotSent` if certainly no byte of the request left,
`ResponseLost` if one may have. `ParticipantTransport` gets a call as bytes, without httpx's request
and response; any other httpx transport (a mock, an ASGI application, a tracing wrapper) works too,
and is believed when it says that it did not connect.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Self

import httpx

from ...fsm.call_outcome import CallResult, NotSent, Response, ResponseLost, redact_result
from ...fsm.formats.redaction import Redaction
from ...fsm.instructions import CallParticipant
from ...fsm.runtime.calls.participant_settings import (
    DEFAULTS,
    ParticipantSettings,
    missing_url_message,
)
from .base_url import BaseUrl
from .call_headers import CallHeaders, headers_of
from .pool import ConnectTimeouts, LookupQueueTimeout
from .request_encoder import encode, encode_header_lines, encode_request_with_lines
from .response_decoder import decoded, needs_no_decoding
from .transport import ParticipantTransport

MAX_BODY_BYTES = 1024 * 1024

# Responses are recorded as they come, so they should come unencoded.
_ACCEPT_ENCODING = ("accept-encoding", "identity")

# Errors that httpx's transports raise only before they write a request. Not LocalProtocolError: a
# body that contradicts its declared length is noticed after half of it has left.
_NOT_SENT_ERRORS = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """The settings of calls to one participant."""

    base: BaseUrl
    secret_headers: Mapping[str, str]
    lines: str  # of the headers of every call
    patience: ConnectTimeouts | None
    redaction: Redaction

    @classmethod
    def create(cls, url: str, settings: ParticipantSettings) -> Self:
        base, connect = BaseUrl.parse(url), settings.connect_timeout
        return cls(
            base=base,
            secret_headers=settings.headers,
            lines=f"host: {base.authority}\r\n"
            + encode_header_lines([_ACCEPT_ENCODING, *settings.headers.items()]),
            patience=None if connect is None else ConnectTimeouts(connect=connect),
            redaction=Redaction(settings.headers.values()),
        )

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        """Return the request as bytes. Raises ValueError for one that must not be sent."""
        target = self.base.target(path)
        if isinstance(headers, CallHeaders):
            return encode_request_with_lines(method, target, self.lines + headers.lines, body)
        if self.secret_headers:
            headers = {**headers, **self.secret_headers}
        names, values = (_ACCEPT_ENCODING[0], *headers), (_ACCEPT_ENCODING[1], *headers.values())
        return encode(method, target, self.base.authority, names, values, body)


class ParticipantsClient:
    """Client of the participants. It does not close the transport.

    `max_body` limits the decoded body of a response, and the body that comes over a foreign
    transport; `ParticipantTransport` has its own limit.
    """

    def __init__(
        self,
        base_urls: Mapping[str, str],
        transport: httpx.AsyncBaseTransport,
        *,
        max_body: int = MAX_BODY_BYTES,
        settings: Mapping[str, ParticipantSettings] = MappingProxyType({}),
    ) -> None:
        """Raises ValueError for a URL or a header that no call could be sent with."""
        self._participants = {
            name: Participant.create(url, settings.get(name, DEFAULTS))
            for name, url in base_urls.items()
        }
        self._transport = transport
        self._max_body = max_body

    def send(
        self, call: CallParticipant, epoch: int, token: str | None
    ) -> Coroutine[Any, Any, CallResult]:
        """Send a call of a saga once. A callback of the participant brings back `token`."""
        headers: Mapping[str, str] = headers_of(call, epoch, token)
        if call.headers:  # headers of the definition never replace those of the saga
            headers = {**call.headers, **headers}
        return self.request(
            call.participant, call.method, call.path, headers, call.body, call.timeout
        )

    async def request(
        self,
        participant: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: timedelta,  # noqa: ASYNC109 (a fact of the call: the deadline is set here)
    ) -> CallResult:
        """Send a request once. `path` is percent-encoded and may have a query.

        Only cancellation passes through; a cancelled call may have been sent.
        """
        known = self._participants.get(participant)
        if known is None:
            return NotSent(missing_url_message(participant), had_slot=False)
        try:
            request = known.request(method, path, headers, body)
        except ValueError as error:
            return NotSent(f"the request was refused here: {error}")
        answer: CallResult
        transport = self._transport
        try:
            if isinstance(transport, ParticipantTransport):
                answer = await transport.exchange(
                    known.base.origin, request, timeout, known.patience
                )
            else:
                built = _build_request(known, method, path, headers, body)
                answer = await self._through_httpx(built, timeout.total_seconds())
        except LookupQueueTimeout as error:
            answer = NotSent(_reason(error), had_slot=False)
        except _NOT_SENT_ERRORS as error:
            answer = NotSent(_reason(error))
        except httpx.RequestError as error:
            answer = ResponseLost(_reason(error))
        if isinstance(answer, Response) and not needs_no_decoding(answer):
            answer = decoded(answer, self._max_body)
        return redact_result(answer, known.redaction) if known.secret_headers else answer

    async def _through_httpx(self, request: httpx.Request, seconds: float) -> CallResult:
        request.extensions = {"timeout": httpx.Timeout(seconds).as_dict()}
        try:
            async with asyncio.timeout(seconds):
                return await self._read_capped(await self._transport.handle_async_request(request))
        except TimeoutError:
            return ResponseLost("no complete reply within the call's timeout")

    async def _read_capped(self, response: httpx.Response) -> Response:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        body = bytearray()
        try:
            async for part in response.stream:
                body += part
                if len(body) > self._max_body:
                    break
        finally:
            await response.aclose()
        return Response(
            response.status_code,
            {name.lower(): value for name, value in response.headers.items()},
            bytes(body[: self._max_body]),
            too_large=len(body) > self._max_body,
        )


def _build_request(
    to: Participant, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> httpx.Request:
    origin, target = to.base.origin, to.base.target(path).encode("ascii")
    fields = [_ACCEPT_ENCODING, *{**headers, **to.secret_headers}.items()]
    url = httpx.URL(scheme=origin.scheme, host=origin.host, port=origin.port, raw_path=target)
    return httpx.Request(method, url, headers=fields, content=body)


def _reason(error: httpx.RequestError) -> str:
    return str(error) or type(error).__name__
