"""Compensation: the rules R2 to R5, each broken where it is implemented."""

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
        effect="compensation does not wait for calls in flight",
        file="fsm/decider/compensation.py",
        old="        or saga.has_call_in_flight\n",
        new="",
        property=RULES,
    ),
    Mutation(
        rule="R2",
        effect="a step that backs off is not settled before compensation",
        file="fsm/decider/compensation.py",
        old="if waits or state.status is StepStatus.BACKING_OFF:",
        new="if waits:",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R2",
        effect="an action is sent again after a crash during compensation",
        file="fsm/instructions.py",
        old="""    if state.status is COMPENSATING:
        return True
    if state.status is not RUNNING or saga.pivot_succeeded:
""",
        new="""    if state.status is not RUNNING or saga.pivot_succeeded:
""",
        property=RULES,
    ),
    Mutation(
        rule="R2",
        effect="a call that a crash has interrupted is not awaited",
        file="fsm/instructions.py",
        old="    return since + step.action.timeout\n",
        new="    return since\n",
        property=RULES,
    ),
    Mutation(
        rule="R8",
        effect="an interrupted call has no wake-up",
        file="fsm/instructions.py",
        old="wake = due if wake is None else min(wake, due)",
        new="wake = wake",
        property=RULES,
    ),
    Mutation(
        rule="R3",
        effect="unknown steps are not compensated",
        file="fsm/saga.py",
        old="NEEDS_COMPENSATION = frozenset({StepStatus.SUCCEEDED, StepStatus.UNKNOWN})",
        new="NEEDS_COMPENSATION = frozenset({StepStatus.SUCCEEDED})",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        effect="the step that was done first is compensated first",
        file="fsm/decider/compensation.py",
        old="for name in reversed(saga.state.finished):",
        new="for name in saga.state.finished:",
        property=BACK,
    ),
    Mutation(
        rule="R3",
        effect="a retried compensation comes before that of a later step",
        file="fsm/decider/compensation.py",
        old="if stands or _is_retried(state):",
        new="if _is_retried(state) or stands > any(_is_retried(other) for _, other in saga.steps):",
        property=BACK,
    ),
    Mutation(
        rule="R3",
        effect="a busy attempt counts as not sent when compensation starts",
        file="fsm/step_state.py",
        old="return self.is_uncertain or self.was_busy or said_done",
        new="return self.is_uncertain or said_done",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        effect="a step that was not sent counts as unknown",
        file="fsm/decider/call_results.py",
        old="event_type = StepUnknown if waits or state.may_have_happened else StepNotSent",
        new="event_type = StepUnknown",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        effect="a refusal cancels an earlier unknown attempt",
        file="fsm/step_state.py",
        old="if step.is_uncertain or event.resent or said_done",
        new="if event.resent or said_done",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        effect="a refusal cancels an attempt that a crash may have sent",
        file="fsm/step_state.py",
        old="if step.is_uncertain or event.resent or said_done",
        new="if step.is_uncertain or said_done",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        effect="compensate_on_reject is ignored",
        file="fsm/saga.py",
        old="rejected = status is StepStatus.REJECTED and step.compensate_on_reject",
        new="rejected = False",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        effect="an action that ends not sent cancels an earlier unknown attempt",
        file="fsm/decider/call_results.py",
        old="if outcome.may_have_happened or completed.resent or state.may_have_happened:",
        new="if outcome.may_have_happened or completed.resent:",
        property=ATTEMPTS,
    ),
    Mutation(
        rule="R3",
        effect="a verdict of not done is recorded as done",
        file="fsm/decider/operator_commands.py",
        old="            verdict=command.verdict,\n            evidence",
        new="            verdict=Resolution.DONE if command.verdict is Resolution.NOT_DONE "
        "else command.verdict,\n            evidence",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        effect="a deadline does not wait for the outcome of a pivot",
        file="fsm/decider/forward.py",
        old="return not saga.pivot_is_uncertain and bool(saga.not_done)",
        new="return bool(saga.not_done)",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        effect="a request does not wait for the outcome of a pivot",
        file="fsm/decider/operator_commands.py",
        old="if saga.state.status is SagaStatus.RUNNING and saga.pivot_is_uncertain:",
        new="if saga.state.status is None and saga.pivot_is_uncertain:",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        effect="requests wait for a pivot that was not executed",
        file="fsm/saga.py",
        old="return state.may_have_happened if waits_to_retry else state.status in UNSETTLED",
        new="return waits_to_retry or state.status in UNSETTLED",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        effect="a request that waited for a pivot is dropped",
        file="fsm/decider/forward.py",
        old="if request is None or saga.pivot_succeeded or saga.pivot_is_uncertain:",
        new="if request is not None or saga.pivot_succeeded or saga.pivot_is_uncertain:",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        effect="a pivot that was not executed is retried after a request",
        file="fsm/decider/reactions.py",
        old="if isinstance(fact, StepConfirmedNotExecuted) and not (paused or "
        "is_about_to_turn(builder)):",
        new="if isinstance(fact, StepConfirmedNotExecuted) and not paused:",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        effect="a deadline after the pivot starts the compensation",
        file="fsm/decider/forward.py",
        old="""    if builder.saga.pivot_succeeded:
        builder.park(error)
    else:
        builder.start_compensation(CompensationStarted(cause=Cause.DEADLINE, error=error))
""",
        new="""    builder.start_compensation(CompensationStarted(cause=Cause.DEADLINE,
        error=error))
""",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        effect="a failure after the pivot starts the compensation",
        file="fsm/decider/forward.py",
        old="if in_doubt or builder.saga.pivot_succeeded:",
        new="if in_doubt:",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        effect="a failure does not wait for the outcome of a pivot",
        file="fsm/decider/forward.py",
        old="""    in_doubt = step.pivot and status is StepStatus.UNKNOWN
    if in_doubt or builder.saga.pivot_succeeded:
        builder.park(error)
    elif not builder.saga.pivot_is_uncertain:
""",
        new="""    if builder.saga.pivot_succeeded:
        builder.park(error)
    else:
""",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        effect="a request after the pivot starts the compensation",
        file="fsm/decider/refusals.py",
        old="""    if saga.pivot_succeeded:
        return "its pivot has succeeded, so it can only go forward"
""",
        new="",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        effect="deadlines are ignored",
        file="fsm/decider/forward.py",
        old="return deadline is not None and deadline <= now",
        new="return False",
        property=DEADLINES,
    ),
    Mutation(
        rule="R4",
        effect="an abandoned saga does not list what is not undone",
        file="fsm/decider/operator_commands.py",
        old="            not_undone=saga.not_undone,\n",
        new="",
        property=RULES,
    ),
    Mutation(
        rule="R5",
        effect="a failed compensation never stops the others",
        file="fsm/decider/compensation.py",
        old="return step.compensation is None or step.compensation.on_failure is OnFailure.PARK",
        new="return False",
        property=BACK,
    ),
    Mutation(
        rule="R5",
        effect="a failed compensation always stops the others",
        file="fsm/decider/compensation.py",
        old="return step.compensation is None or step.compensation.on_failure is OnFailure.PARK",
        new="return True",
        property=BACK,
    ),
    Mutation(
        rule="R5",
        effect="a compensation uses the retry policy of its action",
        file="fsm/decider/call_results.py",
        old="return call_of(step, completed.direction).retry.allows_another(tried)",
        new="return step.retry.allows_another(tried)",
        property=BACK,
    ),
    Mutation(
        rule="R5",
        effect="a parked saga does not list its failed compensation",
        file="fsm/saga.py",
        old="""        StepStatus.COMPENSATION_FAILED,
    }
""",
        new="""    }
""",
        property=BACK,
    ),
)
