from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from saga_orchestrator.eventstore.errors import InvalidEvent, InvalidStreamId
from saga_orchestrator.eventstore.event import SHARD_COUNT, NewEvent, shard_of, shard_stream
from saga_orchestrator.tests.support.event_builders import NOON


def test_the_last_byte_of_a_stream_names_its_shard() -> None:
    assert shard_of("018f0000-0000-7000-8000-0000000000c5") == 0xC5 % SHARD_COUNT


def test_the_stream_of_a_shard_belongs_to_that_shard() -> None:
    streams = [shard_stream(shard_id) for shard_id in range(SHARD_COUNT)]

    assert [shard_of(stream) for stream in streams] == list(range(SHARD_COUNT))
    assert streams[63] == "00000000-0000-0000-0000-00000000003f"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "018f",
        "018F0000-0000-7000-8000-0000000000c5",
        "{018f0000-0000-7000-8000-0000000000c5}",
        "018f0000-0000-7000-8000-0000000000c5\n",
        "018f0000-0000-7000-8000-0000000000٣٣",
    ],
)
def test_only_a_canonical_uuid_names_a_stream(text: str) -> None:
    with pytest.raises(InvalidStreamId):
        shard_of(text)


@pytest.mark.parametrize("kind", ["", "a b", "ü", "A\x00", "A" * 101])
def test_a_type_is_a_short_identifier(kind: str) -> None:
    with pytest.raises(InvalidEvent):
        NewEvent(type=kind, schema_version=1, recorded_at=NOON, payload=b"")


@pytest.mark.parametrize("schema_version", [0, -1, 2**31])
def test_a_schema_version_fits_its_column(schema_version: int) -> None:
    with pytest.raises(InvalidEvent):
        NewEvent(type="A", schema_version=schema_version, recorded_at=NOON, payload=b"")


@pytest.mark.parametrize(
    "recorded_at",
    [
        datetime(2026, 3, 1, 12),  # noqa: DTZ001 (what is refused)
        datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=1))),
    ],
)
def test_recorded_at_is_utc(recorded_at: datetime) -> None:
    with pytest.raises(InvalidEvent):
        NewEvent(type="A", schema_version=1, recorded_at=recorded_at, payload=b"")


def test_a_payload_is_bounded() -> None:
    with pytest.raises(InvalidEvent):
        NewEvent(type="A", schema_version=1, recorded_at=NOON, payload=bytes(8 * 1024 * 1024 + 1))


def test_an_instant_of_another_utc_object_is_utc() -> None:
    utc = timezone(timedelta(0), "Z")

    event = NewEvent(type="A", schema_version=1, recorded_at=NOON.replace(tzinfo=utc), payload=b"")

    assert event.recorded_at == NOON.replace(tzinfo=UTC)
