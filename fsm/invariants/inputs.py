"""Invariants of what arrives from outside: signals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ..events import SignalReceived, StepSucceeded
from ..formats.strict_json import Json
from .history import History
from .violation import Breach


def signals_count_once(history: History) -> Iterator[Breach]:
    """Who came first is taken first, among those of one name."""
    keys = set[tuple[str, str]]()
    waiting: defaultdict[str, list[Json]] = defaultdict(list)
    for entry in history.entries:
        match entry.event:
            case SignalReceived(name=name, key=key, body=body):
                if key is not None and (name, key) in keys:
                    yield Breach(entry.version, f"{name} was heard again under the key {key}")
                keys |= {(name, key)} if key is not None else set()
                waiting[name].append(body)
            case StepSucceeded(signal=str(name), output=output):
                if not waiting[name]:
                    yield Breach(entry.version, f"{entry} by a {name} that nobody sent")
                elif waiting[name].pop(0) != output:
                    yield Breach(entry.version, f"{entry} by another {name} than the first")
