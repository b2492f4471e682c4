"""Calls to participants: concurrency limits, circuit breakers and callback tokens."""
