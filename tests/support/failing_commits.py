"""Commits that fail after their statements were executed: a deferred constraint trigger."""

from __future__ import annotations

import psycopg
from psycopg import sql

_FUNCTION = """
create function {function}() returns trigger language plpgsql as $$
begin
  -- A sequence keeps its count although the transaction is rolled back.
  if nextval({counter}) <= {times} then {failure}; end if;
  return null;
end
$$
"""
_TRIGGER = """
create constraint trigger {trigger} after insert or update on {table}
  deferrable initially deferred for each row execute function {function}()
"""
LOST_CONNECTION = "perform pg_terminate_backend(pg_backend_pid())"


def raising(sqlstate: str) -> str:
    return f"raise exception 'failed at the commit' using errcode = '{sqlstate}'"


def fail_commits(database_url: str, table: str, failure: str, times: int = 1) -> None:
    """The next `times` commits of a row of `table` fail."""
    names = {
        "function": sql.Identifier(f"fail_{table}"),
        "trigger": sql.Identifier(f"{table}_fails_at_commit"),
        "table": sql.Identifier(table),
        "counter": f"failures_of_{table}",
        "times": sql.Literal(times),
        "failure": sql.SQL(failure),
    }
    with psycopg.connect(database_url, autocommit=True) as operator:
        counter = sql.Identifier(f"failures_of_{table}")
        operator.execute(sql.SQL("create sequence {}").format(counter))
        operator.execute(sql.SQL(_FUNCTION).format(**names))
        operator.execute(sql.SQL(_TRIGGER).format(**names))
