"""One decision in the making: the saga as it will be, the events that lead there, what to send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from operator import attrgetter

from .command import (
    CallParticipant,
    ChildCommand,
    awaited,
    call_of,
    child_commands,
    child_id_of,
    prepare,
    prepare_again,
    start_child,
    undo_child,
)
from .definition import Completion, Step
from .events import (
    CompensationCalled,
    CompensationStarted,
    Event,
    SagaParked,
    StatusAsked,
    StepBackedOff,
    StepCalled,
    StepFact,
    WaitStarted,
)
from .expression import ExpressionError
from .machines import SagaStatus, StepStatus
from .missing_output import Unmade, blamed
from .outcome import Direction, Hold, Outcome
from .saga import Saga
from .state import fold, fold_kept, keep, own
from .step_state import UNTOUCHED, StepState, is_news, is_repeated

NOBODY: Mapping[str, Hold] = {}
MAY_BE_HELD = (StepStatus.PENDING, StepStatus.BACKING_OFF)
REPEATS = (StepStatus.BACKING_OFF, StepStatus.WAITING, StepStatus.COMPENSATION_BACKING_OFF)
INTENTS: Mapping[Direction, type[StepCalled | StatusAsked | CompensationCalled]] = {
    Direction.ACTION: StepCalled,
    Direction.STATUS: StatusAsked,
    Direction.COMPENSATION: CompensationCalled,
}
# The number of the call that is to be made. A question is about the attempt before it.
ATTEMPT: Mapping[Direction, Callable[[StepState], int]] = {
    Direction.ACTION: attrgetter("next_attempt"),
    Direction.STATUS: attrgetter("attempts"),
    Direction.COMPENSATION: attrgetter("next_compensation_attempt"),
}


class Deciding:
    """`held` are participants to which nothing is sent forward now, with why and for how long."""

    def __init__(
        self,
        saga: Saga,
        now: datetime,
        jitter: float = 0.0,
        held: Mapping[str, Hold] = NOBODY,
    ) -> None:
        earliest = saga.state.updated_at  # whatever a clock says that was set back
        self.now = now if now > earliest else earliest
        self.saga, self.jitter, self.held = saga, jitter, held
        self.lacking: frozenset[str] = frozenset()  # outputs that keep a request from being made
        self.is_own = False  # the saga, which then grows with each event
        self.events: list[Event] = []
        self.calls: list[CallParticipant] = []
        self.children: list[ChildCommand] = []

    def record(self, event: Event) -> None:
        if not self.is_own:
            self._make_own()
        if self.saga.state.unrecorded:
            self.record_kept()
        fold(self.saga.state, event, self.now)
        self.events.append(event)

    def record_answer(self, fact: StepFact) -> None:
        """Record the answer to a call, unless it repeats what the log has.

        An answer that uses no attempt up is recorded the first time and then at each power of two,
        or once something else of the saga is recorded. Until then this process alone knows of it.
        """
        if not is_repeated(fact):
            self.record(fact)
            return
        news = is_news(self.saga.state.step(fact.step), fact)
        self.keep(fact)
        if news:
            self.record_kept()

    def keep(self, event: StepFact) -> None:
        if not self.is_own:
            self._make_own()
        keep(self.saga.state, event, self.now)

    def record_kept(self) -> None:
        if not self.is_own:
            self._make_own()
        self.events += fold_kept(self.saga.state, self.now)

    def _make_own(self) -> None:
        self.saga, self.is_own = Saga(self.saga.definition, own(self.saga.state)), True

    def begin(self, step: Step) -> None:
        """Whatever the step does, from its beginning."""
        if step.action is not None:
            self.call(step, Direction.ACTION)
        elif step.sleep is not None:
            self.record(WaitStarted(step=step.name, until=self.now + step.sleep))
        elif step.wait_for is not None:
            self.await_signal(step)
        else:
            self._start_child(step)

    def await_signal(self, step: Step) -> None:
        assert step.wait_for is not None
        until = self.now + step.wait_for.timeout
        self.record(WaitStarted(step=step.name, until=until, signal=step.wait_for.signal))

    def call(self, step: Step, direction: Direction) -> None:
        """Record the intent and keep the call; park if its request cannot be made."""
        state = self.saga.state.steps.get(step.name, UNTOUCHED)
        attempt = ATTEMPT[direction](state)
        if step.child is not None:
            self.record(CompensationCalled(step=step.name, attempt=attempt))
            self.children.append(undo_child(self.saga, step))
            return
        # Only sagas whose input nobody looked at can have sent null for what was absent.
        again = not self.saga.state.input_checked and _may_have_arrived(state, direction)
        make = prepare_again if again else prepare
        try:
            call = make(self.saga, step, direction, attempt)
        except ExpressionError as error:
            undoes = direction is Direction.COMPENSATION
            if self.saga.state.status is SagaStatus.COMPENSATING and not undoes:
                return  # a question that cannot be asked; without an answer the step is unknown
            what = f"the {direction} of {step.name} cannot be called: {error}"
            unmade = blamed(self.saga, call_of(step, direction).templates, what)
            self.park_for(unmade, undoes=undoes)
            return
        if self.held and self._is_held(step, direction, state):
            self._hold(step, attempt, state)
            return
        intent = INTENTS[direction](step=step.name, attempt=attempt)
        if state.status in REPEATS and self._is_recorded(step, direction, attempt):
            self.keep(intent)
        else:
            self.record(intent)
        self.calls.append(call)

    def _is_recorded(self, step: Step, direction: Direction, attempt: int) -> bool:
        """Whether the log says that this very call is out.

        A question changes nothing: it is enough if the log says that it was asked before.
        """
        state = self.saga.state
        kept = state.unrecorded.get(step.name)
        logged = state.step(step.name) if kept is None else kept.logged
        if direction is Direction.STATUS:
            return logged.asked == attempt
        undoes = direction is Direction.COMPENSATION
        tried = logged.compensation_attempts if undoes else logged.attempts
        return awaited(logged) is direction and tried == attempt

    def _is_held(self, step: Step, direction: Direction, state: StepState) -> bool:
        forward = direction is not Direction.COMPENSATION
        return forward and step.participant in self.held and state.status in MAY_BE_HELD

    def _hold(self, step: Step, attempt: int, state: StepState) -> None:
        """Nothing is sent, so no call is recorded."""
        times = state.times + 1
        hold = self.held[step.participant]
        self.record_answer(
            StepBackedOff(
                step=step.name,
                attempt=attempt,
                outcome=Outcome.HELD,
                error=hold.reason,
                until=self.after(step.retry.repeated(hold.rest, times)),
                times=times,
            )
        )

    def turn_back(self, event: CompensationStarted) -> None:
        """Nothing goes forward any more; children that are under way are called back."""
        self.record(event)
        self.command_children()

    def command_children(self) -> None:
        """Derive what the children under way are to do from the saga as it is now."""
        self.children = child_commands(self.saga)

    def call_for_output(self, step: Step) -> None:
        """Repeat the call of a done step whose output is missing; one that is polled is asked."""
        polled = step.completion is Completion.POLL
        self.call(step, Direction.STATUS if polled else Direction.ACTION)

    def park(self, why: str, without_output: tuple[str, ...] = ()) -> None:
        """As soon as all that is out is answered: a saga at rest awaits nothing."""
        if not self.saga.is_called:
            not_done = self.saga.not_done
            self.record(SagaParked(reason=why, not_done=not_done, without_output=without_output))

    def park_undo(self, why: str, without_output: tuple[str, ...] = ()) -> None:
        not_undone = self.saga.not_undone
        self.record(SagaParked(reason=why, not_undone=not_undone, without_output=without_output))

    def park_for(self, unmade: Unmade, *, undoes: bool = False) -> None:
        self.lacking = unmade.lacking
        park = self.park_undo if undoes else self.park
        park(unmade.why, unmade.without_output)

    def _start_child(self, step: Step) -> None:
        assert step.child is not None
        try:
            child = start_child(self.saga, step)
        except ExpressionError as error:
            what = f"the child saga {step.name} cannot be started: {error}"
            given = [] if step.child.input is None else [step.child.input]
            self.park_for(blamed(self.saga, given, what))
            return
        child_id = child_id_of(self.saga.state.saga_id, step.name)
        self.record(WaitStarted(step=step.name, child_id=child_id))
        self.children.append(child)

    @property
    def saga_time(self) -> datetime:
        """Its clock stands still while it is paused: all its times are put off afterwards."""
        return self.saga.state.paused_at or self.now

    def after(self, wait: timedelta) -> datetime:
        return self.saga_time + wait


def _may_have_arrived(state: StepState, direction: Direction) -> bool:
    """Whether a participant may have acted on this very request before."""
    if direction is Direction.COMPENSATION:
        return state.compensation_attempts > 0
    return state.attempts > 0 and (state.may_have_happened or state.status is StepStatus.SUCCEEDED)
