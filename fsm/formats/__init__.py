"""Formats that every room uses: strict JSON and YAML, exact numbers, durations, JSON Schema.

A document that one part of the service accepts must mean the same to every other part, to the
database and to the participants, so there is one parser for each format and it is strict. No module
of this room knows sagas, definitions or calls.
"""
