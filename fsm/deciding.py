"""One decision in the making: the saga as it will be, the events that lead there, what to send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from operator import attrgetter

from .command import (
    CallParticipant,
    ChildCommand,
    call_of,
    child_commands,
    child_id_of,
    prepare,
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
    StepCalled,
    WaitStarted,
)
from .expression import ExpressionError
from .machines import SagaStatus
from .missing_output import blamed
from .outcome import Direction
from .saga import Saga
from .state import fold, own
from .step_state import UNTOUCHED, StepState

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
    def __init__(self, saga: Saga, now: datetime, jitter: float = 0.0) -> None:
        earliest = saga.state.updated_at  # whatever a clock says that was set back
        self.now = now if now > earliest else earliest
        self.saga, self.jitter = saga, jitter
        self.events: list[Event] = []
        self.calls: list[CallParticipant] = []
        self.children: list[ChildCommand] = []

    def record(self, event: Event) -> None:
        if not self.events:  # from here on it is a saga of our own, which grows with each event
            self.saga = Saga(self.saga.definition, own(self.saga.state))
        fold(self.saga.state, event, self.now)
        self.events.append(event)

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
        attempt = ATTEMPT[direction](self.saga.state.steps.get(step.name, UNTOUCHED))
        if step.child is not None:
            self.record(CompensationCalled(step=step.name, attempt=attempt))
            self.children.append(undo_child(self.saga, step))
            return
        try:
            call = prepare(self.saga, step, direction, attempt)
        except ExpressionError as error:
            undoes = direction is Direction.COMPENSATION
            if self.saga.state.status is SagaStatus.COMPENSATING and not undoes:
                return  # a question that cannot be asked; without an answer the step is unknown
            what = f"the {direction} of {step.name} cannot be called: {error}"
            why, without_output = blamed(self.saga, call_of(step, direction).templates, what)
            park = self.park_undo if undoes else self.park
            park(why, without_output)
            return
        self.record(INTENTS[direction](step=step.name, attempt=attempt))
        self.calls.append(call)

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
            self.record(SagaParked(why=why, not_done=not_done, without_output=without_output))

    def park_undo(self, why: str, without_output: tuple[str, ...] = ()) -> None:
        not_undone = self.saga.not_undone
        self.record(SagaParked(why=why, not_undone=not_undone, without_output=without_output))

    def _start_child(self, step: Step) -> None:
        assert step.child is not None
        try:
            child = start_child(self.saga, step)
        except ExpressionError as error:
            what = f"the child saga {step.name} cannot be started: {error}"
            given = [] if step.child.input is None else [step.child.input]
            self.park(*blamed(self.saga, given, what))
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
