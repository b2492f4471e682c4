"""The statements of the portable mode use nothing that only PostgreSQL has."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

import pytest
from saga_orchestrator.tests.house.tree import files, text

ROOMS: Final = ("eventstore", "projections")
ONLY_POSTGRESQL: Final = (
    r"pg_\w+", r"advisory\w*", r"notify", r"listen", r"hashtext\w*", r"plan_cache_mode",
    r"enable_\w+", r"synchronous_commit", r"default_transaction_isolation", r"plpgsql", r"trigger",
    r"function", r"language", r"view", r"do\s+\$\$", r"ctid", r"xmin", r"collate", r"regclass",
    r"skip\s+locked", r"lock\s+table", r"nulls\s+(first|last|not\s+distinct)",
    r"select\s+from", r"unlogged", r"inherits", r"truncate",
)  # fmt: skip
FORBIDDEN: Final = re.compile(rf"\b({'|'.join(ONLY_POSTGRESQL)})\b", re.IGNORECASE)


def portable_files() -> list[str]:
    """What all systems share, and what the portable mode has in place of it."""
    ours = [file for file in files() if file.endswith(".sql") and file.startswith(ROOMS)]
    replaced = {_in_common(file) for file in ours if _folder(file) == "portable"}
    return [file for file in ours if _folder(file) != "postgresql" and file not in replaced]


def _folder(file: str) -> str:
    return PurePosixPath(file).parent.name


def _in_common(file: str) -> str:
    return file.replace("/portable/", "/")


def _what_is_said(sql: str) -> str:
    return re.sub("--.*", "", sql)


def test_scan_finds_forbidden_words_outside_of_comments() -> None:
    assert FORBIDDEN.search(_what_is_said("select pg_notify('a', '') -- listen"))
    assert FORBIDDEN.search(_what_is_said("where not exists (select\n  from event)"))
    assert not FORBIDDEN.search(_what_is_said("select 1 -- no pg_locks"))


def test_append_is_the_same_in_both_modes() -> None:
    assert "eventstore/postgres/sql/append_events.sql" in portable_files()


@pytest.mark.parametrize("file", portable_files())
def test_portable_statement_uses_no_feature_of_postgresql_alone(file: str) -> None:
    assert FORBIDDEN.findall(_what_is_said(text(file))) == []
