"""The deployment for all tests of this folder."""

from __future__ import annotations

from saga_orchestrator.tests.acceptance.deployment import (
    deployment,
    session_deployment,
    undisturbed,
    undisturbed_decline,
)

__all__ = ["deployment", "session_deployment", "undisturbed", "undisturbed_decline"]
