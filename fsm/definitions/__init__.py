"""The definition language: parse, verify and describe what a saga consists of."""
