"""Every action that is offered to operators has an effect, and no parked saga is stuck.

The histories are those of `test_saga_machine.py`. At its end each is examined as it was after every
decision. Few of them park for an output: those have a test of their own.
"""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import event, given, settings
from hypothesis import strategies as st
from saga_orchestrator.fsm.decider.decide import allowed_actions, decide
from saga_orchestrator.fsm.decider.decision import Decision
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.errors import SagaError
from saga_orchestrator.fsm.events import Resolution, SagaParked, SagaUnparked
from saga_orchestrator.fsm.formats.strict_json import Json
from saga_orchestrator.fsm.inputs import (
    Abandon,
    Cancel,
    Compensate,
    OperatorCommand,
    Pause,
    ResolveStep,
    Resume,
    Retry,
    SendSignal,
    SkipStep,
)
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.fsm.testing import ParticipantBehavior
from saga_orchestrator.tests.property.scripted_saga import RETRY, ScriptedSaga
from saga_orchestrator.tests.property.test_saga_machine import OUTPUT, SagaMachine


class OperatorsMachine(SagaMachine):
    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "process"):
            for version in self.process.states_by_version:
                saga = self.process.replayed(version)
                offered_actions_have_an_effect(saga)
                if saga.state.status is SagaStatus.PARKED:
                    event("a parked saga was led on")
                    parked_saga_can_be_led_on(saga)


def offered_actions_have_an_effect(saga: Saga) -> None:
    """And no other action does, for any step and with any verdict."""
    works = set()
    for verb, asked in asks(saga):
        if (done := ask(saga, asked)) is not None and done.events:
            assert leads_on(saga, done), f"{asked} only parks it again"
            works.add(verb)
    assert set(allowed_actions(saga)) == works


def parked_saga_can_be_led_on(saga: Saga) -> None:
    """By another action than an abandon, and then it does not merely park again."""
    others = [asked for verb, asked in asks(saga) if verb != "abandon"]
    assert any(done.events for asked in others if (done := ask(saga, asked)))
    assert saga.state.parked is not None
    for step in saga.state.parked.without_output or ():
        resolution = Resolution.DONE
        supplied = ResolveStep(step=step, verdict=resolution, evidence="seen", output=OUTPUT)
        assert ask(saga, supplied) is not None, f"the output of {step} cannot be supplied"


def leads_on(saga: Saga, decision: Decision) -> bool:
    """True if the decision does more than park the saga again for the same reason."""
    kinds = [type(event) for event in decision.events]
    before, after = saga.state.parked, decision.saga.state.parked
    same = before is not None and after is not None and before.reason == after.reason
    return kinds != [SagaUnparked, SagaParked] or not same


def ask(saga: Saga, asked: OperatorCommand) -> Decision | None:
    """Return the decision, or None if the command is refused."""
    try:
        return decide(saga, asked, now=saga.state.updated_at, jitter=0.5)
    except SagaError:
        return None


def asks(saga: Saga) -> Iterator[tuple[str, OperatorCommand]]:
    yield "compensate", Compensate()
    yield "cancel", Cancel()
    yield "retry", Retry()
    yield "pause", Pause()
    yield "resume", Resume()
    yield "abandon", Abandon(reason="enough")
    for name in ("approval", "payment"):
        yield "signal", SendSignal(name=name)
    for step in saga.definition.steps:
        yield "retry", Retry(step=step.name)
        yield "skip", SkipStep(step=step.name)
        for resolution in Resolution:
            yield (
                "resolve",
                ResolveStep(step=step.name, verdict=resolution, evidence="seen", output=OUTPUT),
            )


TestOperatorsMachine = OperatorsMachine.TestCase
TestOperatorsMachine.settings = settings(max_examples=3 * settings().max_examples)


def reads_an_output() -> Definition:
    """Return a definition whose second step cannot be called without the output of the first."""
    steps: list[Json] = [
        {"name": name, "participant": "trips", "action": {"path": path}, "effect": "none"}
        for name, path in (("book", "/book"), ("pay", "/pay/${steps.book.output.id}"))
    ]
    return parse_definition({"saga": "trip", "version": 1, "steps": steps})


@given(
    st.lists(
        st.sampled_from(
            [
                ParticipantBehavior.DONE,
                ParticipantBehavior.EMPTY,
                ParticipantBehavior.TOO_LARGE,
                RETRY,
            ]
        ),
        max_size=6,
    )
)
def test_saga_that_is_parked_for_an_output_can_be_led_on(words: list[str]) -> None:
    scripted = ScriptedSaga(reads_an_output())

    scripted.play(words)

    offered_actions_have_an_effect(scripted.process.saga)
    if scripted.status == SagaStatus.PARKED:
        parked_saga_can_be_led_on(scripted.process.saga)
