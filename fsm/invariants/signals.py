"""Signals: a repeated one is known by its key, and each is what one step waited for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ..events import SignalReceived, StepSucceeded
from ..strict_json import Json
from .history import History
from .violation import Flaw


def signals_count_once(history: History) -> Iterator[Flaw]:
    """Who came first is taken first, among those of one name."""
    keys = set[tuple[str, str]]()
    waiting: defaultdict[str, list[Json]] = defaultdict(list)
    for entry in history.entries:
        match entry.event:
            case SignalReceived(name=name, key=key, body=body):
                if key is not None and (name, key) in keys:
                    yield Flaw(entry.version, f"{name} was heard again under the key {key}")
                keys |= {(name, key)} if key is not None else set()
                waiting[name].append(body)
            case StepSucceeded(signal=str(name), output=output):
                if not waiting[name]:
                    yield Flaw(entry.version, f"{entry} by a {name} that nobody sent")
                elif waiting[name].pop(0) != output:
                    yield Flaw(entry.version, f"{entry} by another {name} than the first")
