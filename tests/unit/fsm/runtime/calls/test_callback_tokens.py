from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.runtime.calls.callback_tokens import SECRET_BYTES, CallbackTokens

SAGA = "018f0000-0000-7000-8000-000000000003"
SECRET = bytes(range(SECRET_BYTES))


def test_token_is_the_same_on_every_attempt_and_after_every_start() -> None:
    assert CallbackTokens(SECRET).issue(SAGA, "book") == CallbackTokens(SECRET).issue(SAGA, "book")


def test_token_depends_on_saga_step_and_secret() -> None:
    tokens = {
        CallbackTokens(secret).issue(saga_id, step)
        for secret in (SECRET, SECRET[::-1])
        for saga_id in (SAGA, SAGA[::-1])
        for step in ("book", "pay")
    }

    assert len(tokens) == 8


def test_token_of_another_step_is_refused() -> None:
    tokens = CallbackTokens(SECRET)
    token = tokens.issue(SAGA, "book")

    assert tokens.verify(SAGA, "book", token)
    assert not tokens.verify(SAGA, "pay", token)
    assert not tokens.verify(SAGA[::-1], "book", token)
    assert not CallbackTokens(SECRET[::-1]).verify(SAGA, "book", token)


@given(st.text(max_size=80))
def test_arbitrary_text_is_no_token(text: str) -> None:
    tokens = CallbackTokens(SECRET)

    assert tokens.verify(SAGA, "book", text) is (text == tokens.issue(SAGA, "book"))


def test_token_does_not_contain_saga_or_step() -> None:
    token = CallbackTokens(SECRET).issue(SAGA, "book")

    assert len(token) == 64
    assert set(token) <= set("0123456789abcdef")


def test_short_secret_is_refused() -> None:
    with pytest.raises(AssertionError):
        CallbackTokens(SECRET[1:])
