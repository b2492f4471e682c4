"""An event as clients see it, whichever way they asked for it."""

from __future__ import annotations

from collections.abc import Mapping

from ..eventstore import RecordedEvent
from ..fsm.codec import UnreadableEvent, decode, encode, format_time
from ..fsm.events import Event
from ..fsm.strict_json import Json, JsonObject, parse

BESIDE = ("actor", "reason")  # who and why stand beside what an event is about


def event_view(recorded: RecordedEvent, event: Event) -> dict[str, Json]:
    """One entry of an audit trail."""
    data = parse(encode(event))
    assert isinstance(data, Mapping), "the members of an event"
    return _members_view(recorded, event.type_name, data)


def recorded_view(recorded: RecordedEvent) -> dict[str, Json]:
    """One entry of the whole log.

    One that cannot be read is told as such: it must not end the log for everybody.
    """
    try:
        event = decode(recorded.type, recorded.schema_version, recorded.payload)
    except UnreadableEvent as error:
        members = _members_view(recorded, recorded.type, {"unreadable": str(error)})
    else:
        members = event_view(recorded, event)
    return {"saga_id": recorded.stream_id, **members}


def _members_view(recorded: RecordedEvent, type_name: str, data: JsonObject) -> dict[str, Json]:
    return {
        "version": recorded.version,
        "seq": recorded.seq,
        "epoch": recorded.epoch,
        "type": type_name,
        "recorded_at": format_time(recorded.recorded_at),
        **{name: data[name] for name in BESIDE if name in data},
        "data": {name: one for name, one in data.items() if name not in BESIDE},
    }
