from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest
from saga_orchestrator.fsm.call_outcome import NotSent, Response, ResponseLost
from saga_orchestrator.http.participants.pool import TransportLimits
from saga_orchestrator.tests.integration.participants.peer import (
    Answering,
    Ask,
    Conversation,
    Network,
    Script,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
DONE = Response(200, {"content-length": "2"}, b"ok")


def silent_until(event: asyncio.Event) -> Script:
    async def script(conversation: Conversation) -> None:
        while True:
            await conversation.request()
            await event.wait()
            conversation.say(OK)

    return script


async def test_calls_in_turn_share_a_connection(
    network: Network, answering: Answering, ask: Ask
) -> None:
    peer = await network.peer(answering(OK))
    client = network.client(peer.port)

    answers = [await ask(client) for _ in range(20)]

    assert answers == [DONE] * 20
    assert len(peer.conversations) == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        OK + b"HT",
    ],
    ids=["close", "http/1.0", "a second reply", "half a second reply"],
)
async def test_a_connection_is_not_used_again(
    network: Network, answering: Answering, ask: Ask, reply: bytes
) -> None:
    peer = await network.peer(answering(reply))
    client = network.client(peer.port)

    answers = [await ask(client), await ask(client)]

    assert [getattr(answer, "body", answer) for answer in answers] == [b"ok", b"ok"]
    assert len(peer.conversations) == 2


async def test_a_connection_closed_while_idle_is_replaced(network: Network, ask: Ask) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        conversation.say(OK)

    peer = await network.peer(script)
    client = network.client(peer.port)

    await ask(client)
    await peer.hung_up.wait()
    answer = await ask(client)

    assert answer == DONE
    assert len(peer.conversations) == 2


async def test_close_that_only_the_kernel_has_seen_is_noticed(
    network: Network, answering: Answering, ask: Ask
) -> None:
    peer = await network.peer(answering(OK))
    client = network.client(peer.port)
    await ask(client)

    peer.conversations[0].shut()  # nothing is awaited between this and the next call's first write
    answer = await ask(client)

    assert answer == DONE
    assert len(peer.conversations) == 2


