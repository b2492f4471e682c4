"""The definitions of the recorded database. Paths say how the scripted participant replies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

Members = dict[str, Any]

AT_ONCE: Final = {"first": "1ms", "cap": "1ms"}
FOR_GOOD: Final = "3650d"


def call(replies: str, **members: Any) -> Members:
    return {"path": f"/replies/{replies}", "body": {"input": "${input}"}, **members}


def step(name: str, replies: str = "200", **members: Any) -> Members:
    """Return a step whose action and compensation end at once, unless `members` differ."""
    action = call(replies, retry={"attempts": 3, **AT_ONCE}, timeout="10m")
    usual = {"action": action, "compensation": call("200", retry={"attempts": 3, **AT_ONCE})}
    return {"name": name, "participant": "scripted-service", **usual, **members}


def after_pivot(name: str, replies: str, **members: Any) -> Members:
    action = call(replies, retry={"attempts": 1}, timeout="10m")
    return {"name": name, "participant": "scripted-service", "action": action, **members}


def status(replies: str) -> Members:
    return {"path": f"/status/{replies}"}


def waits(signal: str, timeout: str = FOR_GOOD, on_timeout: str = "reject") -> Members:
    return {
        "name": signal,
        "wait_for": {"signal": signal, "timeout": timeout, "on_timeout": on_timeout},
    }


def child(saga_type: str) -> Members:
    return {"name": "child", "saga": {"type": saga_type, "version": 1, "input": "${input}"}}


PIVOT: Final = step("pay", pivot=True)
LATER: Final = {"first": "2m", "cap": "2m", "attempts": 3}

DEFINITIONS: Final[Mapping[str, list[Members]]] = {
    "three_steps": [step("reserve"), step("pay"), step("ship")],
    "retried": [step("reserve", "503/200")],
    "refused": [
        step("reserve", compensation=call("503/200", retry={"attempts": 3, **AT_ONCE})),
        {
            "name": "confirm",
            "participant": "scripted-service",
            "action": call("200"),
            "undone_by": "reserve",
        },
        step("pay", "402", compensate_on_reject=True),
    ],
    "refused_after_pivot": [PIVOT, after_pivot("ship", "409")],
    "unknown_after_pivot": [PIVOT, after_pivot("ship", "500")],
    "never_sent": [
        step("reserve"),
        step("pay", participant="absent-service", action=call("200", retry={"attempts": 1})),
    ],
    "status_asked": [step("pay", "500/200", status=status("in_progress/not_done"))],
    "polled": [step("pay", "202", completion="poll", status=status("in_progress/done"))],
    "called_back_early": [step("pay", "early", completion="callback"), waits("go")],
    "called_back": [
        step("pay", "202", completion="callback", completion_timeout=FOR_GOOD),
        step("ship"),
    ],
    "compensation_refused": [
        step("reserve"),
        step("pay", compensation=call("409/200", on_failure="continue")),
        step("ship", "409"),
    ],
    "compensation_hangs": [
        step("reserve", compensation=call("hang", timeout="10m")),
        step("pay", "409"),
    ],
    "short_deadline": [step("reserve"), waits("go")],
    "pivot_hangs": [
        step("reserve"),
        step("pay", "hang", pivot=True, status=status("in_progress")),
        after_pivot("ship", "200"),
    ],
    "action_hangs": [step("reserve"), step("pay", "hang"), step("ship")],
    "signalled": [step("reserve"), waits("go"), step("ship")],
    "signalled_early": [step("reserve", "hang"), waits("go"), step("ship")],
    "signal_too_late": [step("reserve"), waits("go", "1ms", "park")],
    "slept": [{"name": "nap", "sleep": "1ms"}, step("ship")],
    "sleeps": [step("reserve"), {"name": "nap", "sleep": "30s"}, step("ship")],
    "parent_of_completed": [child("three_steps"), step("ship")],
    "parent_of_refused": [step("reserve"), child("refused")],
    "parent_of_waiting": [step("reserve"), child("signalled"), step("ship")],
    "parent_of_parked": [child("signal_too_late")],
    "conditional": [
        step("reserve"),
        step("gift", when="${input.gift}"),
        waits("go"),
        step("ship"),
        step("thank"),
    ],
    "backs_off": [step("reserve"), step("pay", "503/200", action=call("503/200", retry=LATER))],
    "output_lost": [
        step("reserve", "huge/404"),
        step("pay", action={"path": "/replies/200", "body": {"id": "${steps.reserve.output.id}"}}),
    ],
    "side_by_side": [
        step("reserve"),
        step("pay", after=[]),
        step("book", "hang", after=[]),
        step("ship", after=["reserve", "pay", "book"]),
    ],
}


@dataclass(frozen=True, slots=True)
class Message:
    """A request about a saga of another node, made once `recorded` is in its history."""

    saga_type: str
    recorded: str
    path: str
    body: Members


def of_waiting(path: str, **body: Any) -> Message:
    return Message("signalled", "WaitStarted", path, {"reason": "through the inbox", **body})


DONE: Final = {"outcome": "done", "evidence": "through the inbox", "output": {"id": 8}}
FORWARDED: Final[Mapping[str, Message]] = {
    "signal": Message("signalled", "WaitStarted", "signals/go", {"word": "through the inbox"}),
    "compensate": of_waiting("compensate"),
    "cancel": of_waiting("cancel"),
    "pause": of_waiting("pause"),
    "resume": of_waiting("resume"),
    "abandon": of_waiting("abandon"),
    "retry": Message("unknown_after_pivot", "SagaParked", "retry", {"step": "ship"}),
    "skip": Message("conditional", "WaitStarted", "steps/ship/skip", {"reason": "not needed"}),
    "resolve": Message("unknown_after_pivot", "SagaParked", "steps/ship/resolve", DONE),
    "complete": Message("called_back", "StepAccepted", "steps/pay/complete", {"output": {"id": 9}}),
}
