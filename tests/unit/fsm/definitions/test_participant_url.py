from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.fsm.definitions.participant_url import url_variable
from saga_orchestrator.fsm.definitions.schema import NAME_PATTERN
from saga_orchestrator.settings import read_settings

URL = "http://127.0.0.1:9000"


@given(
    st.from_regex(re.compile(NAME_PATTERN, re.ASCII), fullmatch=True)
    | st.from_regex(re.compile(r"[a-z][a-z0-9-]{0,20}-service", re.ASCII), fullmatch=True)
)
def test_suggested_variable_is_read_by_the_settings(participant: str) -> None:
    variable = url_variable(participant)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SAGA_PARTICIPANTS_FILE", raising=False)
        named = variable or f"{participant.upper().replace('-', '_')}_URL"
        patch.setenv(named, URL)
        is_given = participant in read_settings().saga_participants

    assert is_given == (variable is not None)


@pytest.mark.parametrize("participant", ["bank", "Thing-service", "a_b-service", "-service"])
def test_other_names_have_no_variable(participant: str) -> None:
    assert url_variable(participant) is None
