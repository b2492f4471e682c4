"""The deployment for all tests of this folder."""

from __future__ import annotations

from saga_orchestrator.tests.acceptance.deployment import (
    house,
    undisturbed,
    undisturbed_decline,
    whole_house,
)

__all__ = ["house", "undisturbed", "undisturbed_decline", "whole_house"]
