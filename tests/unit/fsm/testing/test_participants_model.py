"""The model must be honest, or what is proved with it is worth nothing."""

from __future__ import annotations

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from msgspec.structs import replace
from saga_orchestrator.fsm.call_outcome import Direction, Outcome
from saga_orchestrator.fsm.instructions import CallParticipant
from saga_orchestrator.fsm.testing import (
    SAGA_ID,
    ParticipantBehavior,
    ParticipantsModel,
    define,
    given,
)

ACT = given(define("book")).calls[0]
UNDO = replace(ACT, direction=Direction.COMPENSATION, key=f"{SAGA_ID}/book/compensation")
CALLED_BACK = replace(ACT, awaits_callback=True)
ASK = replace(ACT, direction=Direction.STATUS)


@pytest.mark.parametrize(
    ("behavior", "happens", "outcome"),
    [
        (ParticipantBehavior.DONE, True, Outcome.DONE),
        (ParticipantBehavior.EMPTY, True, Outcome.DONE),
        (ParticipantBehavior.TOO_LARGE, True, Outcome.DONE),
        (ParticipantBehavior.BUSY, True, Outcome.BUSY),
        (ParticipantBehavior.RESPONSE_LOST, True, Outcome.UNKNOWN),
        (ParticipantBehavior.REQUEST_LOST, False, Outcome.UNKNOWN),
        (ParticipantBehavior.ACCEPTANCE_LOST, True, Outcome.UNKNOWN),
        (ParticipantBehavior.REJECTED, False, Outcome.REJECTED),
        (ParticipantBehavior.THROTTLED, False, Outcome.THROTTLED),
        (ParticipantBehavior.NOT_SENT, False, Outcome.NOT_SENT),
    ],
)
def test_behavior_is_an_effect_and_an_outcome(
    behavior: ParticipantBehavior, happens: bool, outcome: Outcome
) -> None:
    model = ParticipantsModel()

    assert model.answer(ACT, behavior).kind is outcome
    assert model.has_done("book") is happens


@drawn(st.lists(st.tuples(st.sampled_from([ACT, UNDO, ASK]), st.sampled_from(ParticipantBehavior))))
def test_effect_happens_at_most_once(
    calls: list[tuple[CallParticipant, ParticipantBehavior]],
) -> None:
    model = ParticipantsModel()
    for call, behavior in calls:
        model.answer(call, behavior)

    assert len(model.effects) == len(set(model.effects))
    assert len(model.received) == len(calls)


def test_action_after_its_compensation_has_no_effect() -> None:
    model = ParticipantsModel()
    model.answer(UNDO, ParticipantBehavior.DONE)

    model.answer(ACT, ParticipantBehavior.DONE)

    assert (model.has_done("book"), model.has_compensated("book")) == (False, True)


def test_done_step_is_refused_only_after_a_lost_reply() -> None:
    busy, lost = ParticipantsModel(), ParticipantsModel()
    busy.answer(ACT, ParticipantBehavior.BUSY)
    lost.answer(ACT, ParticipantBehavior.RESPONSE_LOST)

    assert busy.answer(ACT, ParticipantBehavior.REJECTED).kind is Outcome.DONE
    assert lost.answer(ACT, ParticipantBehavior.REJECTED).kind is Outcome.REJECTED


@pytest.mark.parametrize(("arrived", "outcome"), [(True, Outcome.DONE), (False, Outcome.NOT_DONE)])
def test_status_query_is_answered_with_the_truth(arrived: bool, outcome: Outcome) -> None:
    model = ParticipantsModel()
    model.crash_during(ACT, arrived=arrived)
    model.crash_during(ASK, arrived=True)

    assert model.answer(ASK, ParticipantBehavior.RESPONSE_LOST).kind is Outcome.UNKNOWN
    assert model.answer(ASK, ParticipantBehavior.DONE).kind is outcome


def test_conclusive_status_answer_settles_lost_replies() -> None:
    model = ParticipantsModel()
    model.answer(ACT, ParticipantBehavior.REQUEST_LOST)
    model.answer(ASK, ParticipantBehavior.DONE)
    model.answer(ACT, ParticipantBehavior.BUSY)

    assert model.answer(ACT, ParticipantBehavior.REJECTED).kind is Outcome.DONE


