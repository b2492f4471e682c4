"""Check that expressions read the input as the definition's `input:` declares it.

A part of which the schema says nothing is no finding of `verify`; `undeclared_reads` lists such
parts
for an author who wants to declare more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal

from ...expressions.syntax_tree import Reference
from ...formats.json_path import Path, dotted_path, json_pointer
from ...formats.json_schema import ASSERTION_KEYWORDS, subschemas
from ...formats.schema_shape import Parts
from ...formats.strict_json import Json, JsonObject
from ...formats.wording import counted, did_you_mean
from ..definition import Definition, Step
from ..findings import Finding, error, warning
from ..input_schema import TYPE_NAMES, abbreviated_json, satisfies
from .context import VerifierContext
from .expression_sites import EvaluationPhase, ExpressionSite, expression_sites

TEXT_TYPES = {"string", "number", "boolean"}
MAX_NAMED = 5  # undeclared parts that one finding names


def check_inputs(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    if context.input is not None:
        references = step.when.references if step.when is not None else ()
        conditions = {reference.path for reference in references}
        for site, reference in _input_references(step, at):
            yield from _InputReferenceCheck(site, reference, conditions).findings(context.input)


def undeclared_reads(definition: Definition) -> list[Path]:
    """Return the parts of the input that are read and of which its schema says nothing."""
    parts = Parts(definition.input.document if definition.input is not None else {})
    reads = (
        reference.path for step in definition.steps for _, reference in _input_references(step, "")
    )
    return [path for path in dict.fromkeys(reads) if _is_undeclared(parts, path[1:])]


def check_input_is_declared(definition: Definition) -> Iterator[Finding]:
    """Warn of reads that `input:` does not declare; a definition with such reads is sound."""
    if unknown := undeclared_reads(definition):
        names = ", ".join(map(dotted_path, unknown[:MAX_NAMED]))
        more = (
            f" and {counted(len(unknown) - MAX_NAMED, 'other')}" if len(unknown) > MAX_NAMED else ""
        )
        detail = (
            f"input: does not declare {names}{more}, so their types are not checked at a start:"
            " declare them there"
        )
        yield warning("input-not-declared", "/input" if definition.input else "", detail)


def _input_references(step: Step, at: str) -> Iterator[tuple[ExpressionSite, Reference]]:
    for site in expression_sites(step, at):
        if site.phase is not EvaluationPhase.REPLY:
            for reference in site.expression.references:
                if reference.path[0] == "input" and len(reference.path) > 1:
                    yield site, reference


def _is_undeclared(parts: Parts, path: Path) -> bool:
    """True if the schema says nothing of some part on the way to `path`."""
    return any(parts.part(path[:length]) is None for length in range(1, len(path) + 1))


class _InputReferenceCheck:
    """The check of one reference; `conditions` are the paths that the step's condition reads."""

    def __init__(
        self, site: ExpressionSite, reference: Reference, conditions: Collection[Path]
    ) -> None:
        self.site, self.reference, self.conditions = site, reference, conditions

    def findings(self, parts: Parts) -> Iterator[Finding]:
        path, shape = self.reference.path, parts.whole
        for length, key in enumerate(path[1:], 1):
            whole, name = dotted_path(path[:length]), dotted_path(path[: length + 1])
            if why := _why_no_part(shape.types, key):
                yield error("no-such-input", self.site.pointer, self._detail(f"{whole} is {why}"))
                return
            part = parts.part(path[1 : length + 1])
            if part is None:
                return
            if part.excluded:
                yield error(
                    "no-such-input",
                    self.site.pointer,
                    self._detail(
                        f"input: excludes {name}{_suggest_name(parts, path[1:length], key)}"
                    ),
                )
                return
            if not part.declared:
                detail = (
                    f"input: does not declare {name}{_suggest_name(parts, path[1:length], key)}"
                )
                yield warning("undeclared-input", self.site.pointer, self._detail(detail))
                return
            is_in_condition = path[: length + 1] in self.conditions
            if part.may_be_missing and self._is_required and not is_in_condition:
                detail = (
                    f"input: allows a start without {name}, which this step needs:"
                    " require it in input:"
                )
                yield warning(
                    "input-may-be-missing",
                    self.site.pointer,
                    self._detail(f"{detail}, or give a fallback with ||"),
                )
            shape = part.shape
        yield from self._check_types(shape.types)

    @property
    def _is_required(self) -> bool:
        """False for a condition, which takes a missing value for false."""
        return not self.reference.optional and self.site.phase is not EvaluationPhase.CONDITION

    def _check_types(self, types: frozenset[str] | None) -> Iterator[Finding]:
        if types is None or self.site.expression.path != self.reference.path:
            return
        name = dotted_path(self.reference.path)
        if self.site.in_text and not types & TEXT_TYPES:
            detail = f"{name} is {_name_types(types)}, which cannot stand in a text"
            yield error(
                "object-in-text", self.site.pointer, self._detail(f"{detail}: name a part of it")
            )
        if self.site.phase is EvaluationPhase.CONDITION and "boolean" not in types:
            detail = f"{name} is {_name_types(types)}, which as a condition is almost always true"
            yield warning(
                "condition-not-boolean",
                self.site.pointer,
                self._detail(f"{detail}: write a comparison"),
            )

    def _detail(self, why: str) -> str:
        return f"${{{self.site.expression.source}}}: {why}"


