from __future__ import annotations

from saga_orchestrator.eventstore.columns import byteas, int4s, int8s


def test_an_array_is_its_header_and_its_elements_behind_their_lengths() -> None:
    assert int4s([1, -1]).hex(" ", 4) == (
        "00000001 00000000 00000017 00000002 00000001 00000004 00000001 00000004 ffffffff"
    )
    assert int8s([2]).hex(" ", 4) == (
        "00000001 00000000 00000014 00000001 00000001 00000008 00000000 00000002"
    )


def test_an_empty_array_has_no_dimension() -> None:
    assert byteas([]).hex(" ", 4) == "00000000 00000000 00000011"


def test_elements_may_be_empty() -> None:
    assert byteas([b"", b"a"]).hex()[40:] == "00000000" + "00000001" + "61"
