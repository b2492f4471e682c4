"""Receivers of callbacks that hang keep no other waiting, at their own origin neither."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta

import pytest
from saga_orchestrator.fsm.decider.decide import start
from saga_orchestrator.fsm.inputs import StartSaga
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.testing import NOON, SAGA_ID, define
from saga_orchestrator.http.participants.base_url import Origin
from saga_orchestrator.http.participants.pool import TransportLimits
from saga_orchestrator.http.participants.webhook_limiter import (
    MAX_FIRST_TRIES,
    MAX_FIRST_TRIES_PER_ORIGIN,
    MAX_PER_ORIGIN,
    MAX_PER_URL,
    MAX_RETRIES_PER_ORIGIN,
    WebhookLimiter,
)
from saga_orchestrator.http.participants.webhook_sender import HttpWebhookSender
from saga_orchestrator.tests.integration.participants.peer import (
    PATIENCE,
    Conversation,
    Network,
    Peer,
)
from saga_orchestrator.tests.support.virtual_time import settle

TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"
AT_ONCE, NEVER = timedelta(milliseconds=20), timedelta(hours=1)
SHOP = Origin("https", "shop.example", 443)


async def only_good_ones_answer(conversation: Conversation) -> None:
    while True:
        request = await conversation.request()
        if request.startswith(b"POST /good "):
            conversation.say(TAKEN)


@pytest.fixture
async def peer(network: Network) -> Peer:
    return await network.peer(only_good_ones_answer)


def to_be_told(peer: Peer, path: str) -> Saga:
    url = f"http://127.0.0.1:{peer.port}{path}"
    request = StartSaga(entity_id=1, input={}, callback_url=url)
    return start(define("book"), SAGA_ID, request, now=NOON).saga


def sender_of(network: Network, hurried: timedelta) -> HttpWebhookSender:
    limits = TransportLimits(connections_per_origin=MAX_PER_ORIGIN)
    return HttpWebhookSender(network.transport(limits), WebhookLimiter(hurried))


async def hang(
    sender: HttpWebhookSender, peer: Peer, paths: Iterable[str], attempt: int = 1
) -> list[asyncio.Task[bool]]:
    tasks = [asyncio.ensure_future(sender.send(to_be_told(peer, path), attempt)) for path in paths]
    for _ in range(20):  # until each has its place, or waits for one
        await asyncio.sleep(0)
    return tasks


async def end(tasks: list[asyncio.Task[bool]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def is_told(sender: HttpWebhookSender, peer: Peer) -> bool:
    async with asyncio.timeout(PATIENCE.total_seconds()):
        return await sender.send(to_be_told(peer, "/good"), 1)


async def test_hanging_receivers_of_an_origin_delay_a_good_one_for_a_moment(
    network: Network, peer: Peer
) -> None:
    sender = sender_of(network, AT_ONCE)
    hanging = await hang(sender, peer, (f"/hangs/{number}" for number in range(300)))

    assert await is_told(sender, peer)

    await end(hanging)


async def test_hanging_receiver_has_few_places_of_its_origin(network: Network, peer: Peer) -> None:
    sender = sender_of(network, NEVER)
    hanging = await hang(sender, peer, ["/hangs"] * 300)

    assert await is_told(sender, peer)

    assert sender.limiter.slots_by_key[_origin(peer), None, True].semaphore.acquired == MAX_PER_URL
    await end(hanging)


async def test_webhook_that_failed_before_takes_no_place_of_a_first_attempt(
    network: Network, peer: Peer
) -> None:
    sender = sender_of(network, NEVER)
    paths = (f"/hangs/{number}" for number in range(300))
    hanging = await hang(sender, peer, paths, attempt=2)

    assert await is_told(sender, peer)

    taken = sender.limiter.slots_by_key[_origin(peer), None, False].semaphore.acquired
    assert taken == MAX_RETRIES_PER_ORIGIN
    await end(hanging)


async def test_slow_receiver_keeps_its_place_while_no_other_waits() -> None:
    receivers = WebhookLimiter(timedelta())

    async with receivers.slot(SHOP, "/slow", first_try=True):
        for _ in range(100):
            await asyncio.sleep(0)


def at_one_origin(number: int) -> tuple[Origin, str]:
    return SHOP, f"/{number}"


def at_many_origins(number: int) -> tuple[Origin, str]:
    return SHOP._replace(port=number + 1000), "/"


@pytest.mark.parametrize(
    ("where", "number"),
    [(at_one_origin, MAX_FIRST_TRIES_PER_ORIGIN), (at_many_origins, MAX_FIRST_TRIES)],
)
async def test_slow_receiver_makes_way_once_another_waits(
    where: Callable[[int], tuple[Origin, str]], number: int
) -> None:
    receivers, served = WebhookLimiter(timedelta()), list[str]()

    async def hang_once(origin: Origin, target: str) -> None:
        async with receivers.slot(origin, target, first_try=True):
            await asyncio.get_running_loop().create_future()

    slow = [asyncio.ensure_future(hang_once(*where(n))) for n in range(number)]
    await asyncio.sleep(0)

    async with receivers.slot(SHOP, "/good", first_try=True):
        served.append("good")

    async with asyncio.timeout(PATIENCE.total_seconds()):
        ended = await asyncio.gather(*slow, return_exceptions=True)
    assert served == ["good"]
    assert [type(attempt) for attempt in ended] == [TimeoutError] * number


async def test_later_attempt_has_its_whole_time(network: Network) -> None:
    receivers = WebhookLimiter(timedelta())

    async def hang_once(target: str) -> None:
        async with receivers.slot(SHOP, target, first_try=False):
            await asyncio.get_running_loop().create_future()

    tasks = [asyncio.ensure_future(hang_once(f"/{n}")) for n in range(2 * MAX_RETRIES_PER_ORIGIN)]
    await settle()

    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert receivers.slots_by_key == {}


async def test_receiver_that_was_notified_leaves_no_state(network: Network, peer: Peer) -> None:
    sender = sender_of(network, NEVER)

    assert await is_told(sender, peer)

    assert sender.limiter.slots_by_key == {}


def _origin(peer: Peer) -> Origin:
    return Origin("http", "127.0.0.1", peer.port)
