"""Which refusals of a database need a person, and the advice that they come with."""

from __future__ import annotations

from datetime import timedelta

import pytest
from psycopg import errors
from saga_orchestrator.eventstore.postgres.refusals import Refusals, advice_for, describe_error

NEEDS_OPERATOR = {
    "0A000": "portable mode",  # feature not supported
    "25006": "takes writes",  # read-only transaction
    "26000": "pool_mode=session",  # a prepared statement of another session
    "28000": "password",
    "28P01": "password",
    "3D000": "create the database",
    "3F000": "search_path",
    "42501": "privileges",
    "42601": "portable mode",  # syntax error
    "42703": "search_path",  # undefined column
    "42883": "portable mode",  # undefined function
    "42P01": "search_path",  # undefined table
    "42P05": "pool_mode=session",
    "44000": "remove it",
    "53100": "disk",
    "53300": "limit of connections",
    "58030": "log of the database server",
    "P0001": "remove it",
    "XX001": "log of the database server",
}
MAY_PASS = ["08006", "40001", "40P01", "55P03", "57014", "57P01", "57P03", "53200", "25P02"]


@pytest.mark.parametrize(("code", "what"), NEEDS_OPERATOR.items())
def test_refusal_that_needs_a_person_says_what_to_change(code: str, what: str) -> None:
    error = errors.lookup(code)("so says the database")

    assert what in (advice_for(error) or "")
    assert describe_error(error).startswith("so says the database; ")


def test_questions_of_libpq_are_left_out() -> None:
    said = (
        'connection to server at "127.0.0.1", port 1 failed: Connection refused\n'
        "\tIs the server running on that host and accepting TCP/IP connections?\n"
    )

    assert describe_error(errors.OperationalError(said)) == (
        'connection to server at "127.0.0.1", port 1 failed: Connection refused'
    )


@pytest.mark.parametrize("code", MAY_PASS)
def test_refusal_that_may_pass_has_the_message_of_the_database_alone(code: str) -> None:
    error = errors.lookup(code)("so says the database")

    assert advice_for(error) is None
    assert describe_error(error) == "so says the database"


async def test_a_refusal_is_remembered_until_the_statement_is_executed() -> None:
    refusals = Refusals()

    refusals.record("read_page", errors.UndefinedTable("no such table"))
    refusals.record("beat", errors.SerializationFailure("again"))

    (refusal,) = refusals
    assert refusal.startswith("read_page: no such table; ")
    refusals.clear("read_page")
    assert list(refusals) == []


@pytest.mark.parametrize("code", ["25006", "53100", "53300", "58030", "XX001"])
async def test_server_wide_error_is_no_refusal_of_a_statement(code: str) -> None:
    refusals = Refusals()

    refusals.record("append_events", errors.lookup(code)("no space left"))

    assert list(refusals) == []


async def test_old_refusal_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = Refusals()
    refusals.record("read_page", errors.UndefinedTable("no such table"))

    monkeypatch.setattr(
        "saga_orchestrator.eventstore.postgres.refusals.REFUSAL_RETENTION", -timedelta(1)
    )

    assert list(refusals) == []
