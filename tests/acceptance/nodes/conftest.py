"""Several nodes, for all tests of this folder."""

from __future__ import annotations

from saga_orchestrator.tests.acceptance.nodes.fix_cluster import far, pair, trio

__all__ = ["far", "pair", "trio"]
