"""JMESPath expressions and templates: the only room that knows the library `jmespath`.

    template      JSON with `${...}` in it ──▶ parsed once, rendered for every call
        │
    expression    parse() ──▶ Expression: its source, its tree, the paths that it reads
        │
        ├── a plain path       is followed, without a visit of the tree
        ├── compiled           paths, `||`, `{}` and `merge()` as Python functions
        └── evaluation         the interpreter: every other expression, and every error message
                │
            functions          JMESPath's functions, equality and order, on exact numbers

`syntax_tree` has the nodes of a parsed expression, for the verifier too; `syntax_hints` describes a
text that cannot be parsed. The ways to evaluate an expression differ in speed only: the interpreter
defines the meaning, and tests compare the others with it.

Null and absent differ here, though not in JMESPath: an absent value is never sent as null (the
table in `evaluation`). Every evaluation has a budget of visits and of elements, because expressions
and data come from outside.
"""
