"""The status of a saga, posted to the callback URL of its start.

A URL that leads to this machine would let any client reach what listens on it, so it must be that
of a participant, or be allowed by setting. Who starts a saga with a URL that names this machine is
told so at once; where another name leads is looked at when the connection is made.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection

import httpx

from ...fsm.runtime.logging import logger
from ...fsm.saga import Saga
from ...projections.status import status_view
from ..wire.saga_response import render_view
from .base_url import BaseUrl, Origin
from .request_encoder import encode
from .transport import ParticipantTransport
from .webhook_limiter import TIMEOUT, WebhookLimiter

MAX_URL_CHARS = 2000
LOCAL_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")
HEADERS = ("content-type", "saga-id")


class WebhookPolicy:
    """`participants` are base URLs whose hosts may be told whatever they are."""

    def __init__(self, participants: Collection[str], *, loopback: bool) -> None:
        self.participant_origins = frozenset(BaseUrl.parse(url).origin for url in participants)
        self.loopback = loopback

    def refusal_reason(self, url: str) -> str | None:
        """What is wrong with `url` as a callback, or None."""
        try:
            origin, _ = parse_webhook_url(url)
        except ValueError as error:
            return str(error)
        if self.allows(origin, origin.host):
            return None
        return "it names this machine, which SAGA_CALLBACK_LOOPBACK does not allow"

    def allows(self, origin: Origin, address: str) -> bool:
        """Whether a callback to `origin` may be sent to `address`, which its host leads to."""
        return self.loopback or origin in self.participant_origins or not is_local(address)


class HttpWebhookSender:
    """Implements CallbackSender. Where its transport may connect to is for a policy to say."""

    def __init__(
        self, transport: ParticipantTransport, receivers: WebhookLimiter | None = None
    ) -> None:
        self.transport, self.limiter = transport, receivers or WebhookLimiter()

    async def send(self, saga: Saga, attempt: int) -> bool:
        url = saga.state.callback_url
        assert url is not None, "only a saga with a callback owes one"
        try:
            origin, target = parse_webhook_url(url)
            values = ("application/json", saga.state.saga_id)
            async with self.limiter.slot(origin, target, first_try=attempt == 1):
                body = await render_view(status_view, saga)
                request = encode("POST", target, str(origin), HEADERS, values, body)
                reply = await self.transport.exchange(origin, request, TIMEOUT)
        except (ValueError, httpx.RequestError, TimeoutError) as error:
            why = str(error) or "no answer in time, and others waited"
            facts = {"saga_id": saga.state.saga_id, "why": why}
            logger.info("callback not told", extra=facts)
            return False
        return 200 <= reply.status < 300


def parse_webhook_url(url: str) -> tuple[Origin, str]:
    """Where to connect, and what to ask for there. Raises ValueError."""
    if len(url) > MAX_URL_CHARS:
        raise ValueError(f"it is longer than {MAX_URL_CHARS} characters")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"it is not a URL: {error}") from error
    if parsed.userinfo or parsed.fragment:
        raise ValueError("it holds credentials or a fragment")
    return Origin.from_url(parsed), parsed.raw_path.decode("ascii")


def is_local(host: str) -> bool:
    """Whether `host` names this machine or its own link. What a name resolves to is not asked."""
    name = host.lower().rstrip(".")
    if name in LOCAL_NAMES or name.endswith(".localhost"):
        return True
    address = _parse_address(name.strip("[]"))
    if address is None:
        return False
    return address.is_loopback or address.is_unspecified or address.is_link_local


def _parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Also of spellings that only the system's resolver takes: 127.1, 0x7f.1, 2130706433."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return _parse_inet_aton(host)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _parse_inet_aton(host: str) -> ipaddress.IPv4Address | None:
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None
