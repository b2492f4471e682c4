"""The model must be honest, or what is proved with it is worth nothing."""

from __future__ import annotations

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st
from msgspec.structs import replace
from saga_orchestrator.fsm.command import CallParticipant
from saga_orchestrator.fsm.outcome import Direction, Outcome
from saga_orchestrator.fsm.testing import SAGA_ID, Fate, ParticipantsModel, define, given

ACT = given(define("book")).calls[0]
UNDO = replace(ACT, direction=Direction.COMPENSATION, key=f"{SAGA_ID}/book/compensation")
CALLED_BACK = replace(ACT, awaits_callback=True)
ASK = replace(ACT, direction=Direction.STATUS)


@pytest.mark.parametrize(
    ("fate", "happens", "outcome"),
    [
        (Fate.DONE, True, Outcome.DONE),
        (Fate.EMPTY, True, Outcome.DONE),
        (Fate.TOO_LARGE, True, Outcome.DONE),
        (Fate.BUSY, True, Outcome.BUSY),
        (Fate.LOST, True, Outcome.UNKNOWN),
        (Fate.LOST_BEFORE, False, Outcome.UNKNOWN),
        (Fate.REJECTED, False, Outcome.REJECTED),
        (Fate.THROTTLED, False, Outcome.THROTTLED),
        (Fate.NOT_SENT, False, Outcome.NOT_SENT),
    ],
)
def test_a_fate_is_what_happens_and_what_is_heard_of_it(
    fate: Fate, happens: bool, outcome: Outcome
) -> None:
    model = ParticipantsModel()

    assert model.answer(ACT, fate).outcome is outcome
    assert model.has_done("book") is happens


@drawn(st.lists(st.tuples(st.sampled_from([ACT, UNDO, ASK]), st.sampled_from(Fate))))
def test_an_effect_happens_at_most_once(calls: list[tuple[CallParticipant, Fate]]) -> None:
    model = ParticipantsModel()
    for call, fate in calls:
        model.answer(call, fate)

    assert len(model.effects) == len(set(model.effects))
    assert len(model.received) == len(calls)


def test_an_action_that_arrives_after_its_undo_does_nothing() -> None:
    model = ParticipantsModel()
    model.answer(UNDO, Fate.DONE)

    model.answer(ACT, Fate.DONE)

    assert (model.has_done("book"), model.has_undone("book")) == (False, True)


def test_what_is_done_is_not_refused_unless_an_answer_was_lost() -> None:
    heard, unheard = ParticipantsModel(), ParticipantsModel()
    heard.answer(ACT, Fate.BUSY)
    unheard.answer(ACT, Fate.LOST)

    assert heard.answer(ACT, Fate.REJECTED).outcome is Outcome.DONE
    assert unheard.answer(ACT, Fate.REJECTED).outcome is Outcome.REJECTED


@pytest.mark.parametrize(("arrived", "outcome"), [(True, Outcome.DONE), (False, Outcome.NOT_DONE)])
def test_a_question_is_answered_with_the_truth(arrived: bool, outcome: Outcome) -> None:
    model = ParticipantsModel()
    model.crash_during(ACT, arrived=arrived)
    model.crash_during(ASK, arrived=True)

    assert model.answer(ASK, Fate.LOST).outcome is Outcome.UNKNOWN
    assert model.answer(ASK, Fate.DONE).outcome is outcome


def test_after_a_clear_no_nothing_is_in_doubt() -> None:
    model = ParticipantsModel()
    model.answer(ACT, Fate.LOST_BEFORE)
    model.answer(ASK, Fate.DONE)
    model.answer(ACT, Fate.BUSY)

    assert model.answer(ACT, Fate.REJECTED).outcome is Outcome.DONE


def test_only_where_it_can_be_told_later_is_a_call_accepted() -> None:
    assert ParticipantsModel().answer(ACT, Fate.ACCEPTED).outcome is Outcome.DONE
    for model, call in (
        (ParticipantsModel(), CALLED_BACK),
        (ParticipantsModel(frozenset({"book"})), ACT),
    ):
        assert model.answer(call, Fate.ACCEPTED).outcome is Outcome.ACCEPTED
        assert not model.has_done("book")


@pytest.mark.parametrize("done", [True, False])
def test_a_callback_is_sent_once_and_no_reply_contradicts_it(done: bool) -> None:
    model = ParticipantsModel()
    assert model.reportable([CALLED_BACK]) == ["book"]
    model.answer(CALLED_BACK, Fate.ACCEPTED)
    assert model.reportable([]) == ["book"]

    assert model.report("book", done=done).done is done

    assert (model.has_done("book"), model.reportable([CALLED_BACK])) == (done, [])
    assert model.answer(CALLED_BACK, Fate.DONE).outcome is Outcome.ACCEPTED
    assert model.answer(CALLED_BACK, Fate.REJECTED).outcome is Outcome.ACCEPTED
    assert model.answer(CALLED_BACK, Fate.NOT_SENT).outcome is Outcome.UNKNOWN
    assert model.has_done("book") is done


def test_what_has_happened_is_never_called_failed() -> None:
    model = ParticipantsModel()
    model.answer(CALLED_BACK, Fate.LOST)

    assert model.report("book", done=False).done


@pytest.mark.parametrize(
    ("fate", "outcome"), [(Fate.DONE, Outcome.DONE), (Fate.REJECTED, Outcome.NOT_DONE)]
)
def test_what_was_accepted_is_done_when_it_is_asked_for_or_never(
    fate: Fate, outcome: Outcome
) -> None:
    model = ParticipantsModel(frozenset({"book"}))
    model.answer(ACT, Fate.ACCEPTED)

    assert model.answer(ASK, fate).outcome is outcome
    assert model.has_done("book") is (outcome is Outcome.DONE)
