"""Saga Orchestrator: distributed transactions across HTTP services, over an event log."""
