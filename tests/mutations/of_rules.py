"""The rules R1 to R9, each broken where it lives."""

from __future__ import annotations

from typing import Final

from saga_orchestrator.tests.mutations.mutation import Mutation

RULES: Final = "test_saga_machine.py"
ATTEMPTS: Final = "test_outcomes_of_a_step.py"
BACK: Final = "test_way_back.py"
DEADLINES: Final = "test_deadlines.py"
SHELL: Final = "test_service_machine.py"
RACES: Final = "test_races.py"
VERIFIER: Final = "test_what_can_be_undone.py"

MUTATIONS: Final = (
    Mutation(
        rule="R1",
        says="the first call leaves before the start is recorded",
        file="fsm/runtime/driver.py",
        old="""        try:
            recorded = await self._append(0, decision)
""",
        new="""        self._launch(Live(decision.saga), decision.calls)
        try:
            recorded = await self._append(0, decision)
""",
        property=SHELL,
    ),
    Mutation(
        rule="R1",
        says="calls leave while their decision is being recorded",
        file="fsm/runtime/driver.py",
        old="""            if decision.events:
                version = live.saga.state.version
                recorded = await self._append(version, decision)
                self._publish(live, decision.saga, recorded)
        self._obey(decision)
        return decision.calls
""",
        new="""            self._launch(live, decision.calls)
            if decision.events:
                version = live.saga.state.version
                recorded = await self._append(version, decision)
                self._publish(live, decision.saga, recorded)
        self._obey(decision)
        return ()
""",
        property=SHELL,
    ),
    Mutation(
        rule="R1",
        says="the intent of a retry names the first attempt",
        file="fsm/deciding.py",
        old="self.record(INTENTS[direction](step=step.name, attempt=attempt))",
        new="self.record(INTENTS[direction](step=step.name, attempt=1))",
        property=RULES,
    ),
    Mutation(
        rule="R2",
        says="compensation does not wait for calls under way",
        file="fsm/backward.py",
        old="        StepStatus.CALLING,\n        StepStatus.WAITING,\n",
        new="        StepStatus.WAITING,\n",
        property=RULES,
    ),
    Mutation(
        rule="R2",
        says="a step that waits for its next try is not settled",
        file="fsm/backward.py",
        old="if waits or state.status is StepStatus.BACKING_OFF:",
        new="if waits:",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        says="unknown steps are not undone",
        file="fsm/saga.py",
        old="AT_STAKE = frozenset({StepStatus.SUCCEEDED, StepStatus.UNKNOWN})",
        new="AT_STAKE = frozenset({StepStatus.SUCCEEDED})",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        says="the first one done is undone first",
        file="fsm/backward.py",
        old="for name in reversed(deciding.saga.state.finished):",
        new="for name in deciding.saga.state.finished:",
        property=BACK,
    ),
    Mutation(
        rule="R3",
        says="a busy attempt leaves no doubt when the saga turns round",
        file="fsm/consequence.py",
        old="kind = StepUnknown if waits or state.doubtful or state.was_busy else StepNotSent",
        new="kind = StepUnknown if waits or state.doubtful else StepNotSent",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        says="what was never sent counts as unknown when the saga turns round",
        file="fsm/consequence.py",
        old="kind = StepUnknown if waits or state.doubtful or state.was_busy else StepNotSent",
        new="kind = StepUnknown",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        says="a refusal makes up for an unknown attempt",
        file="fsm/step_state.py",
        old="if step.doubtful or event.resent or said_done else",
        new="if event.resent or said_done else",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        says="a refusal makes up for what a crash may have sent",
        file="fsm/step_state.py",
        old="if step.doubtful or event.resent or said_done else",
        new="if step.doubtful or said_done else",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        says="a rejected step that asks to be undone is not",
        file="fsm/saga.py",
        old="rejected = status is StepStatus.REJECTED and step.compensate_on_reject",
        new="rejected = False",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R4",
        says="a deadline does not wait for the outcome of a pivot",
        file="fsm/forward.py",
        old="return not saga.pivot_in_doubt and bool(saga.not_done)",
        new="return bool(saga.not_done)",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        says="a request does not wait for the outcome of a pivot",
        file="fsm/verb.py",
        old="if saga.state.status is SagaStatus.RUNNING and saga.pivot_in_doubt:",
        new="if saga.state.status is None and saga.pivot_in_doubt:",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        says="a deadline after the pivot turns the saga back",
        file="fsm/forward.py",
        old="""    if deciding.saga.pivot_passed:
        deciding.park(error)
    else:
        deciding.turn_back(CompensationStarted(cause=Cause.DEADLINE, error=error))
""",
        new="""    deciding.turn_back(CompensationStarted(cause=Cause.DEADLINE, error=error))
""",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        says="a failure after the pivot turns the saga back",
        file="fsm/forward.py",
        old="if in_doubt or deciding.saga.pivot_passed:",
        new="if in_doubt:",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        says="a request after the pivot turns the saga back",
        file="fsm/verb.py",
        old="""    if saga.pivot_passed:
        return "a pivot was passed, so it only goes forward"
""",
        new="",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        says="deadlines are forgotten",
        file="fsm/forward.py",
        old="return deadline is not None and deadline <= now",
        new="return False",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        says="a saga that is given up does not say what stays",
        file="fsm/verb.py",
        old="            not_undone=saga.not_undone,\n",
        new="",
        property=RULES,
    ),
    Mutation(
        rule="R5",
        says="a failed compensation stops nothing",
        file="fsm/backward.py",
        old="return step.compensation is None or step.compensation.on_failure is OnFailure.PARK",
        new="return False",
        property=BACK,
    ),
    Mutation(
        rule="R5",
        says="a failed compensation always stops the others",
        file="fsm/backward.py",
        old="return step.compensation is None or step.compensation.on_failure is OnFailure.PARK",
        new="return True",
        property=BACK,
    ),
    Mutation(
        rule="R5",
        says="a compensation is tried as often as its action",
        file="fsm/consequence.py",
        old="return call_of(step, answer.direction).retry.allows_another(tried)",
        new="return step.retry.allows_another(tried)",
        property=BACK,
    ),
    Mutation(
        rule="R5",
        says="a failed compensation is not listed where the saga parks",
        file="fsm/saga.py",
        old="        StepStatus.COMPENSATION_FAILED,\n",
        new="",
        property=BACK,
    ),
    Mutation(
        rule="R6",
        says="two that come at once are decided about at once",
        file="fsm/runtime/driver.py",
        old="        async with live.turn:\n",
        new="        async with asyncio.Lock():\n",
        property=RACES,
    ),
    Mutation(
        rule="R6",
        says="a callback that has lost leaves no trace",
        file="fsm/reaction.py",
        old="        deciding.record(late)\n",
        new="        return\n",
        property=RACES,
    ),
    Mutation(
        rule="R6",
        says="a cancel that has lost against the completion undoes it",
        file="fsm/verb.py",
        old='return "it is completed; compensate it instead" if done else _not_undoable(saga)',
        new="return None if done else _not_undoable(saga)",
        property=RACES,
    ),
    Mutation(
        rule="R6",
        says="a callback before a lost reply is dropped",
        file="fsm/reaction.py",
        old="if state.callback is None or not isinstance(said, StepUnknown | StepNotSent):",
        new="if said:",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R6",
        says="who has lost changes the step all the same",
        file="fsm/step_state.py",
        old="""CompensationCovered() | LateReplyIgnored():
            return changed(step, status=status)""",
        new="""CompensationCovered():
            return changed(step, status=status)
        case LateReplyIgnored(what=what):
            return changed(step, status=status, last_error=what)""",
        property=RULES,
    ),
    Mutation(
        rule="R6",
        says="an answer after the giving up leaves no trace",
        file="fsm/reaction.py",
        old="        deciding.record(LateReplyIgnored(step=step.name, what=what, error=error))\n",
        new="",
        property=RULES,
    ),
    Mutation(
        rule="R7",
        says="events are recorded with another time than was decided at",
        file="fsm/runtime/driver.py",
        old="state.saga_id, version, decision.events, at=state.updated_at",
        new="state.saga_id, version, decision.events, at=self.clock.now()",
        property=SHELL,
    ),
    Mutation(
        rule="R7",
        says="a replay sends again what was answered",
        file="fsm/command.py",
        old="CALLED_FOR: Mapping[StepStatus, Direction] = {\n",
        new="CALLED_FOR = {\n    StepStatus.COMPENSATED: Direction.COMPENSATION,\n",
        property=SHELL,
    ),
    Mutation(
        rule="R7",
        says="a replay tells all at the time of the start",
        file="fsm/saga.py",
        old="saga = saga.after(event, recorded_at)",
        new="saga = saga.after(event, at)",
        property=RULES,
    ),
    Mutation(
        rule="R7",
        says="the status of a version lacks its last event",
        file="fsm/runtime/journal.py",
        old="if (version is None or one.recorded.version <= version)",
        new="if (version is None or one.recorded.version < version)",
        property=SHELL,
    ),
    Mutation(
        rule="R8",
        says="no timer is set for what is recorded",
        file="fsm/runtime/driver.py",
        old="        self.timers.set(saga_id, wake)\n",
        new="",
        property=SHELL,
    ),
    Mutation(
        rule="R8",
        says="the next process forgets who waits",
        file="fsm/runtime/recovery.py",
        old="            self.driver.wait_for(one.saga_id, one.wake_at)\n",
        new="            continue\n",
        property=SHELL,
    ),
    Mutation(
        rule="R8",
        says="who is woken for nothing is not woken again",
        file="fsm/runtime/driver.py",
        old="if live.saga.state.version == version and due is not None:",
        new="if live.saga.state.version == version and due is None:",
        property=SHELL,
    ),
    Mutation(
        rule="R8",
        says="a back-off has no wake-up",
        file="fsm/step_state.py",
        old="is Outcome.BUSY,\n        next_attempt_at=event.until,\n",
        new="is Outcome.BUSY,\n",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R8",
        says="a deadline wakes nobody",
        file="fsm/command.py",
        old="return None if saga.pivot_in_doubt else state.deadline",
        new="return None",
        property=RULES,
    ),
    Mutation(
        rule="R9",
        says="nobody looks whether effects can be undone",
        file="fsm/verifier/__init__.py",
        old="    check_undo,\n    check_pivots,\n",
        new="    check_pivots,\n",
        property=VERIFIER,
    ),
    Mutation(
        rule="R9",
        says="a pivot that may be skipped excuses what comes after it",
        file="fsm/verifier/order.py",
        old="{step.name for step in definition.steps if step.pivot and not step.when}",
        new="{step.name for step in definition.steps if step.pivot}",
        property=VERIFIER,
    ),
    Mutation(
        rule="R9",
        says="a step may be undone by one that was skipped",
        file="fsm/verifier/undo.py",
        old="elif order.may_be_left_out(other, step):",
        new="elif False:",
        property=VERIFIER,
    ),
    Mutation(
        rule="R9",
        says="a step may be undone by one that cannot be undone",
        file="fsm/verifier/undo.py",
        old="elif not other.is_undoable:",
        new="elif False:",
        property=VERIFIER,
    ),
    Mutation(
        rule="R9",
        says="a step may be undone by one that comes later",
        file="fsm/verifier/undo.py",
        old="elif other is None or other.name not in order.before[step.name]:",
        new="elif other is None:",
        property=VERIFIER,
    ),
    Mutation(
        rule="R9",
        says="pivots are asked for a compensation",
        file="fsm/verifier/order.py",
        old="return step.pivot or step.name in self.beyond",
        new="return step.name in self.beyond",
        property=VERIFIER,
    ),
)
