"""Hypothesis profiles: `--hypothesis-profile=thorough` before a release.

`mutations` looks for one counterexample, the same each time, and does not shrink it.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings

settings.register_profile("usual", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", settings.get_profile("usual"), max_examples=2_000)
settings.register_profile(
    "mutations",
    settings.get_profile("usual"),
    derandomize=True,
    database=None,
    phases=[Phase.generate],
)


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile(config.getoption("--hypothesis-profile") or "usual")
