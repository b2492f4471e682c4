"""Audit of an installation: the log, the status table and outside evidence compared."""
