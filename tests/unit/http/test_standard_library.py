from __future__ import annotations

import http
from pathlib import Path

import saga_orchestrator


def test_http_is_the_standard_library() -> None:
    root = Path(saga_orchestrator.__file__).parent

    assert http.HTTPStatus.OK.phrase == "OK"
    assert root not in Path(http.__file__).parents
    assert not (root / "http" / "__init__.py").exists()
