"""Saga Orchestrator: distributed transactions across HTTP services, as state machines over an event log."""
