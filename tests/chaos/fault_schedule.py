"""The schedule of faults, drawn from a seed before anything starts.

A target has one fault at a time; different targets have faults at the same time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

ORDERS, PAYMENTS, PARCELS = "orders", "payments", "parcels"
PARTICIPANTS: Final = (ORDERS, PAYMENTS, PARCELS)
DATABASE: Final = "database"
RECEIVER: Final = "receiver"
PAUSE_SECONDS: Final = (0.3, 2.5)  # from one fault to the next


class FaultKind(StrEnum):
    KILL_NODE = "kill -9"
    FREEZE_NODE = "SIGSTOP"
    STOP_NODE = "SIGTERM"
    KILL_PARTICIPANT = "kill -9 participant"
    FREEZE_PARTICIPANT = "SIGSTOP participant"
    SILENT_NAME = "name server silent"
    SILENT_ADDRESS = "first address silent"
    MOVE = "moved"
    HANG = "receiver hangs"
    SILENCE = "network silent"
    CUT = "network cut"
    REFUSE = "network refused"
    HALF_OPEN = "sessions half open"
    FORGET = "sessions half open, silently"
    CRASH_DATABASE = "immediate restart"
    KILL_DATABASE = "kill -9 postmaster"
    DISCONNECT = "sessions terminated"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault `at` some seconds from the beginning, which `lasts` some seconds."""

    at: float
    kind: FaultKind
    target: str
    lasts: float

    def __str__(self) -> str:
        return f"{self.kind}: {self.target} for {self.lasts:.1f} s"


@dataclass(frozen=True, slots=True)
class FaultProfile:
    """How often a kind is drawn, and between which numbers of seconds it `lasts`."""

    kind: FaultKind
    weight: int
    lasts: tuple[float, float]


FAULT_PROFILES: Final = (
    FaultProfile(FaultKind.KILL_NODE, 5, (0.2, 5)),
    FaultProfile(FaultKind.FREEZE_NODE, 5, (1, 14)),
    FaultProfile(FaultKind.STOP_NODE, 2, (0.2, 3)),
    FaultProfile(FaultKind.KILL_PARTICIPANT, 2, (0.2, 3)),
    FaultProfile(FaultKind.FREEZE_PARTICIPANT, 2, (1, 8)),
    FaultProfile(FaultKind.SILENT_NAME, 3, (1, 12)),
    FaultProfile(FaultKind.SILENT_ADDRESS, 2, (1, 12)),
    FaultProfile(FaultKind.MOVE, 2, (0, 0)),
    FaultProfile(FaultKind.HANG, 2, (1, 14)),
    FaultProfile(FaultKind.SILENCE, 4, (1, 14)),
    FaultProfile(FaultKind.CUT, 3, (0, 0)),
    FaultProfile(FaultKind.REFUSE, 3, (1, 8)),
    FaultProfile(FaultKind.HALF_OPEN, 2, (0, 0)),
    FaultProfile(FaultKind.FORGET, 2, (0, 0)),
    FaultProfile(FaultKind.CRASH_DATABASE, 1, (0.5, 2)),
    FaultProfile(FaultKind.KILL_DATABASE, 1, (0.5, 2)),
    FaultProfile(FaultKind.DISCONNECT, 2, (0, 0)),
)
AT_PARTICIPANTS: Final = {FaultKind.KILL_PARTICIPANT, FaultKind.FREEZE_PARTICIPANT}
AT_ADDRESSES: Final = {FaultKind.SILENT_NAME, FaultKind.SILENT_ADDRESS, FaultKind.MOVE}
AT_THE_DATABASE: Final = {FaultKind.CRASH_DATABASE, FaultKind.KILL_DATABASE, FaultKind.DISCONNECT}
AT_NETWORKS: Final = {
    FaultKind.SILENCE,
    FaultKind.CUT,
    FaultKind.REFUSE,
    FaultKind.HALF_OPEN,
    FaultKind.FORGET,
}


def schedule(seed: int, seconds: float, nodes: int) -> Sequence[Fault]:
    """Return the faults in order of time, a function of the arguments."""
    busy_until: dict[str, float] = {}
    faults = []
    for fault in _draw_faults(random.Random(seed), seconds, nodes):
        if busy_until.get(fault.target, 0) <= fault.at:
            busy_until[fault.target] = fault.at + fault.lasts
            faults.append(fault)
    return faults


def _draw_faults(generator: random.Random, seconds: float, nodes: int) -> Iterator[Fault]:
    at = generator.uniform(*PAUSE_SECONDS)
    while at < seconds:
        (profile,) = generator.choices(FAULT_PROFILES, [each.weight for each in FAULT_PROFILES])
        target = generator.choice(targets(profile.kind, nodes))
        # Every fault is over at the end, so the last faults of a short run are short.
        yield Fault(at, profile.kind, target, min(generator.uniform(*profile.lasts), seconds - at))
        at += generator.uniform(*PAUSE_SECONDS)


def targets(kind: FaultKind, nodes: int) -> Sequence[str]:
    """Return the names of what a kind of fault may hit."""
    if kind in AT_PARTICIPANTS:
        return PARTICIPANTS
    if kind in AT_ADDRESSES:
        return [f"address of {participant}" for participant in PARTICIPANTS]
    if kind is FaultKind.HANG:
        return (RECEIVER,)
    if kind in AT_THE_DATABASE:
        return (DATABASE,)
    place = "network" if kind in AT_NETWORKS else "node"
    return [f"{place} {number}" for number in range(1, nodes + 1)]
