from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone

import pytest
from saga_orchestrator.eventstore.event import EMPTY_HEAD, Head
from saga_orchestrator.eventstore.postgres.binary_arrays import (
    bool_array,
    bytea_array,
    hash_array,
    head_parameters,
    int4_array,
    int8_array,
    jsonb_array,
    nullable_text_array,
    nullable_timestamptz_array,
    timestamptz_array,
)


def test_an_array_is_its_header_and_its_elements_behind_their_lengths() -> None:
    assert int4_array([1, -1]).hex(" ", 4) == (
        "00000001 00000000 00000017 00000002 00000001 00000004 00000001 00000004 ffffffff"
    )
    assert int8_array([2]).hex(" ", 4) == (
        "00000001 00000000 00000014 00000001 00000001 00000008 00000000 00000002"
    )


def test_an_empty_array_has_no_dimension() -> None:
    assert bytea_array([]).hex(" ", 4) == "00000000 00000000 00000011"


def test_elements_may_be_empty() -> None:
    assert bytea_array([b"", b"a"]).hex()[40:] == "00000000" + "00000001" + "61"


def test_a_missing_text_is_null_and_an_empty_one_is_not() -> None:
    assert (
        nullable_text_array(["a", None, ""]).hex()[40:]
        == "00000001" + "61" + "ffffffff" + "00000000"
    )


def test_a_boolean_is_one_byte() -> None:
    assert bool_array([True, False]).hex()[40:] == "00000001" + "01" + "00000001" + "00"


def test_jsonb_begins_with_its_version() -> None:
    assert jsonb_array([b"{}"]).hex()[40:] == "00000003" + "01" + "7b7d"


def test_digests_are_byteas_of_one_length() -> None:
    values = [bytes(32), bytes(range(32))]

    assert hash_array(values) == bytea_array(values)
    assert hash_array([]) == bytea_array([])


def test_a_shard_without_events_has_no_head_to_stand_before_a_batch() -> None:
    heads = {1: Head(5, 2, bytes(32)), 2: EMPTY_HEAD, 3: Head(7, 4, bytes(range(32)))}

    assert head_parameters(heads) == {
        "head_shard_id": int4_array([1, 3]),
        "head_seq": int8_array([5, 7]),
        "head_epoch": int8_array([2, 4]),
        "head_hash": hash_array([bytes(32), bytes(range(32))]),
    }
    assert head_parameters({2: EMPTY_HEAD})["head_seq"] == int8_array([])


def test_an_instant_is_the_microseconds_since_2000() -> None:
    at = datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC)

    assert timestamptz_array([at]).hex(" ", 4)[45:] == "00000008 00000000 000f4240"
    assert (
        nullable_timestamptz_array([None, at]).hex(" ", 4)[45:]
        == "ffffffff 00000008 00000000 000f4240"
    )


def test_instants_that_are_shared_and_those_that_are_not_keep_their_places() -> None:
    instant, later = datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, 0, 0, 1, tzinfo=UTC)

    packed = (
        timestamptz_array([instant, instant, later, instant]).hex(" ", 4)[45:].split("00000008")[1:]
    )

    assert [int(number.replace(" ", ""), 16) for number in packed] == [0, 0, 1_000_000, 0]


def test_an_instant_of_elsewhere_is_the_same_microsecond() -> None:
    at = datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))

    assert timestamptz_array([at]) == timestamptz_array([datetime(2026, 3, 1, 12, tzinfo=UTC)])


@pytest.mark.parametrize(("pack", "beyond"), [(int4_array, 2**31), (int8_array, 2**63)])
def test_a_number_that_does_not_fit_is_not_packed(
    pack: Callable[[Sequence[int]], bytes], beyond: int
) -> None:
    with pytest.raises(struct.error):
        pack([1, beyond])


def test_an_instant_before_2000_is_negative() -> None:
    assert (
        timestamptz_array([datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)])[-8:]
        == b"\xff" * 8
    )
