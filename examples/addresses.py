"""The addresses of the demo's three processes, from the same settings that the service reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, urlsplit

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class DemoFailed(Exception):
    """The demo cannot start or continue; the message is for its user."""


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port to listen on."""

    setting: str  # the environment variable that changes the address
    host: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    orders: Address
    payments: Address
    service: Address

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Raises DemoFailed if a setting does not name a port of this machine."""
        return cls(
            orders=participant_address(environ, "ORDER_SERVICE_URL", "http://127.0.0.1:8003"),
            payments=participant_address(environ, "PAYMENT_SERVICE_URL", "http://127.0.0.1:8004"),
            service=Address(
                "SERVICE_PORT",
                "127.0.0.1",
                service_port("SERVICE_PORT", environ.get("SERVICE_PORT")),
            ),
        )


def participant_address(environ: Mapping[str, str], setting: str, default: str) -> Address:
    url = environ.get(setting) or default
    parts = urlsplit(url)
    if parts.hostname not in LOOPBACK or parts.scheme != "http" or parts.path.strip("/"):
        raise DemoFailed(
            f"{setting} is {url}, but the demo starts that service itself: "
            f"leave {setting} unset, or give it as http://127.0.0.1:PORT"
        )
    assert parts.hostname is not None
    return Address(setting, parts.hostname, url_port(setting, parts))


def url_port(setting: str, parts: SplitResult) -> int:
    try:
        return parts.port or 80
    except ValueError as error:
        raise DemoFailed(f"{setting}: {error}") from error


def service_port(setting: str, text: str | None) -> int:
    if not text:
        return 8009
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise DemoFailed(f"{setting} is {text!r}, which is no port number")
    return int(text)