def test_call_is_accepted_only_if_it_can_be_completed_later() -> None:
    assert ParticipantsModel().answer(ACT, ParticipantBehavior.ACCEPTED).kind is Outcome.DONE
    for model, call in (
        (ParticipantsModel(), CALLED_BACK),
        (ParticipantsModel(frozenset({"book"})), ACT),
    ):
        assert model.answer(call, ParticipantBehavior.ACCEPTED).kind is Outcome.ACCEPTED
        assert not model.has_done("book")


@pytest.mark.parametrize("done", [True, False])
def test_callback_is_sent_once_and_no_reply_contradicts_it(done: bool) -> None:
    model = ParticipantsModel()
    assert model.callback_candidates([CALLED_BACK]) == ["book"]
    model.answer(CALLED_BACK, ParticipantBehavior.ACCEPTED)
    assert model.callback_candidates([]) == ["book"]

    assert model.send_callback("book", done=done).done is done

    assert (model.has_done("book"), model.callback_candidates([CALLED_BACK])) == (done, [])
    assert model.answer(CALLED_BACK, ParticipantBehavior.DONE).kind is Outcome.ACCEPTED
    assert model.answer(CALLED_BACK, ParticipantBehavior.REJECTED).kind is Outcome.ACCEPTED
    assert model.answer(CALLED_BACK, ParticipantBehavior.NOT_SENT).kind is Outcome.UNKNOWN
    assert model.has_done("book") is done


def test_callback_never_calls_a_done_step_failed() -> None:
    model = ParticipantsModel()
    model.answer(CALLED_BACK, ParticipantBehavior.RESPONSE_LOST)

    assert model.send_callback("book", done=False).done


@pytest.mark.parametrize(
    ("behavior", "outcome"),
    [(ParticipantBehavior.DONE, Outcome.DONE), (ParticipantBehavior.REJECTED, Outcome.NOT_DONE)],
)
def test_accepted_step_is_done_when_it_is_polled_or_never(
    behavior: ParticipantBehavior, outcome: Outcome
) -> None:
    model = ParticipantsModel(frozenset({"book"}))
    model.answer(ACT, ParticipantBehavior.ACCEPTED)

    assert model.answer(ASK, behavior).kind is outcome
    assert model.has_done("book") is (outcome is Outcome.DONE)


def test_compensation_is_refused_by_the_latest_reply_to_its_attempt() -> None:
    model = ParticipantsModel()

    model.answer(UNDO, ParticipantBehavior.REJECTED)
    assert model.refused_compensations == {("book", UNDO.attempt)}

    model.answer(UNDO, ParticipantBehavior.REQUEST_LOST)
    assert model.refused_compensations == set()


def test_step_that_was_undone_by_hand_is_never_done_again() -> None:
    model = ParticipantsModel()
    model.answer(CALLED_BACK, ParticipantBehavior.ACCEPTED)

    model.undo_by_hand("book")
    model.answer(ACT, ParticipantBehavior.DONE)

    assert (model.has_done("book"), model.has_compensated("book")) == (False, True)
    assert model.callback_candidates([]) == []


def test_accepted_step_has_no_effect_once_another_compensation_has_undone_it() -> None:
    model = ParticipantsModel.of(define("order", "book callback undone_by=order"))
    model.answer(CALLED_BACK, ParticipantBehavior.ACCEPTED)
    model.undo_by_hand("order")

    model.send_callback("book", done=True)

    assert not model.has_done("book")


def test_callback_can_come_though_the_acceptance_was_lost() -> None:
    model, other = ParticipantsModel(), ParticipantsModel()

    assert model.answer(CALLED_BACK, ParticipantBehavior.ACCEPTANCE_LOST).kind is Outcome.UNKNOWN
    assert (model.has_done("book"), model.callback_candidates([])) == (False, ["book"])

    assert other.answer(ACT, ParticipantBehavior.ACCEPTANCE_LOST).kind is Outcome.UNKNOWN
    assert (other.has_done("book"), other.callback_candidates([])) == (True, [])