def _why_no_part(types: frozenset[str] | None, key: str | int) -> str | None:
    needed, has_none = ("object", "no members") if isinstance(key, str) else ("array", "no entries")
    if types is None or needed in types:
        return None
    return (
        f"{_name_types(types)}, which has {has_none}: read it as a whole, or declare another type"
    )


def _name_types(types: frozenset[str]) -> str:
    return " or ".join(TYPE_NAMES[name] for name in sorted(types)) or "nothing at all"


def _suggest_name(parts: Parts, path: Path, key: str | int) -> str:
    meant = did_you_mean(key, parts.names(path)) if isinstance(key, str) else ""
    return meant or ": correct the name, or declare it"


BOUND_PAIRS = (
    ("minimum", "maximum"),
    ("exclusiveMinimum", "maximum"),
    ("minimum", "exclusiveMaximum"),
    ("exclusiveMinimum", "exclusiveMaximum"),
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
    ("minContains", "maxContains"),
)


def check_schemas(definition: Definition) -> Iterator[Finding]:
    if definition.input is None:
        return
    for path, schema in _all_schemas(definition.input.document, ("input",)):
        for keyword, why in _contradictions(schema):
            yield error("never-fits", json_pointer((*path, keyword)), why)


def _all_schemas(schema: Json, path: Path) -> Iterator[tuple[Path, JsonObject]]:
    if isinstance(schema, dict):
        yield path, schema
        for way, inner in subschemas(schema):
            yield from _all_schemas(inner, (*path, *way))


def _contradictions(schema: JsonObject) -> Iterator[tuple[str, str]]:
    for low, high in BOUND_PAIRS:
        least, most = schema.get(low), schema.get(high)
        if not isinstance(least, int | Decimal) or not isinstance(most, int | Decimal):
            continue
        is_open = low.startswith("exclusive") or high.startswith("exclusive")
        if least > most or (is_open and least == most):
            bounds = f"{low} is {abbreviated_json(least)} and {high} is {abbreviated_json(most)}"
            yield low, f"no value fits, because {bounds}: change one of them"
    if schema.get("enum") == []:
        yield "enum", "no value fits an empty enum: list the possible values"
    elif (values := _listed_values(schema)) is not None and not _any_value_fits(schema, values):
        keyword = "const" if "const" in schema else "enum"
        others = ", ".join(sorted((ASSERTION_KEYWORDS & schema.keys()) - {keyword}))
        yield keyword, f"no value of {keyword} fits its {others}: change one of them"


def _listed_values(schema: JsonObject) -> list[Json] | None:
    """Return the only values that may fit, or None if any may."""
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def _any_value_fits(schema: JsonObject, values: list[Json]) -> bool:
    limits = {name: value for name, value in schema.items() if name in ASSERTION_KEYWORDS}
    return len(limits) < 2 or any(satisfies(limits, value) for value in values)
