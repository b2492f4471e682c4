"""Who asks: one header with a name that can be shown, or none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.http.wire.errors import InvalidActor
from saga_orchestrator.http.wire.headers import MAX_ACTOR_CHARS, parse_actor


@pytest.mark.parametrize(
    "name", ["anna", "Anna Müller", "svc:billing@eu-1", "王小明", "a", "x" * MAX_ACTOR_CHARS]
)
def test_actor_is_taken_as_it_is(name: str) -> None:
    assert parse_actor(name.encode()) == name


def test_blanks_around_an_actor_do_not_count() -> None:
    assert parse_actor(b"  anna\t") == "anna"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"  ",
        b"x" * (MAX_ACTOR_CHARS + 1),
        b"anna\x00",
        b"anna\nroot",
        b"an\x1bna",
        "an\u202ena".encode(),  # would be shown from right to left
        "an\u200bna".encode(),
        "an\u2028na".encode(),
        b"\xfc",
    ],
)
def test_actor_that_cannot_be_shown_is_refused(header: bytes) -> None:
    with pytest.raises(InvalidActor):
        parse_actor(header)


@given(st.binary(max_size=300))
def test_any_actor_is_a_short_line_or_refused(header: bytes) -> None:
    try:
        actor = parse_actor(header)
    except InvalidActor:
        return
    assert 1 <= len(actor) <= MAX_ACTOR_CHARS
    assert actor.isprintable()
    assert actor == actor.strip()
