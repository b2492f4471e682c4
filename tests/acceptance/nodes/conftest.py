"""A pair of nodes, for all tests of this folder."""

from __future__ import annotations

from saga_orchestrator.tests.acceptance.nodes.fix_cluster import pair

__all__ = ["pair"]
