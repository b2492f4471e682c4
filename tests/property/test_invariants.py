"""Whatever `decide` makes of answers, crashes and people, no check of an installation complains.

The stories are those of `test_saga_machine.py`; here each moment of them is examined as the log of
an installation is, together with the ledgers of its participants.
"""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import settings
from hypothesis.stateful import invariant
from saga_orchestrator.fsm.instructions import CallParticipant
from saga_orchestrator.fsm.invariants import (
    ClientAck,
    LedgerCoverage,
    LedgerEntry,
    acknowledgements_hold,
    violations,
)
from saga_orchestrator.fsm.invariants.calls import calls_were_intended, keys_are_constant
from saga_orchestrator.fsm.invariants.effects import effects_match_log
from saga_orchestrator.fsm.testing.participants_model import Effect
from saga_orchestrator.fsm.testing.scenario import NOON, SAGA_ID
from saga_orchestrator.tests.property.test_saga_machine import SagaMachine
from saga_orchestrator.tests.unit.fsm.invariants.histories import history_of

END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class ExaminedMachine(SagaMachine):
    @invariant()
    def all_promises_are_kept(self) -> None:
        if not hasattr(self, "process"):
            return
        history, definition = history_of(self.process), self.process.definition
        seen = [self.seen(one) for one in self.participants.received]
        # What a person does by hand is an effect, and no call.
        effects = [self.felt(one) for one in self.participants.effects]
        watch = LedgerCoverage(
            frozenset(step.participant for step in definition.steps), END_OF_TIME
        )
        told = ClientAck(
            at=self.now,
            saga_id=SAGA_ID,
            status=self.process.saga.state.status,
            version=self.process.saga.state.version,
        )
        assert violations(history) == []
        assert list(calls_were_intended(history, seen)) == []
        assert list(keys_are_constant(history, seen)) == []
        assert list(effects_match_log(history, effects, watch)) == []
        assert list(acknowledgements_hold(history, [told])) == []

    def seen(self, call: CallParticipant) -> LedgerEntry:
        return LedgerEntry(
            at=NOON,
            participant=call.participant,
            key=call.key,
            saga_id=call.saga_id,
            step=call.step,
            direction=call.direction,
            attempt=call.attempt,
            method=call.method,
            path=call.path,
        )

    def felt(self, effect: Effect) -> LedgerEntry:
        return LedgerEntry(
            at=NOON,
            participant=self.process.definition[effect.step].participant,
            key=self.process.saga.key(effect.step, effect.direction),
            saga_id=SAGA_ID,
            step=effect.step,
            direction=effect.direction,
            attempt=1,
            effect=True,
        )


TestExaminedMachine = ExaminedMachine.TestCase
TestExaminedMachine.settings = settings(
    max_examples=2 * settings().max_examples, stateful_step_count=30
)
