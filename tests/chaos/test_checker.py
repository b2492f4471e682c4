"""Effects without a reply are taken from the database of the participant."""

from __future__ import annotations

from typing import Any

from saga_orchestrator.tests.chaos.checker import later_effects, with_lost_replies


def call(attempt: int, *, effect: bool, status: int) -> dict[str, Any]:
    return {"key": "saga/pay/action", "attempt": attempt, "effect": effect, "status": status}


def test_call_with_a_lost_reply_had_an_effect_if_its_participant_recorded_one() -> None:
    lost, repeated = call(1, effect=False, status=502), call(2, effect=False, status=201)

    calls = with_lost_replies([repeated], [lost], {"saga/pay/action": 201})

    assert calls == [repeated, call(1, effect=True, status=201)]


def test_call_with_a_lost_reply_had_no_effect_if_a_later_call_had_it() -> None:
    lost, later = call(1, effect=False, status=502), call(2, effect=True, status=201)

    assert with_lost_replies([later], [lost], {"saga/pay/action": 201}) == [later, lost]


def test_call_with_a_lost_reply_had_no_effect_if_its_participant_recorded_none() -> None:
    lost = [call(1, effect=False, status=502), call(2, effect=False, status=502)]

    assert with_lost_replies([], lost, {}) == lost


def test_accepted_call_takes_effect_when_its_participant_recorded_it() -> None:
    accepted, repeated = call(1, effect=False, status=202), call(2, effect=False, status=202)

    (sent,) = later_effects([accepted, repeated], {"saga/pay/action": "2026-03-01T12:00:00Z"})

    assert sent == call(2, effect=True, status=200) | {"at": "2026-03-01T12:00:00Z"}