async def test_idle_connection_that_receives_data_is_dropped(
    network: Network, answering: Answering, ask: Ask
) -> None:
    peer = await network.peer(answering(OK))
    client = network.client(peer.port)
    await ask(client)

    peer.conversations[0].say(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
    async with asyncio.timeout(1):  # less than the connection would stay idle
        await peer.hung_up.wait()

    assert await ask(client) == DONE


async def test_the_timeout_of_a_call_does_not_reach_the_next_one(
    network: Network, ask: Ask
) -> None:
    too_late_for_the_first = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        conversation.say(OK)
        await conversation.request()
        await too_late_for_the_first.wait()
        conversation.say(OK)

    peer = await network.peer(script)
    client = network.client(peer.port)

    first = await ask(client, within=timedelta(milliseconds=50))
    asyncio.get_running_loop().call_later(0.06, too_late_for_the_first.set)
    second = await ask(client)

    assert [first, second] == [DONE, DONE]


async def test_a_short_call_on_the_connection_of_a_long_one_ends_in_its_own_time(
    network: Network, ask: Ask
) -> None:
    async def script(conversation: Conversation) -> None:
        await conversation.request()
        conversation.say(OK)
        await conversation.request()
        await asyncio.Event().wait()

    peer = await network.peer(script)
    client = network.client(peer.port)

    long = await ask(client, within=timedelta(seconds=60))
    async with asyncio.timeout(2):
        short = await ask(client, within=timedelta(milliseconds=50))

    assert [long, short] == [DONE, ResponseLost("no complete reply within the call's timeout")]
    assert len(peer.conversations) == 1


async def test_idle_connections_are_dropped_before_the_server_does(
    network: Network, answering: Answering, ask: Ask
) -> None:
    limits = TransportLimits(keep_alive=timedelta(milliseconds=30))
    peer = await network.peer(answering(OK))
    client = network.client(peer.port, limits=limits)

    await asyncio.gather(ask(client), ask(client))
    async with asyncio.timeout(5):
        while peer.open_now:
            peer.hung_up.clear()
            await peer.hung_up.wait()

    assert await ask(client) == DONE
    assert len(peer.conversations) == 3


async def test_many_calls_share_few_connections(
    network: Network, answering: Answering, ask: Ask
) -> None:
    peer = await network.peer(answering(OK))
    client = network.client(peer.port, limits=TransportLimits(connections_per_origin=32))

    answers = await asyncio.gather(*(ask(client) for _ in range(500)))

    assert answers == [DONE] * 500
    assert peer.open_most <= 32


async def test_a_call_that_gets_no_slot_was_not_sent(
    network: Network, ask: Ask, in_a_hurry: TransportLimits
) -> None:
    forever = asyncio.Event()
    peer = await network.peer(silent_until(forever))
    client = network.client(peer.port, limits=in_a_hurry)
    first = asyncio.create_task(ask(client))
    await peer.asked.wait()

    second = await ask(client)
    forever.set()

    assert second == NotSent("every connection stayed busy")
    assert await first == DONE
    assert len(peer.requests) == 1


async def test_a_cancelled_call_frees_its_slot_and_its_connection(
    network: Network, ask: Ask, in_a_hurry: TransportLimits
) -> None:
    forever = asyncio.Event()
    peer = await network.peer(silent_until(forever))
    client = network.client(peer.port, limits=in_a_hurry)
    call = asyncio.create_task(ask(client))
    await peer.asked.wait()

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    forever.set()

    assert await ask(client) == DONE
    assert len(peer.conversations) == 2


async def test_a_call_on_an_idle_connection_holds_its_slot_until_it_ends(
    network: Network, ask: Ask, in_a_hurry: TransportLimits
) -> None:
    may_answer = asyncio.Event()
    may_answer.set()
    peer = await network.peer(silent_until(may_answer))
    client = network.client(peer.port, limits=in_a_hurry)
    assert await ask(client) == DONE
    may_answer.clear()
    peer.asked.clear()
    call = asyncio.create_task(ask(client))
    await peer.asked.wait()

    assert await ask(client) == NotSent("every connection stayed busy")
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    may_answer.set()

    assert await ask(client) == DONE
    assert len(peer.conversations) == 2


async def test_a_failed_connection_gives_its_slot_back(
    network: Network, ask: Ask, in_a_hurry: TransportLimits
) -> None:
    peer = await network.peer(silent_until(asyncio.Event()))
    await peer.stop()
    client = network.client(peer.port, limits=replace(in_a_hurry, connections_per_origin=1))

    answers = [await ask(client) for _ in range(3)]

    assert all(isinstance(answer, NotSent) and "busy" not in answer.reason for answer in answers)


async def test_a_timed_out_call_gives_its_slot_back(
    network: Network, ask: Ask, in_a_hurry: TransportLimits
) -> None:
    forever = asyncio.Event()
    peer = await network.peer(silent_until(forever))
    client = network.client(peer.port, limits=in_a_hurry)

    lost = await ask(client, within=timedelta(milliseconds=50))
    forever.set()

    assert isinstance(lost, ResponseLost)
    assert await ask(client) == DONE


async def test_origins_that_hold_nothing_are_forgotten(
    network: Network, answering: Answering
) -> None:
    transport = network.transport(TransportLimits(keep_alive=timedelta(milliseconds=10)))
    peer = await network.peer(answering(OK))

    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        await client.get(f"http://127.0.0.1:{peer.port}/")
        await peer.hung_up.wait()
        assert transport.origins() == ()


async def test_a_closed_transport_sends_nothing(network: Network, answering: Answering) -> None:
    transport = network.transport()
    peer = await network.peer(answering(OK))

    await transport.aclose()

    with pytest.raises(httpx.ConnectError):
        await transport.handle_async_request(httpx.Request("GET", f"http://127.0.0.1:{peer.port}/"))
