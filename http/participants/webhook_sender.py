"""Completion webhooks: the status of a saga, posted to the callback URL of its start.

A URL that leads to this machine would let any client reach the services on it, so it must be that
of a participant, or be allowed by a setting. A start whose URL names this machine is refused at
once; the addresses of another name are checked when the connection is made.
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
    """The rule to which URLs webhooks may be sent: always to the origins of `participants`."""

    def __init__(self, participants: Collection[str], *, loopback: bool) -> None:
        self.participant_origins = frozenset(BaseUrl.parse(url).origin for url in participants)
        self.loopback = loopback

    def refusal_reason(self, url: str) -> str | None:
        """Return why `url` cannot be a callback URL, or None if it can."""
        try:
            origin, _ = parse_webhook_url(url)
        except ValueError as error:
            return str(error)
        if self.allows(origin, origin.host):
            return None
        return "it names this machine, which SAGA_CALLBACK_LOOPBACK does not allow"

    def allows(self, origin: Origin, address: str) -> bool:
        """True if a webhook to `origin` may be sent to `address`, to which its host resolves."""
        return self.loopback or origin in self.participant_origins or not is_local(address)


class HttpWebhookSender:
    """Sends webhooks over a transport whose address policy is that of a WebhookPolicy."""

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
                response = await self.transport.exchange(origin, request, TIMEOUT)
        except (ValueError, httpx.RequestError, TimeoutError) as error:
            reason = str(error) or "no response in time, and other webhooks waited"
            facts = {"saga_id": saga.state.saga_id, "error": reason}
            logger.info("webhook not delivered", extra=facts)
            return False
        return 200 <= response.status < 300


def parse_webhook_url(url: str) -> tuple[Origin, str]:
    """Return the origin and the target of a callback URL. Raises ValueError."""
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
    """True if `host` names this machine or its own link. A name is not resolved."""
    name = host.lower().rstrip(".")
    if name in LOCAL_NAMES or name.endswith(".localhost"):
        return True
    address = _parse_address(name.strip("[]"))
    if address is None:
        return False
    return address.is_loopback or address.is_unspecified or address.is_link_local


def _parse_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that `host` is, also in spellings that only the system's resolver accepts:
    127.1, 0x7f.1, 2130706433."""
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
