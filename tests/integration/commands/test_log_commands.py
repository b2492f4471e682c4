"""What the commands that read the log write and return."""

from __future__ import annotations

from typing import Final

import psycopg
import pytest
from saga_orchestrator import cli
from saga_orchestrator.commands.frame import ExitCode

SAGA: Final = "018f0000-0000-7000-8000-000000000001"
DETAIL: Final = "2 keys stand for it"
MEMBERS: Final = (
    '"kind": "violation"',
    '"code": "I13"',
    f'"saga_id": "{SAGA}"',
    '"version": null',
    f'"detail": "{DETAIL}"',
)
INDENTED: Final = ",\n".join(f"    {member}" for member in MEMBERS)
VIOLATIONS: Final = {
    "table": f"{SAGA}: {DETAIL} [I13]\n",
    "json": f"[\n  {{\n{INDENTED}\n  }}\n]\n",
    "jsonl": f"{{{', '.join(MEMBERS)}}}\n",
    "id": f"{SAGA}\n",
}
REBUILT: Final = {
    "table": "projected 0 events\n",
    "json": '{\n  "projection": "saga_status",\n  "events": 0\n}\n',
    "jsonl": '{"projection": "saga_status", "events": 0}\n',
    "id": "saga_status\n",
}


@pytest.fixture(autouse=True)
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", database_url)
    return database_url


@pytest.mark.parametrize("form", VIOLATIONS)
def test_doctor_writes_violations_in_each_form(
    form: str, database: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(database) as operator:
        operator.execute(
            "insert into stream_key select 'key-' || number, '', %s, now()"
            " from generate_series(1, 2) as number",
            (SAGA,),
        )

    assert cli.main(["doctor", "-o", form]) == ExitCode.CHECK_FAILED
    assert capsys.readouterr() == (VIOLATIONS[form], "0 sagas, 0 events, 1 violations\n")


@pytest.mark.parametrize(("form", "text"), [("table", ""), ("json", "[]\n"), ("jsonl", "")])
def test_doctor_without_findings_writes_no_data(
    form: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["doctor", "-o", form]) == ExitCode.OK
    assert capsys.readouterr() == (text, "0 sagas, 0 events, 0 violations\n")


@pytest.mark.parametrize("form", REBUILT)
def test_rebuild_writes_the_number_of_events_in_each_form(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["projections", "rebuild", "-o", form]) == ExitCode.OK
    assert capsys.readouterr() == (REBUILT[form], "")
