"""Whether expressions read the input as the definition's `input:` declares it.

What the schema leaves open is not known, and not complained of: `unknown_reads` names it, for
those who want to declare more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..definition import Definition, Step
from ..errors import Finding
from ..expression import Reference
from ..path import Path, dotted
from ..plural import counted
from ..schema_rules import did_you_mean
from ..schema_words import TYPES
from .finding import error, warning
from .order import Order
from .place import Moment, Place, places
from .shape import Parts

IN_TEXTS = {"string", "number", "boolean"}
MOST_NAMED = 5  # of what is not known, in one finding


def check_inputs(order: Order, step: Step, at: str) -> Iterator[Finding]:
    if order.input is not None:
        asked = {one.path for one in step.when.references} if step.when is not None else set()
        for place, reference in _reads(step, at):
            yield from _Reading(place, reference, asked).findings(order.input)


def unknown_reads(definition: Definition) -> list[Path]:
    """The places of the input that are read and of which its schema says nothing, each once."""
    parts = Parts(definition.input.document if definition.input is not None else {})
    reads = (reference.path for step in definition.steps for _, reference in _reads(step, ""))
    return [path for path in dict.fromkeys(reads) if _is_unknown(parts, path[1:])]


def check_input_is_declared(definition: Definition) -> Iterator[Finding]:
    """Say what cannot be known of it. For its author alone: such a definition is sound."""
    if unknown := unknown_reads(definition):
        names = ", ".join(map(dotted, unknown[:MOST_NAMED]))
        more = (
            f" and {counted(len(unknown) - MOST_NAMED, 'other')}"
            if len(unknown) > MOST_NAMED
            else ""
        )
        detail = (
            f"it is not known whether a start brings {names}{more}, nor of what types they are:"
            " declare them in input:"
        )
        yield warning("input-not-declared", "/input" if definition.input else "", detail)


def _reads(step: Step, at: str) -> Iterator[tuple[Place, Reference]]:
    for place in places(step, at):
        if place.moment is not Moment.REPLY:
            for reference in place.expression.references:
                if reference.path[0] == "input" and len(reference.path) > 1:
                    yield place, reference


def _is_unknown(parts: Parts, path: Path) -> bool:
    """Parts are asked for one after the other, as far as they are known."""
    return any(parts.part(path[:length]) is None for length in range(1, len(path) + 1))


class _Reading:
    """Of one reference, at its place; `asked` is what the condition of the step reads."""

    def __init__(self, place: Place, reference: Reference, asked: Collection[Path]) -> None:
        self.place, self.reference, self.asked = place, reference, asked

    def findings(self, parts: Parts) -> Iterator[Finding]:
        path, shape = self.reference.path, parts.whole
        for length, key in enumerate(path[1:], 1):
            before, there = dotted(path[:length]), dotted(path[: length + 1])
            if why := _why_not_in(shape.types, key):
                yield error("no-such-input", self.place.pointer, self._of(f"{before} is {why}"))
                return
            part = parts.part(path[1 : length + 1])
            if part is None:
                return
            if part.excluded:
                yield error(
                    "no-such-input",
                    self.place.pointer,
                    self._of(f"input: excludes {there}{_meant(parts, path[1:length], key)}"),
                )
                return
            if not part.declared:
                detail = f"input: does not declare {there}{_meant(parts, path[1:length], key)}"
                yield warning("undeclared-input", self.place.pointer, self._of(detail))
                return
            is_asked = path[: length + 1] in self.asked
            if part.may_be_missing and self._needs_it and not is_asked:
                detail = f"a start may lack {there}, and is refused then: require it in input:"
                yield warning(
                    "input-may-be-missing",
                    self.place.pointer,
                    self._of(f"{detail}, or give a fallback with ||"),
                )
            shape = part.shape
        yield from self._of_types(shape.types)

    @property
    def _needs_it(self) -> bool:
        """A condition on what is missing does not hold."""
        return not self.reference.optional and self.place.moment is not Moment.CONDITION

    def _of_types(self, types: frozenset[str] | None) -> Iterator[Finding]:
        if types is None or self.place.expression.path != self.reference.path:
            return
        there = dotted(self.reference.path)
        if self.place.in_text and not types & IN_TEXTS:
            detail = f"{there} is {_named(types)}, which cannot stand in a text"
            yield error(
                "object-in-text", self.place.pointer, self._of(f"{detail}: name a part of it")
            )
        if self.place.moment is Moment.CONDITION and "boolean" not in types:
            detail = f"{there} is {_named(types)}, and as a condition almost always true"
            yield warning(
                "condition-not-boolean",
                self.place.pointer,
                self._of(f"{detail}: write a comparison"),
            )

    def _of(self, why: str) -> str:
        return f"${{{self.place.expression.source}}}: {why}"


def _why_not_in(types: frozenset[str] | None, key: str | int) -> str | None:
    needed, has_none = ("object", "no members") if isinstance(key, str) else ("array", "no entries")
    if types is None or needed in types:
        return None
    return f"{_named(types)}, which has {has_none}: read it as what it is"


def _named(types: frozenset[str]) -> str:
    return " or ".join(TYPES[one] for one in sorted(types)) or "nothing at all"


def _meant(parts: Parts, path: Path, key: str | int) -> str:
    meant = did_you_mean(key, parts.names(path)) if isinstance(key, str) else ""
    return meant or ": read what it declares, or declare it"
