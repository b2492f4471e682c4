"""Definitions: parsed from documents, verified before they are registered, immutable afterwards.

    document ──▶ schema ──▶ parser ──▶ Definition ──▶ verifier ──▶ findings
               (pydantic)              step_graph
                                       input_schema

`schema` is the definition language, which is also printed as a JSON Schema for editors. `parser`
makes a `Definition` of a document and raises all errors at once, each with its place. `verifier`
finds what some saga would fail on. Its rules may get stricter, so a definition that is registered
is loaded again with the parser alone. `input_check` compares the input of a start with what the
definition declares and what its expressions need. `builtin/` has the definitions that every service
registers.
"""
