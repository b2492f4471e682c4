"""JMESPath expressions and templates: parsed once, evaluated against a saga's context."""
