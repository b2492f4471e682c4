"""The codec reads for ever what it once wrote.

`samples/events.json` holds a payload of each type, of each schema version and under each former
name, as it was first written. It only ever grows: a sample is never changed.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm import codec
from saga_orchestrator.fsm.call_outcome import Outcome
from saga_orchestrator.fsm.codec import (
    STORED_NAMES,
    TYPES,
    UPCASTERS,
    UnreadableEvent,
    decode,
    encode,
    format_time,
    stored_names,
)
from saga_orchestrator.fsm.events import (
    Event,
    SagaParked,
    SagaStarted,
    StepBackedOff,
    StepCalled,
    StepRejected,
    StepSucceeded,
)
from saga_orchestrator.fsm.formats.strict_json import InvalidJson, Json
from saga_orchestrator.fsm.testing import NOON
from saga_orchestrator.fsm.testing import strategies as some

SAMPLES = json.loads((Path(__file__).parent / "samples" / "events.json").read_text())


@given(some.events)
def test_every_event_comes_back_as_it_was(event: Event) -> None:
    kind = type(event)

    assert decode(kind.type_name, kind.schema_version, encode(event)) == event


@given(some.events)
def test_the_same_event_gives_the_same_bytes(event: Event) -> None:
    kind = type(event)

    assert encode(decode(kind.type_name, kind.schema_version, encode(event))) == encode(event)


@pytest.mark.parametrize(
    "sample", SAMPLES, ids=lambda sample: f"{sample['type']} {sample['version']}"
)
def test_golden_sample_can_be_read(sample: dict[str, object]) -> None:
    kind, version = str(sample["type"]), int(str(sample["version"]))

    event = decode(kind, version, json.dumps(sample["payload"]).encode())

    assert kind in stored_names(event.type_name)
    if version == event.schema_version:
        assert json.loads(encode(event)) == sample["payload"]


def test_every_type_has_a_sample_of_each_version_and_under_each_former_name() -> None:
    samples = {(sample["type"], sample["version"]) for sample in SAMPLES}
    versions = {
        (kind.type_name, version)
        for kind in TYPES.values()
        for version in range(1, kind.schema_version + 1)
    }
    former_names = {name for kind in TYPES.values() for name in kind.former_names}

    assert samples >= versions
    assert {type_name for type_name, _ in samples} >= former_names


def test_every_stored_name_is_that_of_one_type() -> None:
    names = [name for kind in TYPES.values() for name in (kind.type_name, *kind.former_names)]

    assert len(set(names)) == len(names)
    assert set(STORED_NAMES) == set(names)


def test_every_type_names_itself_and_inherits_no_name() -> None:
    assert [kind for kind in TYPES.values() if "type_name" not in vars(kind)] == []


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("StatusQueried", ("StatusQueried", "StatusAsked")),
        ("StatusAsked", ("StatusQueried", "StatusAsked")),
        ("StepCalled", ("StepCalled",)),
        ("StepTeleported", ("StepTeleported",)),
    ],
)
def test_events_of_a_type_are_stored_under_its_name_and_its_former_ones(
    name: str, names: tuple[str, ...]
) -> None:
    assert stored_names(name) == names


@pytest.mark.parametrize("version", [1, 2])
def test_cause_of_an_old_parking_is_read_as_its_reason(version: int) -> None:
    without_output = {} if version == 1 else {"without_output": ["pay"]}
    payload = json.dumps({"why": "no", **without_output}).encode()

    event = decode("SagaParked", version, payload)

    named = None if version == 1 else ("pay",)
    assert event == SagaParked(reason="no", without_output=named)


def test_members_at_their_default_are_left_out() -> None:
    assert encode(StepSucceeded(step="pay", attempt=1)) == b'{"step":"pay","attempt":1}'
    assert encode(StepRejected(step="pay", attempt=1, error="no", resent=True)) == (
        b'{"step":"pay","attempt":1,"error":"no","resent":true}'
    )


@pytest.mark.parametrize("output", [0, False, "", [], {}])
def test_an_output_that_is_falsy_is_not_left_out(output: object) -> None:
    event = StepSucceeded(step="pay", attempt=1, output=output)  # type: ignore[arg-type]

    assert decode("StepSucceeded", 1, encode(event)) == event


def test_times_are_written_in_utc_with_microseconds() -> None:
    later = NOON.astimezone(timezone(timedelta(hours=2)))

    assert format_time(later) == "2026-03-01T12:00:00.000000Z"
    assert format_time(datetime(2026, 3, 1, 1, 2, 3, 4, UTC)) == "2026-03-01T01:02:03.000004Z"


EARLIEST = datetime(1, 1, 2)  # noqa: DTZ001 - the strategy adds the zone; it is no day 0 in UTC


@given(st.datetimes(EARLIEST, timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))])))
def test_times_in_events_are_written_so_too(until: datetime) -> None:
    event = StepBackedOff(step="pay", attempt=1, outcome=Outcome.BUSY, error="no", until=until)

    assert json.loads(encode(event))["until"] == format_time(until)


def test_time_of_another_zone_comes_back_as_the_same_instant() -> None:
    until = NOON.astimezone(timezone(timedelta(hours=-7)))
    event = StepBackedOff(
        step="pay", attempt=1, outcome=Outcome.BUSY, error="still at it", until=until
    )

    assert decode("StepBackedOff", 1, encode(event)) == event


def test_a_text_that_looks_like_an_escaped_null_is_read_as_it_was_written() -> None:
    event = StepBackedOff(
        step="pay", attempt=1, outcome=Outcome.BUSY, error=r"a \u0000 in it", until=NOON
    )

    assert decode("StepBackedOff", 1, encode(event)) == event


def test_event_of_an_older_schema_is_upcast(monkeypatch: pytest.MonkeyPatch) -> None:
    class Told(StepCalled, frozen=True, kw_only=True):
        type_name = "Told"
        schema_version = 2
        at: datetime

    def told_at_noon(members: Any) -> Json:
        return {**members, "at": format_time(NOON)}

    monkeypatch.setitem(cast(dict[str, Any], codec._KINDS), "Told", Told)
    monkeypatch.setitem(cast(dict[Any, Any], UPCASTERS), ("Told", 1), told_at_noon)

    assert decode("Told", 1, b'{"step":"pay","attempt":3}') == Told(step="pay", attempt=3, at=NOON)
    with pytest.raises(UnreadableEvent, match="cannot be read"):
        decode("Told", 1, b"[]")


@pytest.mark.parametrize(
    ("kind", "version"), [("StepCalled", 2), ("StepTeleported", 1), ("SagaStarted", 99)]
)
def test_event_of_a_newer_version_is_unreadable(kind: str, version: int) -> None:
    with pytest.raises(UnreadableEvent, match="newer version"):
        decode(kind, version, b"{}")


@pytest.mark.parametrize(
    ("kind", "version", "payload"),
    [
        ("StepCalled", 1, b""),
        ("StepCalled", 1, b"[]"),
        ("StepCalled", 1, b"{}"),
        ("StepCalled", 1, b'{"step":"pay","attempt":1,"colour":"red"}'),
        ("StepCalled", 0, b'{"step":"pay","attempt":1}'),
        ("StepBackedOff", 1, b'{"step":"a","attempt":1,"outcome":"?","error":"","until":null}'),
        ("StepBackedOff", 1, b'{"step":"a","attempt":1,"outcome":"busy","error":"","until":"x"}'),
        ("SagaParked", 1, b'{"why":"x","not_done":5}'),
        ("SagaParked", 3, b'{"why":"x"}'),
    ],
)
def test_a_payload_that_is_not_of_its_type_is_unreadable(
    kind: str, version: int, payload: bytes
) -> None:
    with pytest.raises(UnreadableEvent, match="cannot be read"):
        decode(kind, version, payload)


def test_an_event_with_what_is_not_json_is_not_written() -> None:
    with pytest.raises(InvalidJson):
        encode(StepSucceeded(step="pay", attempt=1, output=Decimal("NaN")))


def test_the_trigger_of_a_start_depends_on_whether_it_is_put_off() -> None:
    now = SagaStarted(saga_type="trip", definition_version=1, entity_id=None, input={})
    later = SagaStarted(
        saga_type="trip", definition_version=1, entity_id=None, input={}, start_at=NOON
    )

    assert (now.trigger, later.trigger) == ("begin", "schedule")
    assert StepCalled(step="pay", attempt=1).trigger == "call"
