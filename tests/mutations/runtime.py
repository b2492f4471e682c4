"""What the shell and the log keep: R1 and R6 to R8, each broken where it lives."""

from __future__ import annotations

from typing import Final

from saga_orchestrator.tests.mutations.mutation import Mutation

RULES: Final = "test_saga_machine.py"
ATTEMPTS: Final = "test_outcomes_of_a_step.py"
AGAIN: Final = "test_repetitions.py"
SHELL: Final = "test_service_machine.py"
RACES: Final = "test_races.py"
OPERATORS: Final = "test_operators.py"

MUTATIONS: Final = (
    Mutation(
        rule="R1",
        effect="the first call leaves before the start is recorded",
        file="fsm/runtime/driver.py",
        old="""            updated_at = decision.saga.state.updated_at
            events =""",
        new="""            updated_at = decision.saga.state.updated_at
            self.start_calls(ActiveSaga(decision.saga, self), decision.calls)
            events =""",
        property=SHELL,
    ),
    Mutation(
        rule="R1",
        effect="calls leave while their decision is being recorded",
        file="fsm/runtime/active_saga.py",
        old="""            if decision.events:
                state = decision.saga.state
""",
        new="""            runtime.start_calls(self, decision.calls)
            if decision.events:
                state = decision.saga.state
""",
        property=SHELL,
    ),
    Mutation(
        rule="R1",
        effect="the intent of a retry names the first attempt",
        file="fsm/decider/decision.py",
        old="intent = INTENT_BY_DIRECTION[direction](step=step.name, attempt=attempt)",
        new="intent = INTENT_BY_DIRECTION[direction](step=step.name, attempt=1)",
        property=RULES,
    ),
    Mutation(
        rule="R1",
        effect="an action is repeated without an intent in the log",
        file="fsm/decider/decision.py",
        old="        return pending_call(logged) is direction and tried == attempt\n",
        new="        return tried == attempt\n",
        property=SHELL,
    ),
    Mutation(
        rule="R7",
        effect="unrecorded repetitions are lost before the next event",
        file="fsm/decider/decision.py",
        old="""        if self.saga.state.unrecorded:
            self.record_unrecorded()
        self.saga = Saga(""",
        new="""        self.saga = Saga(""",
        property=AGAIN,
    ),
    Mutation(
        rule="R6",
        effect="concurrent inputs are decided on the same state",
        file="fsm/runtime/active_saga.py",
        old="""        runtime, lock = self._runtime, self.lock
        if not lock.try_acquire():
            await lock.acquire()
""",
        new="""        runtime, lock = self._runtime, self.lock
        if not lock.try_acquire():
            lock.acquired += 1
""",
        property=RACES,
    ),
    Mutation(
        rule="R6",
        effect="a late callback is not recorded",
        file="fsm/decider/reactions.py",
        old="""        builder.record(late)
""",
        new="",
        property=RACES,
    ),
    Mutation(
        rule="R6",
        effect="a late cancel compensates a completed saga",
        file="fsm/decider/refusals.py",
        old='        return "it is completed; compensate it instead"\n',
        new="        return None\n",
        property=RACES,
    ),
    Mutation(
        rule="R6",
        effect="an early callback is dropped",
        file="fsm/decider/reactions.py",
        old="if state.early_callback is None or not isinstance(event, INCONCLUSIVE):",
        new="if event:",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R6",
        effect="a status query decides over an early callback",
        file="fsm/decider/reactions.py",
        old="INCONCLUSIVE = (StepUnknown, StepNotSent, StepConfirmedNotExecuted)",
        new="INCONCLUSIVE = (StepUnknown, StepNotSent)",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R6",
        effect="a late reply changes its step",
        file="fsm/step_state.py",
        old="return replace(step, child_cancelled=False) if step.child_cancelled else step",
        new="return replace(step, last_error=event.what)",
        property=RULES,
    ),
    Mutation(
        rule="R6",
        effect="a reply after an abandon is not recorded",
        file="fsm/decider/reactions.py",
        old="        builder.record(LateReplyIgnored(step=step.name, what=what, error=error))\n",
        new="",
        property=RULES,
    ),
    Mutation(
        rule="R8",
        effect="a retry is offered that only parks the saga again",
        file="fsm/decider/output_guards.py",
        old="if again.reason == parked.reason:",
        new="if not again.reason:",
        property=OPERATORS,
    ),
    Mutation(
        rule="R8",
        effect="an operator cannot supply a missing output",
        file="fsm/decider/output_guards.py",
        old="if named is not None and step.name not in named:",
        new="if named is not None:",
        property=OPERATORS,
    ),
    Mutation(
        rule="R7",
        effect="events are recorded at another time than that of their decision",
        file="fsm/runtime/active_saga.py",
        old="state.saga_id, saga.state.version, decision.events, at=state.updated_at",
        new="state.saga_id, saga.state.version, decision.events, at=runtime.clock.now()",
        property=SHELL,
    ),
    Mutation(
        rule="R7",
        effect="a replay sends a compensation again that was done",
        file="fsm/instructions.py",
        old="""    StepStatus.COMPENSATING: Direction.COMPENSATION,
""",
        new="""    StepStatus.COMPENSATING: Direction.COMPENSATION,
    StepStatus.COMPENSATED: Direction.COMPENSATION,
""",
        property=SHELL,
    ),
    Mutation(
        rule="R7",
        effect="a replay applies all events at the time of the start",
        file="fsm/saga.py",
        old="evolve(state, event, recorded_at)",
        new="evolve(state, event, at)",
        property=RULES,
    ),
    Mutation(
        rule="R7",
        effect="the status of a version lacks its last event",
        file="fsm/runtime/saga_repository.py",
        old="if (version is None or entry.recorded.version <= version)",
        new="if (version is None or entry.recorded.version < version)",
        property=SHELL,
    ),
    Mutation(
        rule="R8",
        effect="no timer is set after an append",
        file="fsm/runtime/driver.py",
        old="""        self.timers.set(saga_id, wakeup)
        if has_calls""",
        new="        if has_calls",
        property=SHELL,
    ),
    Mutation(
        rule="R8",
        effect="recovery sets no timer for a waiting saga",
        file="fsm/runtime/sharding/recovery.py",
        old="self.driver.schedule(saga.saga_id, saga.wake_at)",
        new="self.driver.schedule(saga.saga_id, None)",
        property=SHELL,
    ),
    Mutation(
        rule="R8",
        effect="a timer that fires too early is not set again",
        file="fsm/runtime/driver.py",
        old="if saga.state.version == version and due is not None:",
        new="if saga.state.version == version and due is None:",
        property=SHELL,
    ),
    Mutation(
        rule="R8",
        effect="a back-off has no wake-up",
        file="fsm/step_state.py",
        old="""        was_busy=step.was_busy or event.outcome is Outcome.BUSY,
        next_attempt_at=event.until,
""",
        new="""        was_busy=step.was_busy or event.outcome is Outcome.BUSY,
""",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R8",
        effect="a deadline has no wake-up",
        file="fsm/instructions.py",
        old="return None if waits else state.deadline",
        new="return None",
        property=RULES,
    ),
)
