"""The way back: R2 to R5, each broken where it lives."""

from __future__ import annotations

from typing import Final

from saga_orchestrator.tests.mutations.mutation import Mutation

RULES: Final = "test_saga_machine.py"
ATTEMPTS: Final = "test_outcomes_of_a_step.py"
BACK: Final = "test_way_back.py"
DEADLINES: Final = "test_deadlines.py"

MUTATIONS: Final = (
    Mutation(
        rule="R2",
        says="compensation does not wait for calls under way",
        file="fsm/backward.py",
        old="or saga.is_called or",
        new="or",
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
        rule="R2",
        says="a call is sent again after a crash though the saga goes back",
        file="fsm/command.py",
        old="""    if state.status is COMPENSATING:
        return True
    if state.status is not RUNNING or saga.pivot_passed:
""",
        new="""    if state.status is not RUNNING or saga.pivot_passed:
""",
        property=RULES,
    ),
    Mutation(
        rule="R2",
        says="a call that a crash has cut off is not waited for",
        file="fsm/command.py",
        old="    return since + step.action.timeout\n",
        new="    return since\n",
        property=RULES,
    ),
    Mutation(
        rule="R8",
        says="nothing wakes a saga for a call that a crash has cut off",
        file="fsm/command.py",
        old="wake = due if wake is None else min(wake, due)",
        new="wake = wake",
        property=RULES,
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
        old="for name in reversed(saga.state.finished):",
        new="for name in saga.state.finished:",
        property=BACK,
    ),
    Mutation(
        rule="R3",
        says="a busy attempt leaves no doubt when the saga turns round",
        file="fsm/step_state.py",
        old="return self.doubtful or self.was_busy or said_done",
        new="return self.doubtful or said_done",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        says="what was never sent counts as unknown when the saga turns round",
        file="fsm/consequence.py",
        old="kind = StepUnknown if waits or state.may_have_happened else StepNotSent",
        new="kind = StepUnknown",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        says="a refusal makes up for an unknown attempt",
        file="fsm/step_state.py",
        old="if step.doubtful or event.resent or said_done",
        new="if event.resent or said_done",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        says="a refusal makes up for what a crash may have sent",
        file="fsm/step_state.py",
        old="if step.doubtful or event.resent or said_done",
        new="if step.doubtful or said_done",
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
        says="a pivot that was not executed keeps everything waiting",
        file="fsm/saga.py",
        old="return state.may_have_happened if waits_to_retry else state.status in DOUBTS",
        new="return waits_to_retry or state.status in DOUBTS",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        says="a request that a pivot has kept waiting is forgotten",
        file="fsm/forward.py",
        old="if asked is None or saga.pivot_passed or saga.pivot_in_doubt:",
        new="if asked is not None or saga.pivot_passed or saga.pivot_in_doubt:",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        says="a pivot that turns out not done is tried again though the saga goes back",
        file="fsm/reaction.py",
        old="if isinstance(fact, StepFoundNotDone) and not (paused or is_turning(deciding)):",
        new="if isinstance(fact, StepFoundNotDone) and not paused:",
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
        old="""        StepStatus.COMPENSATION_FAILED,
    }
""",
        new="""    }
""",
        property=BACK,
    ),
)
