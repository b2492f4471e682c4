"""Where the callback of a saga may go: anywhere but to this machine, unless it is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.http.participants.webhook_sender import (
    MAX_URL_CHARS,
    WebhookPolicy,
    is_local,
)

POLICY = WebhookPolicy(["http://127.0.0.1:9001/api", "https://localhost"], loopback=False)
LOCAL = [
    "localhost",
    "LocalHost",
    "localhost.",
    "localhost.localdomain",
    "ip6-localhost",
    "shop.localhost",
    "shop.localhost.",
    "127.0.0.1",
    "127.0.0.1.",
    "127.255.0.9",
    "127.1",
    "0x7f.1",
    "0177.1",
    "2130706433",
    "0x7f000001",
    "0",
    "0.0.0.0",
    "169.254.169.254",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:0:0]",
    "[fe80::1]",
]
ELSEWHERE = [
    "shop.example",
    "localhost.example",
    "notlocalhost",
    "10.0.0.7",
    "192.168.1.1",
    "93.184.216.34",
    "128.1",
    "127.0.0.1.example",
    "[2001:db8::1]",
    "[::ffff:10.0.0.7]",
    "xn--bcher-kva.example",
]


@pytest.mark.parametrize("host", LOCAL)
def test_any_name_of_this_machine_is_refused(host: str) -> None:
    why = POLICY.refusal_reason(f"http://{host}:8080/told")

    assert why == "it names this machine, which SAGA_CALLBACK_LOOPBACK does not allow"


@pytest.mark.parametrize("host", ELSEWHERE)
def test_other_machines_are_allowed(host: str) -> None:
    assert POLICY.refusal_reason(f"https://{host}/told?saga=1") is None


@pytest.mark.parametrize("host", LOCAL)
def test_a_setting_allows_this_machine(host: str) -> None:
    policy = WebhookPolicy([], loopback=True)

    assert policy.refusal_reason(f"http://{host}:8080/told") is None


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://127.0.0.1:9001/told", True),
        ("http://127.0.0.1:9001", True),
        ("https://localhost:443/told", True),
        ("https://LOCALHOST/told", True),
        ("http://127.0.0.1:9002/told", False),
        ("http://127.0.0.1/told", False),
        ("https://127.0.0.1:9001/told", False),
        ("http://localhost/told", False),
    ],
)
def test_origin_of_a_participant_is_allowed_and_no_other_local_one(url: str, allowed: bool) -> None:
    assert (POLICY.refusal_reason(url) is None) is allowed


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://user:secret@shop.example/", "credentials"),
        ("https://user@shop.example/", "credentials"),
        ("https://shop.example/#told", "fragment"),
        ("ftp://shop.example/", "neither http nor https: 'ftp'"),
        ("file:///etc/passwd", "neither http nor https: 'file'"),
        ("//shop.example/", "no scheme"),
        ("told", "no scheme"),
        ("", "no scheme"),
        ("http://", "names no host"),
        ("http:///told", "names no host"),
        ("http://shop.example:0/", "no such port"),
        ("http://shop.example:65536/", "no such port"),
        ("http://shop.example:x/", "not a URL"),
        ("http://shop.example/\r\nX-Evil: 1", "not a URL"),
        ("http://[::1", "not a URL"),
        ("http://\ud800.example/", "not a URL"),
        ("https://shop.example/" + "x" * MAX_URL_CHARS, "longer than 2000 characters"),
    ],
)
def test_invalid_callback_url_is_refused(url: str, why: str) -> None:
    for policy in (POLICY, WebhookPolicy([], loopback=True)):
        assert why in (policy.refusal_reason(url) or "")


def test_reason_repeats_no_credentials() -> None:
    assert "secret" not in (POLICY.refusal_reason("https://user:secret@shop.example/") or "")


def test_the_longest_url_is_allowed() -> None:
    start = "https://shop.example/"

    assert POLICY.refusal_reason(start + "x" * (MAX_URL_CHARS - len(start))) is None


@given(st.text(max_size=60) | st.builds("http://{}".format, st.text(max_size=40)))
def test_any_text_is_allowed_or_refused(url: str) -> None:
    assert POLICY.refusal_reason(url) != ""


@given(st.ip_addresses(v=4, network="127.0.0.0/8"))
def test_addresses_of_the_loopback_network_are_this_machine(address: object) -> None:
    assert is_local(str(address))
    assert is_local(f"[::ffff:{address}]")
