"""Groups of nodes, for all tests of this folder."""

from __future__ import annotations

from saga_orchestrator.tests.acceptance.nodes.node_group import desk, far, pair, trio

__all__ = ["desk", "far", "pair", "trio"]
