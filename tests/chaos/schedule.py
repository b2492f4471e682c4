"""What goes wrong, when, and for how long: drawn from a seed before anything starts.

A target suffers one fault at a time; different targets suffer at the same time.
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
QUIET_SECONDS: Final = (0.3, 2.5)  # from one fault to the next


class Kind(StrEnum):
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
    """In seconds from the beginning."""

    at: float
    kind: Kind
    target: str
    lasts: float

    def __str__(self) -> str:
        return f"{self.kind}: {self.target} for {self.lasts:.1f} s"


@dataclass(frozen=True, slots=True)
class Sort:
    """`weight` of the draws; `lasts` between two numbers of seconds."""

    kind: Kind
    weight: int
    lasts: tuple[float, float]


SORTS: Final = (
    Sort(Kind.KILL_NODE, 5, (0.2, 5)),
    Sort(Kind.FREEZE_NODE, 5, (1, 14)),
    Sort(Kind.STOP_NODE, 2, (0.2, 3)),
    Sort(Kind.KILL_PARTICIPANT, 2, (0.2, 3)),
    Sort(Kind.FREEZE_PARTICIPANT, 2, (1, 8)),
    Sort(Kind.SILENT_NAME, 3, (1, 12)),
    Sort(Kind.SILENT_ADDRESS, 2, (1, 12)),
    Sort(Kind.MOVE, 2, (0, 0)),
    Sort(Kind.HANG, 2, (1, 14)),
    Sort(Kind.SILENCE, 4, (1, 14)),
    Sort(Kind.CUT, 3, (0, 0)),
    Sort(Kind.REFUSE, 3, (1, 8)),
    Sort(Kind.HALF_OPEN, 2, (0, 0)),
    Sort(Kind.FORGET, 2, (0, 0)),
    Sort(Kind.CRASH_DATABASE, 1, (0.5, 2)),
    Sort(Kind.KILL_DATABASE, 1, (0.5, 2)),
    Sort(Kind.DISCONNECT, 2, (0, 0)),
)
AT_PARTICIPANTS: Final = {Kind.KILL_PARTICIPANT, Kind.FREEZE_PARTICIPANT}
AT_ADDRESSES: Final = {Kind.SILENT_NAME, Kind.SILENT_ADDRESS, Kind.MOVE}
AT_THE_DATABASE: Final = {Kind.CRASH_DATABASE, Kind.KILL_DATABASE, Kind.DISCONNECT}
AT_NETWORKS: Final = {Kind.SILENCE, Kind.CUT, Kind.REFUSE, Kind.HALF_OPEN, Kind.FORGET}


def schedule(seed: int, seconds: float, nodes: int) -> Sequence[Fault]:
    """In order of time; the same arguments, the same faults."""
    suffering: dict[str, float] = {}
    taken = []
    for fault in _drawn(random.Random(seed), seconds, nodes):
        if suffering.get(fault.target, 0) <= fault.at:
            suffering[fault.target] = fault.at + fault.lasts
            taken.append(fault)
    return taken


def _drawn(chance: random.Random, seconds: float, nodes: int) -> Iterator[Fault]:
    at = chance.uniform(*QUIET_SECONDS)
    while at < seconds:
        (sort,) = chance.choices(SORTS, [one.weight for one in SORTS])
        target = chance.choice(targets(sort.kind, nodes))
        # Whatever began is over by the end, so that the last faults of a short run are short.
        yield Fault(at, sort.kind, target, min(chance.uniform(*sort.lasts), seconds - at))
        at += chance.uniform(*QUIET_SECONDS)


def targets(kind: Kind, nodes: int) -> Sequence[str]:
    if kind in AT_PARTICIPANTS:
        return PARTICIPANTS
    if kind in AT_ADDRESSES:
        return [f"address of {one}" for one in PARTICIPANTS]
    if kind is Kind.HANG:
        return (RECEIVER,)
    if kind in AT_THE_DATABASE:
        return (DATABASE,)
    what = "network" if kind in AT_NETWORKS else "node"
    return [f"{what} {number}" for number in range(1, nodes + 1)]
