"""Neither a silent name server, nor a silent address, nor a move of a participant costs a call."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise

import pytest
from aiohappyeyeballs import AddrInfoType
from saga_orchestrator.fsm.call_outcome import CallResult, NotSent, Response
from saga_orchestrator.http.participants.base_url import Origin
from saga_orchestrator.http.participants.client import ParticipantsClient
from saga_orchestrator.http.participants.pool import ConnectTimeouts, TransportLimits
from saga_orchestrator.http.participants.resolver import Resolver
from saga_orchestrator.tests.integration.participants.names import SILENT, Names, black_hole
from saga_orchestrator.tests.integration.participants.peer import (
    PATIENCE,
    Answering,
    Ask,
    Conversation,
    Network,
)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
DONE = Response(200, {"content-length": "2"}, b"ok")
HERE, THERE, NOWHERE = "127.0.0.1", "127.0.0.2", "127.0.0.3"
SHOP = "shop.example"
SOON = TransportLimits(connect_timeouts=ConnectTimeouts(connect=timedelta(milliseconds=100)))


@pytest.fixture
def names() -> Iterator[Names]:
    made = Names([HERE])
    yield made
    made.speak.set()


def reason(answer: CallResult) -> str:
    assert isinstance(answer, NotSent)
    return answer.reason


async def test_a_silent_name_server_holds_up_no_other_name(
    network: Network, answering: Answering, ask: Ask, names: Names
) -> None:
    peer = await network.peer(answering(OK))
    resolver = names.resolver()
    silent = network.client(peer.port, host=SILENT, resolver=resolver)
    healthy = network.client(peer.port, host=SHOP, resolver=resolver)
    waiting = [asyncio.ensure_future(ask(silent)) for _ in range(100)]
    await asyncio.sleep(0)

    assert await ask(healthy) == DONE

    names.speak.set()
    assert await asyncio.gather(*waiting) == [DONE] * 100


async def test_lookup_of_a_name_is_shared_by_all_its_calls(
    network: Network, answering: Answering, ask: Ask, names: Names
) -> None:
    peer = await network.peer(answering(OK))
    client = network.client(peer.port, host=SILENT, resolver=names.resolver())
    calls = [asyncio.ensure_future(ask(client)) for _ in range(20)]
    await asyncio.sleep(0)

    names.speak.set()
    await asyncio.gather(*calls)

    assert names.asked == [SILENT]


async def test_call_to_a_name_not_looked_up_in_time_was_not_sent(
    network: Network, ask: Ask, names: Names
) -> None:
    client = network.client(1, host=SILENT, resolver=names.resolver(), limits=SOON)

    answer = await ask(client)

    assert "its name server did not answer" in reason(answer)
    assert answer == NotSent(reason(answer), had_slot=True)


async def test_lookup_that_never_began_is_distinguished(
    network: Network, answering: Answering, ask: Ask, names: Names
) -> None:
    peer = await network.peer(answering(OK))
    resolver = names.resolver(at_a_time=1)
    await ask(network.client(peer.port, host=SILENT, resolver=resolver, limits=SOON))
    client = network.client(peer.port, host=SHOP, resolver=resolver, limits=SOON)

    answer = await ask(client)

    assert "other names were looked up" in reason(answer)
    assert answer == NotSent(reason(answer), had_slot=False)
    assert names.asked == [SILENT]


async def test_lookup_whose_callers_are_gone_is_not_begun(
    network: Network, answering: Answering, ask: Ask, names: Names
) -> None:
    peer = await network.peer(answering(OK))
    resolver = names.resolver(at_a_time=1)
    clients = [network.client(peer.port, host=SILENT, resolver=resolver, limits=SOON)]
    clients += [network.client(peer.port, host=SHOP, resolver=resolver, limits=SOON)]
    for client in clients:
        await ask(client)
    last = asyncio.ensure_future(
        ask(network.client(peer.port, host="last.example", resolver=resolver))
    )
    await asyncio.sleep(0)

    names.speak.set()

    assert await last == DONE
    assert names.asked == [SILENT, "last.example"]


async def test_addresses_are_kept_until_none_of_them_answers(
    network: Network, answering: Answering, ask: Ask
) -> None:
    names = Names([THERE], [HERE])
    peer = await network.peer(answering(OK))
    resolver = names.resolver(kept_for=timedelta(hours=1))

    answers = [await ask(network.client(peer.port, host=SHOP, resolver=resolver)) for _ in range(3)]

    assert "no connection" in reason(answers[0])
    assert answers[1:] == [DONE, DONE]
    assert names.asked == [SHOP, SHOP]


async def test_an_address_needs_no_lookup(network: Network, answering: Answering, ask: Ask) -> None:
    names = Names([THERE])
    peer = await network.peer(answering(OK))

    assert await ask(network.client(peer.port, resolver=names.resolver())) == DONE

    assert names.asked == []


async def test_a_silent_address_makes_way_for_the_next_within_the_connect_timeout(
    network: Network, answering: Answering, ask: Ask
) -> None:
    peer = await network.peer(answering(OK))
    client = network.client(peer.port, host=SHOP, resolver=Names([NOWHERE, HERE]).resolver())

    with black_hole(NOWHERE, peer.port):
        assert await ask(client) == DONE


async def test_call_to_silent_addresses_was_not_sent(
    network: Network, answering: Answering, ask: Ask
) -> None:
    peer = await network.peer(answering(OK))
    resolver = Names([NOWHERE]).resolver()
    client = network.client(peer.port, host=SHOP, resolver=resolver, limits=SOON)

    with black_hole(NOWHERE, peer.port):
        answer = await ask(client)

    assert answer == NotSent(f"no connection to {SHOP}:{peer.port} in time")


async def test_a_participant_that_has_moved_is_followed_under_steady_calls(
    network: Network, answering: Answering, ask: Ask
) -> None:
    names = Names([HERE], [THERE])
    old = await network.peer(answering(OK))
    new = await network.peer(answering(OK), host=THERE, port=old.port)
    limits = TransportLimits(max_age=timedelta(milliseconds=50))
    client = network.client(old.port, host=SHOP, resolver=names.resolver(), limits=limits)

    async with asyncio.timeout(PATIENCE.total_seconds()):
        while not new.requests:
            assert await ask(client) == DONE

    assert len(old.requests) > len(old.conversations) == 1


async def test_connections_that_are_opened_together_do_not_end_together(
    network: Network, ask: Ask
) -> None:
    everybody, asked = asyncio.Barrier(10), asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.request()
        await everybody.wait()
        conversation.say(OK)
        await asked.wait()

    peer = await network.peer(script)
    transport = network.transport()
    client = ParticipantsClient({"shop": f"http://{HERE}:{peer.port}"}, transport)
    await asyncio.gather(*(ask(client) for _ in range(10)))
    pool = transport.pool(Origin("http", HERE, peer.port))

    ends = sorted(connection.use_until for connection in pool.idle_connections)
    gaps = [later - sooner for sooner, later in pairwise(ends)]
    asked.set()
    assert len(ends) == 10
    assert all(0.5 < gap < 5 for gap in gaps)


async def test_a_name_for_which_no_thread_was_left_is_looked_up_again(
    network: Network, answering: Answering, ask: Ask, names: Names
) -> None:
    peer = await network.peer(answering(OK))
    client = network.client(peer.port, host=SHOP, resolver=names.resolver())
    usual = threading.stack_size(1 << 46)  # more than there is, so that no thread can be started
    try:
        answer = await ask(client)
    finally:
        threading.stack_size(usual)

    assert "thread" in reason(answer)
    assert await ask(client) == DONE


async def test_lookup_that_fails_in_an_unknown_way_gives_no_address(
    network: Network, ask: Ask
) -> None:
    def broken(name: str) -> Sequence[AddrInfoType]:
        raise MemoryError

    answer = await ask(network.client(1, host=SHOP, resolver=Resolver(broken)))

    assert "MemoryError" in reason(answer)


async def test_a_lookup_under_way_does_not_hold_up_the_end_of_the_process() -> None:
    program = (
        "import asyncio, threading\n"
        "from saga_orchestrator.http.participants.resolver import LookupTimeout, Resolver\n"
        "async def main():\n"
        "    resolver = Resolver(lambda name: threading.Event().wait())\n"
        "    deadline = asyncio.get_running_loop().time() + 0.05\n"
        "    await resolver.addresses('silent.example', 80, deadline)\n"
        "try:\n"
        "    asyncio.run(main())\n"
        "except LookupTimeout as error:\n"
        "    print(error.begun)\n"
    )

    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, timeout=30, check=True
    )

    assert ended.stdout == b"True\n"


async def test_lookup_that_ends_after_its_event_loop_is_ignored() -> None:
    names = Names([HERE])

    async def ask_and_leave() -> None:
        resolver = Resolver(names.look_up)
        asking = asyncio.ensure_future(resolver.addresses(SILENT, 80, 1e9))
        await asyncio.sleep(0)
        asking.cancel()

    await asyncio.to_thread(asyncio.run, ask_and_leave())
    names.speak.set()

    assert names.asked == [SILENT]
