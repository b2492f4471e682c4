"""Calls to participants: concurrency, circuit breakers, metrics and settings."""
