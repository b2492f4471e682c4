"""Measure the CPU time of the pure core per saga, part by part, without a log and without a
network.

    python benchmarks/core.py [--against FOLDER] [--rounds N] [--ways forward,declined]
                              [--json FILE]

The saga is the newest three-step order of the checkout, its replies are real bytes. Each round is a
process of its own and does every part for some hundred sagas; the figure of a part is the least of
all rounds, since whatever else the machine does can only add to it. With --against, rounds
alternate with those of another checkout, say `git worktree add --detach FOLDER COMMIT`; the ratio
is ours to its.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from saga_orchestrator import examples
from saga_orchestrator.benchmarks.load import ENDS, ORDER
from saga_orchestrator.fsm.call_outcome import CallOutcome, Response, classify
from saga_orchestrator.fsm.codec import decode, encode
from saga_orchestrator.fsm.decider.decide import decide, start
from saga_orchestrator.fsm.decider.decision import Decision
from saga_orchestrator.fsm.definitions.definition import Definition
from saga_orchestrator.fsm.definitions.input_check import check_input
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.formats.strict_json import JsonObject, parse, parse_untrusted, serialize
from saga_orchestrator.fsm.formats.strict_yaml import parse_yaml
from saga_orchestrator.fsm.inputs import CallCompleted, StartSaga
from saga_orchestrator.fsm.instructions import CallParticipant, next_wakeup, pending_call
from saga_orchestrator.fsm.saga import replay
from saga_orchestrator.projections.status import start_result_view
from saga_orchestrator.projections.status_table import status_columns

SAGAS = 300  # a round
REPEATS = 5  # of each part in a round, so that the least of them has warm caches
BEGAN = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
ANSWERED = BEGAN + timedelta(milliseconds=7)
TYPE = {"content-type": "application/json"}
BESIDE = ("replay",)  # what no saga does on its way
Figures = Mapping[str, float]  # microseconds a saga, by part


@dataclass(frozen=True, slots=True)
class SagaHistory:
    """One saga from its start to its rest: every decision, and the replies that led to them."""

    definition: Definition
    saga_id: str
    request: StartSaga
    replies: Sequence[Response]
    decisions: Sequence[Decision]
    calls: Sequence[CallParticipant]
    answers: Sequence[CallCompleted]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ways", default=",".join(ENDS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one-round", choices=list(ENDS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one_round:
        print(json.dumps(measure(options.one_round)))
        return
    figures = {
        way: _compared(options.rounds, way, options.against) for way in options.ways.split(",")
    }
    for way, (ours, theirs) in figures.items():
        print("\n".join(table(way, ours, theirs)))
    if options.json:
        histories = {way: {"ours": ours, "theirs": other} for way, (ours, other) in figures.items()}
        options.json.write_text(json.dumps(histories, indent=2))


def table(way: str, ours: Figures, theirs: Figures) -> list[str]:
    lines = [f"{way:<12} {'µs/saga':>8}" + (f" {'other':>8} {'ratio':>6}" if theirs else "")]
    for part, figure in ours.items():
        known = part in theirs  # an older checkout may call it by another name
        other = f" {theirs[part]:>8.1f} {figure / theirs[part]:>6.2f}" if known else ""
        lines.append(f"  {part:<10} {figure:>8.1f}{other}")
    return lines


def _compared(rounds: int, way: str, against: Path | None) -> tuple[Figures, Figures]:
    ours: list[Figures] = []
    theirs: list[Figures] = []
    for _ in range(rounds):
        ours.append(_round(way, Path(__file__).parents[1]))
        if against is not None:
            theirs.append(_round(way, against))
    return _least(ours), _least(theirs)


def _round(way: str, checkout: Path) -> Figures:
    """Measure in a process that knows the package, and this program, from `checkout` alone."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "saga_orchestrator").symlink_to(checkout.resolve())
        done = subprocess.run(
            [sys.executable, checkout / "benchmarks" / "core.py", "--one-round", way],
            env={**os.environ, "PYTHONPATH": folder},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    figures: Figures = json.loads(done.stdout)
    return figures


def _least(rounds: Sequence[Figures]) -> Figures:
    return {part: min(figures[part] for figures in rounds) for part in rounds[0]} if rounds else {}


def measure(way: str) -> Figures:
    """Measure one round, in this process."""
    definition = newest_order()
    histories = [record_history(definition, way, number) for number in range(SAGAS)]
    for history in histories:
        assert str(history.decisions[-1].saga.state.status) == ENDS[way][0]
    gc.collect()
    gc.disable()
    parts = {name: _microseconds(part, histories) for name, part in PARTS.items()}
    whole = sum(figure for name, figure in parts.items() if name not in BESIDE)
    return {"whole": whole, **parts}


def newest_order() -> Definition:
    """Version 2 and later check the input of a start against a schema."""
    folder = Path(examples.__file__).parent / "definitions"
    newest = max(folder.glob("order_processing*.yaml"))
    return parse_definition(parse_yaml(newest.read_text()))


def _microseconds(
    part: Callable[[Sequence[SagaHistory]], None], histories: Sequence[SagaHistory]
) -> float:
    figures = []
    for _ in range(REPEATS):
        began = time.process_time_ns()
        part(histories)
        figures.append(time.process_time_ns() - began)
    return min(figures) / 1000 / len(histories)


def record_history(definition: Definition, way: str, number: int) -> SagaHistory:
    saga_id = f"018f0000-0000-7000-8000-{number:012x}"
    data = {"step_data": ORDER["step_data"]}
    request = StartSaga(entity_id=4711, input=cast(JsonObject, parse(json.dumps(data))))
    replies = _replies(way, number)
    decisions = [start(definition, saga_id, request, now=BEGAN)]
    calls: list[CallParticipant] = []
    answers: list[CallCompleted] = []
    for reply in replies:
        calls += decisions[-1].calls
        answers.append(_answer(calls[-1], _verdict(reply, calls[-1], definition)))
        decisions.append(decide(decisions[-1].saga, answers[-1], now=ANSWERED, jitter=0.5))
    return SagaHistory(definition, saga_id, request, replies, decisions, calls, answers)


def _replies(way: str, number: int) -> list[Response]:
    """Return the replies that `participants.py` sends."""
    order = b'{"order_id": "%032x", "status": "PENDING_PAYMENT"}' % number
    payment = b'{"payment_id": "%032x", "status": "PAID"}' % number
    last = {
        "forward": [Response(201, TYPE, payment), Response(200, TYPE, b'{"status": "confirm"}')],
        "declined": [
            Response(402, TYPE, b'{"detail": "card declined"}'),
            Response(200, TYPE, b'{"status": "compensate"}'),
        ],
    }
    return [Response(201, TYPE, order), *last[way]]


def _verdict(reply: Response, call: CallParticipant, definition: Definition) -> CallOutcome:
    accepts = definition[call.step].completion is not None
    return classify(reply, call.direction, now=lambda: BEGAN, accepts=accepts)


def _answer(call: CallParticipant, verdict: CallOutcome) -> CallCompleted:
    return CallCompleted(
        step=call.step, direction=call.direction, attempt=call.attempt, outcome=verdict
    )


def reads(histories: Sequence[SagaHistory]) -> None:
    """Read the body of a start; replies are read where they are classified."""
    body = json.dumps(ORDER).encode()
    for _ in histories:
        parse_untrusted(body)


def inputs(histories: Sequence[SagaHistory]) -> None:
    """Check the input of a start, before anything is recorded."""
    for history in histories:
        check_input(history.definition, history.request.input)


def starts(histories: Sequence[SagaHistory]) -> None:
    for history in histories:
        start(history.definition, history.saga_id, history.request, now=BEGAN)


def classifications(histories: Sequence[SagaHistory]) -> None:
    for history in histories:
        for reply, call in zip(history.replies, history.calls, strict=True):
            _answer(call, _verdict(reply, call, history.definition))


def decisions(histories: Sequence[SagaHistory]) -> None:
    """Decide about each reply: events, states, and the calls that follow."""
    for history in histories:
        for decision, answer in zip(history.decisions, history.answers, strict=False):
            decide(decision.saga, answer, now=ANSWERED, jitter=0.5)


def encodings(histories: Sequence[SagaHistory]) -> None:
    for history in histories:
        for decision in history.decisions:
            for event in decision.events:
                encode(event)


def wakeups(histories: Sequence[SagaHistory]) -> None:
    """Compute what the driver does after each decision: when to wake the saga, whether to evict it,
    whether to send."""
    for history in histories:
        for decision in history.decisions:
            saga = decision.saga
            next_wakeup(saga)
            if not (saga.has_call_in_flight or saga.has_pending_webhook):
                next_wakeup(saga)
            for call in decision.calls:
                pending_call(saga.state.step(call.step))


def rows(histories: Sequence[SagaHistory]) -> None:
    """Make the rows of the projector: in a busy service a saga is written some one and a half
    times."""
    status_columns([history.decisions[1].saga for history in histories[::2]])
    status_columns([history.decisions[-1].saga for history in histories])


def views(histories: Sequence[SagaHistory]) -> None:
    for history in histories:
        serialize(start_result_view(history.decisions[-1].saga))


def replays(histories: Sequence[SagaHistory]) -> None:
    """Replay from bytes, as after a restart."""
    for history in histories:
        events = [
            (decode(event.type_name, event.schema_version, encode(event)), BEGAN)
            for decision in history.decisions
            for event in decision.events
        ]
        replay(history.definition, history.saga_id, events)


PARTS: Mapping[str, Callable[[Sequence[SagaHistory]], None]] = {
    "read": reads,
    "input": inputs,
    "start": starts,
    "classify": classifications,
    "decide": decisions,
    "encode": encodings,
    "wakeups": wakeups,
    "rows": rows,
    "view": views,
    "replay": replays,
}


if __name__ == "__main__":
    main()
