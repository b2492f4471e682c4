"""What follows by the short way is what follows by the long one, at every moment of any saga.

The stories are those of `test_saga_machine.py`. At its end each is told again event by event, so
that the moments within a decision are seen as well.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import event, settings
from saga_orchestrator.fsm.decider.decision import DecisionBuilder
from saga_orchestrator.fsm.decider.forward import continue_graph, continue_sequence
from saga_orchestrator.fsm.machines import SagaStatus
from saga_orchestrator.fsm.saga import Saga
from saga_orchestrator.tests.property.test_saga_machine import SagaMachine

A_WHILE = timedelta(seconds=10)  # longer than the deadlines that are drawn


class ComparingMachine(SagaMachine):
    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "process"):
            for version in range(1, len(self.process.log) + 1):
                saga = self.process.replayed(version)
                if saga.state.status is SagaStatus.RUNNING:
                    self.both_ways_are_one(saga, saga.state.updated_at)
                    self.both_ways_are_one(saga, saga.state.updated_at + A_WHILE)

    def both_ways_are_one(self, saga: Saga, now: datetime) -> None:
        short, long = DecisionBuilder(saga, now), DecisionBuilder(saga, now)
        if continue_sequence(short):
            continue_graph(long)
            event("the short way was taken")
            assert short.events == long.events
            assert short.saga == long.saga
            assert (short.calls, short.children) == (long.calls, long.children)


TestComparingMachine = ComparingMachine.TestCase
TestComparingMachine.settings = settings(
    max_examples=2 * settings().max_examples, stateful_step_count=30
)
