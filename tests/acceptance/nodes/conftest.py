"""Groups of nodes, for all tests of this folder."""

from __future__ import annotations

from saga_orchestrator.tests.acceptance.nodes.node_group import deferring, pair, proxied_pair, trio

__all__ = ["deferring", "pair", "proxied_pair", "trio"]
