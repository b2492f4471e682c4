from __future__ import annotations

import json
import logging
import time

from saga_orchestrator.fsm.runtime.logging import JsonLines


def line_of(record: logging.LogRecord) -> dict[str, object]:
    formatter = JsonLines()
    formatter.converter = time.gmtime
    line = formatter.format(record)
    assert "\n" not in line
    facts: dict[str, object] = json.loads(line)
    return facts


def a_record(**facts: object) -> logging.LogRecord:
    record = logging.makeLogRecord(
        {"name": "saga_orchestrator", "levelname": "WARNING", "msg": "saga let go", **facts}
    )
    record.created, record.msecs = 1_767_225_600.25, 250.0
    return record


def test_record_is_one_json_object_with_its_facts() -> None:
    assert line_of(a_record(saga_id="018f", why="two\nlines")) == {
        "at": "2026-01-01T00:00:00.250Z",
        "level": "warning",
        "logger": "saga_orchestrator",
        "message": "saga let go",
        "saga_id": "018f",
        "why": "two\nlines",
    }


def test_fact_that_is_not_json_is_logged_as_text() -> None:
    assert line_of(a_record(facts={1}))["facts"] == "{1}"


def test_traceback_is_part_of_its_line() -> None:
    try:
        raise ValueError("no")
    except ValueError as error:
        record = a_record(exc_info=(type(error), error, error.__traceback__))

    assert str(line_of(record)["exception"]).endswith("ValueError: no")
