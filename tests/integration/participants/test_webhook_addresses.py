"""Where a callback is really sent: the address is looked at, whatever name leads to it."""

from __future__ import annotations

import json
import ssl

import httpx
import pytest
from saga_orchestrator.fsm.decider.decide import start
from saga_orchestrator.fsm.events import StepSucceeded
from saga_orchestrator.fsm.inputs import StartSaga
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.testing import NOON, SAGA_ID, define
from saga_orchestrator.http.participants.base_url import Origin
from saga_orchestrator.http.participants.transport import ParticipantTransport
from saga_orchestrator.http.participants.webhook_sender import HttpWebhookSender, WebhookPolicy
from saga_orchestrator.tests.integration.participants.names import Names
from saga_orchestrator.tests.integration.participants.peer import PATIENCE, Answering, Network, Peer

TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
REQUEST = b"GET / HTTP/1.1\r\nhost: shop.example\r\n\r\n"
HERE = "127.0.0.1"
NOBODY = "127.0.0.2"  # where nobody listens


def to_be_told(url: str) -> Saga:
    request = StartSaga(entity_id=1, input={}, callback_url=url)
    return start(define("book"), SAGA_ID, request, now=NOON).saga


def sender_of(network: Network, policy: WebhookPolicy) -> HttpWebhookSender:
    return HttpWebhookSender(network.transport(address_policy=policy.allows))


def no_participant(*, loopback: bool) -> WebhookPolicy:
    return WebhookPolicy([], loopback=loopback)


@pytest.fixture
async def peer(network: Network, answering: Answering) -> Peer:
    return await network.peer(answering(TAKEN))


async def test_webhook_links_to_outputs_that_are_too_large(network: Network, peer: Peer) -> None:
    saga = to_be_told(f"http://{HERE}:{peer.port}/told")
    saga = saga.evolve(StepSucceeded(step="book", attempt=1, output="x" * 1_000_000), NOON)

    assert await sender_of(network, no_participant(loopback=True)).send(saga, 1)

    (received,) = peer.requests
    (step,) = json.loads(received.partition(b"\r\n\r\n")[2])["steps"]
    href = f"/sagas/{SAGA_ID}/steps/book/output"
    assert (step["output"], step["output_link"]) == (None, {"bytes": 1_000_002, "href": href})


@pytest.mark.parametrize("host", ["localhost", HERE, "127.1", "2130706433", "[::ffff:127.0.0.1]"])
async def test_no_name_of_this_machine_is_connected_to(
    network: Network, peer: Peer, host: str
) -> None:
    sender = sender_of(network, no_participant(loopback=False))

    assert not await sender.send(to_be_told(f"http://{host}:{peer.port}/told"), 1)

    assert peer.conversations == []


async def test_webhook_reaches_a_participant_and_no_other_port_of_its_host(
    network: Network, peer: Peer, answering: Answering
) -> None:
    other = await network.peer(answering(TAKEN))
    policy = WebhookPolicy([f"http://localhost:{peer.port}/api"], loopback=False)
    sender = sender_of(network, policy)

    assert await sender.send(to_be_told(f"http://localhost:{peer.port}/told"), 1)
    assert not await sender.send(to_be_told(f"http://localhost:{other.port}/told"), 1)

    assert other.conversations == []


def only_here(origin: Origin, address: str) -> bool:
    return address == HERE


async def get(transport: ParticipantTransport, origin: Origin) -> int:
    return (await transport.exchange(origin, REQUEST, PATIENCE)).status


async def test_checked_address_is_the_one_that_is_connected_to(
    network: Network, peer: Peer
) -> None:
    names = Names([HERE], [NOBODY])
    transport = network.transport(address_policy=only_here, resolver=names.resolver())

    assert await get(transport, Origin("http", "shop.example", peer.port)) == 204

    assert names.asked == ["shop.example"]


async def test_forbidden_addresses_of_a_name_are_left_out(network: Network, peer: Peer) -> None:
    resolver = Names([NOBODY, HERE]).resolver()
    transport = network.transport(address_policy=only_here, resolver=resolver)

    assert await get(transport, origin_of(peer)) == 204


async def test_unreachable_address_makes_way_for_the_next(network: Network, peer: Peer) -> None:
    resolver = Names([NOBODY, HERE]).resolver()
    transport = network.transport(address_policy=anywhere, resolver=resolver)

    assert await get(transport, origin_of(peer)) == 204


async def test_name_that_moved_to_a_forbidden_address_is_not_connected_to(
    network: Network, peer: Peer
) -> None:
    resolver = Names([NOBODY], [HERE]).resolver()
    transport = network.transport(
        address_policy=lambda origin, address: address != HERE, resolver=resolver
    )

    for _ in range(2):
        with pytest.raises(httpx.ConnectError):
            await get(transport, origin_of(peer))

    assert peer.conversations == []


async def test_certificate_is_checked_against_the_name_and_not_the_address(
    network: Network,
    answering: Answering,
    server_tls: ssl.SSLContext,
    trusting_tls: ssl.SSLContext,
) -> None:
    """It is one for localhost and for this very address."""
    peer = await network.peer(answering(TAKEN), tls=server_tls)
    resolver = Names([HERE]).resolver()
    transport = network.transport(tls=trusting_tls, address_policy=only_here, resolver=resolver)

    assert await get(transport, Origin("https", "localhost", peer.port)) == 204
    with pytest.raises(httpx.ConnectError, match="certificate"):
        await get(transport, Origin("https", "shop.example", peer.port))


def origin_of(peer: Peer) -> Origin:
    return Origin("http", "shop.example", peer.port)


def anywhere(origin: Origin, address: str) -> bool:
    return True
