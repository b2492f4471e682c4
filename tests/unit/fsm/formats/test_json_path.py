from __future__ import annotations

import pytest
from saga_orchestrator.fsm.formats.json_path import ABSENT, Absent, Path, dotted_path, get_path
from saga_orchestrator.fsm.formats.strict_json import Json

SCOPE: Json = {"input": {"step_data": [{"a": 1}, {"b": None}], "text": "no list"}}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("input", "step_data", 0, "a"), 1),
        (("input", "step_data", -1, "b"), None),
        (("input", "step_data", 1, "b", "c"), ABSENT),
        (("input", "step_data", 2), ABSENT),
        (("input", "step_data", -3), ABSENT),
        (("input", "text", 0), ABSENT),
        (("input", "text", "length"), ABSENT),
        (("nothing", "here"), ABSENT),
    ],
)
def test_path_leads_to_a_value_or_is_absent(path: Path, value: Json | Absent) -> None:
    assert get_path(path, SCOPE) == value


def test_path_is_formatted_like_an_expression() -> None:
    assert dotted_path(("input", "step_data", 1, "b")) == "input.step_data[1].b"
