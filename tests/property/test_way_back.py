"""R3, R5: compensations with any outcomes in any order, with crashes and retries in between.

Every step was done before; in `test_saga_machine.py` so many compensations seldom fail.
"""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.errors import NotAllowed
from saga_orchestrator.fsm.events import Resolution
from saga_orchestrator.fsm.inputs import OperatorCommand, ResolveStep, Retry
from saga_orchestrator.fsm.invariants import violations
from saga_orchestrator.fsm.machines import StepStatus
from saga_orchestrator.fsm.testing import ParticipantBehavior, define
from saga_orchestrator.fsm.testing.checks import history_of
from saga_orchestrator.fsm.testing.strategies import NAMES
from saga_orchestrator.tests.property.scripted_saga import COMPENSATE, CRASHES, RETRY, ScriptedSaga

BEHAVIORS = [
    ParticipantBehavior.DONE,
    ParticipantBehavior.REJECTED,
    ParticipantBehavior.RESPONSE_LOST,
    ParticipantBehavior.NOT_SENT,
    ParticipantBehavior.BUSY,
]
happenings = st.lists(st.sampled_from([*BEHAVIORS, CRASHES[1], RETRY]), max_size=15)


FOUND_DONE = "an operator finds that a rejected step was done"
RETRY_FIRST = "an operator retries the first failed compensation"
found_out = st.lists(
    st.sampled_from(
        [ParticipantBehavior.DONE, ParticipantBehavior.REJECTED, RETRY, RETRY_FIRST, FOUND_DONE]
    ),
    max_size=8,
)


@st.composite
def trips(draw: st.DrawFn, *, last: str = "") -> Definition:
    """Draw definitions whose steps all have a compensation, with its own policy and attempts.

    They end with the step `last`, if there is one.
    """
    names = NAMES[: draw(st.integers(1, 4))]
    steps = [draw(_steps(name, names[:number])) for number, name in enumerate(names)]
    return define(*steps, *([f"{last} after={','.join(names)}"] if last else []))


@st.composite
def _steps(draw: st.DrawFn, name: str, earlier: tuple[str, ...]) -> str:
    policy = draw(st.sampled_from(["continue", ""]))
    alone = draw(st.integers(0, 3)) == 3
    after = "after=" if alone else f"after={','.join(earlier[-1:])}"
    return f"{name} {policy} attempts=5 undo_attempts={draw(st.integers(1, 3))} {after}"


@settings(max_examples=3 * settings().max_examples)
@given(trips(), happenings)
def test_failed_compensations_violate_no_invariant(
    definition: Definition, words: list[str]
) -> None:
    scripted = ScriptedSaga(definition)
    scripted.play([*[ParticipantBehavior.DONE] * len(definition.steps), COMPENSATE])

    scripted.play(words)

    while scripted.status != "compensated":
        scripted.play([RETRY])
        scripted.come_to_rest()


class MistrustedSaga(ScriptedSaga):
    """A saga whose participants can have rejected what they did; only its log is checked."""

    def all_invariants_hold(self) -> None:
        assert violations(history_of(self.process)) == []

    def apply(self, word: str) -> None:
        if word == FOUND_DONE:
            for name in self._first(StepStatus.REJECTED):
                self._try(ResolveStep(step=name, verdict=Resolution.DONE, evidence="seen"))
        elif word == RETRY_FIRST:
            for name in self._first(StepStatus.COMPENSATION_FAILED):
                self._try(Retry(step=name))
        else:
            super().apply(word)

    def _first(self, status: StepStatus) -> list[str]:
        return [step.name for step in self.process.saga.steps_in(status)[:1]]

    def _try(self, asked: OperatorCommand) -> None:
        with suppress(NotAllowed):
            self.process.handle(asked, now=self.now)


@settings(max_examples=3 * settings().max_examples)
@given(trips(last="charge"), found_out)
def test_step_that_turns_out_to_be_done_violates_no_invariant(
    definition: Definition, words: list[str]
) -> None:
    scripted = MistrustedSaga(definition)
    scripted.play([ParticipantBehavior.DONE] * (len(definition.steps) - 1))
    scripted.play([ParticipantBehavior.REJECTED])

    scripted.play(words)

    while scripted.status != "compensated":
        scripted.play([RETRY])
        scripted.come_to_rest()
