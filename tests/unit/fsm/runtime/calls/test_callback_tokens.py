from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.runtime.calls.callback_tokens import SECRET_BYTES, CallbackTokens

SAGA = "018f0000-0000-7000-8000-000000000003"
SECRET = bytes(range(SECRET_BYTES))


def test_a_token_is_the_same_on_every_attempt_and_after_every_start() -> None:
    assert CallbackTokens(SECRET).issue(SAGA, "book") == CallbackTokens(SECRET).issue(SAGA, "book")


def test_every_saga_step_and_secret_has_its_own() -> None:
    tokens = {
        CallbackTokens(secret).issue(saga_id, step)
        for secret in (SECRET, SECRET[::-1])
        for saga_id in (SAGA, SAGA[::-1])
        for step in ("book", "pay")
    }

    assert len(tokens) == 8


def test_only_its_own_token_fits() -> None:
    tokens = CallbackTokens(SECRET)
    token = tokens.issue(SAGA, "book")

    assert tokens.verify(SAGA, "book", token)
    assert not tokens.verify(SAGA, "pay", token)
    assert not tokens.verify(SAGA[::-1], "book", token)
    assert not CallbackTokens(SECRET[::-1]).verify(SAGA, "book", token)


@given(st.text(max_size=80))
def test_whatever_else_is_sent_does_not_fit(text: str) -> None:
    tokens = CallbackTokens(SECRET)

    assert tokens.verify(SAGA, "book", text) is (text == tokens.issue(SAGA, "book"))


def test_a_token_says_nothing_of_what_it_is_made_of() -> None:
    token = CallbackTokens(SECRET).issue(SAGA, "book")

    assert len(token) == 64
    assert set(token) <= set("0123456789abcdef")


def test_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(AssertionError):
        CallbackTokens(SECRET[1:])
