"""What leaves a joining transport, in which pieces and in which order."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.http.joining_transport import JoiningTransport

from .recorded_transport import RecordedTransport

HEAD, BODY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"{}"


def joined() -> tuple[JoiningTransport, RecordedTransport]:
    below = RecordedTransport()
    return JoiningTransport(below, asyncio.get_running_loop()), below


async def test_head_and_body_leave_in_one_piece() -> None:
    transport, below = joined()

    transport.write(HEAD)
    transport.write(BODY)
    await asyncio.sleep(0)

    assert below.writes == [HEAD + BODY]


async def test_head_without_a_body_leaves_with_the_next_iteration_of_the_loop() -> None:
    transport, below = joined()

    transport.write(HEAD)
    at_once = below.sent
    await asyncio.sleep(0)

    assert (at_once, below.writes) == (b"", [HEAD])


@pytest.mark.parametrize("end", ["close", "write_eof"])
async def test_held_head_leaves_before_the_end(end: str) -> None:
    transport, below = joined()

    transport.write(HEAD)
    getattr(transport, end)()
    await asyncio.sleep(0)

    assert below.writes == [HEAD]
    assert below.closed or below.ended


async def test_held_head_of_an_aborted_connection_is_dropped() -> None:
    transport, below = joined()

    transport.write(HEAD)
    transport.abort()
    await asyncio.sleep(0)

    assert (below.aborted, below.writes) == (True, [])


@given(st.lists(st.sampled_from([HEAD, BODY, b"", b"0\r\n\r\n", [HEAD, BODY], [], None])))
async def test_bytes_keep_their_order(writes: list[bytes | list[bytes] | None]) -> None:
    transport, below = joined()

    for data in writes:  # None: the event loop takes its turn
        if data is None:
            await asyncio.sleep(0)
        elif isinstance(data, list):
            transport.writelines(data)
        else:
            transport.write(data)
    transport.close()

    assert below.sent == b"".join(
        b"".join(data) if isinstance(data, list) else data or b"" for data in writes
    )
