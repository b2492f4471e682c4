"""Check that every value is there when it is read.

Going forward, a step may read the outputs of its predecessors only: the output of a concurrent step
may arrive between two attempts, and a call that is repeated with the same key must not change. A
compensation runs when all outputs are settled, but the output of a step that is no predecessor may
be missing, and so may the output of its own action if the outcome is unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ...expressions.syntax_tree import Reference
from ...expressions.template import Literal, ObjectTemplate
from ...formats.json_path import Path, dotted_path
from ...formats.wording import did_you_mean
from ..definition import Completion, Step
from ..findings import Finding, error, warning
from .context import VerifierContext, constant_condition
from .expression_sites import EvaluationPhase, ExpressionSite, expression_sites

ROOTS = ("input", "steps", "saga")
SAGA_MEMBERS = ("id", "type", "entity_id", "error")
JSON_WORDS = ("true", "false", "null")
FALLBACK_HINT = "give a fallback with ||"


def check_references(context: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    if step.output is not None and step.action is None:
        detail = (
            f"{step.name} calls no participant, so there is no reply to make an output of:"
            " leave out output"
        )
        yield error("output-of-no-reply", f"{at}/output", detail)
    for site in expression_sites(step, at):
        for reference in site.expression.references:
            yield from _ReferenceCheck(context, step, site, reference).findings()


def declared_members(step: Step) -> frozenset[str] | None:
    """Return the members of the output of `step`, or None if they are not known, as for a step
    whose callback brings its own output."""
    match step.output:
        case _ if step.completion is Completion.CALLBACK or step.action is None:
            return None
        case ObjectTemplate(members=members):
            return frozenset(name for name, _ in members)
        case Literal(value=dict() as members):
            return frozenset(members)
        case _:
            return None


class _ReferenceCheck:
    """The check of one reference in one expression."""

    def __init__(
        self, context: VerifierContext, step: Step, site: ExpressionSite, reference: Reference
    ) -> None:
        self.context, self.step, self.site = context, step, site
        self.reference = reference

    def findings(self) -> Iterator[Finding]:
        if self.site.phase is EvaluationPhase.REPLY:
            yield from self._check_reply(self.reference.path)
            return
        match self.reference.path:
            case ("input", *_):
                return
            case ("saga", *path):
                yield from self._check_saga(tuple(path))
            case ("steps", str() as name, *path):
                yield from self._check_step(name, tuple(path))
            case ("steps",):
                yield self._unknown_reference("write steps.<name>.output or steps.<name>.key")
            case path:
                yield self._unknown_reference(_suggest_reference(path, "input", ROOTS))

    def _check_reply(self, path: Path) -> Iterator[Finding]:
        if path[:2] != ("response", "body"):
            yield self._unknown_reference(
                _suggest_reference(path, "response.body", ("response.body",))
            )

    def _check_saga(self, path: Path) -> Iterator[Finding]:
        match path:
            case ("error",) if self.site.phase is not EvaluationPhase.BACKWARD:
                detail = (
                    "saga.error is null while the saga goes forward: read it in a compensation only"
                )
                yield warning("error-before-any", self.site.pointer, self._detail(detail))
            case ("entity_id", *_) | ("id" | "type" | "error",):
                return
            case _:
                meant = did_you_mean(str(path[0]), SAGA_MEMBERS) if path else ""
                yield self._unknown_reference(f"saga has {', '.join(SAGA_MEMBERS)}{meant}")

    def _check_step(self, name: str, path: Path) -> Iterator[Finding]:
        other = self.context.definition.by_name.get(name)
        match path:
            case _ if other is None:
                meant = did_you_mean(name, self.context.definition.by_name)
                yield self._unknown_reference(f"there is no step {name!r}{meant}")
            case ("output", *member):
                yield from self._check_output(other, tuple(member))
            case ("key",):
                return
            case _:
                yield self._unknown_reference("write steps.<name>.output or steps.<name>.key")

    def _check_output(self, other: Step, member: Path) -> Iterator[Finding]:
        if why := _why_no_output(other):
            detail = self._detail(f"{other.name} {why}, so it has no output: read something else")
            yield error("no-output", self.site.pointer, detail)
            return
        declared = declared_members(other)
        if member and declared is not None and member[0] not in declared:
            known = ", ".join(sorted(declared)) or "no members"
            cure = did_you_mean(str(member[0]), declared) or ": read one of them, or declare it"
            detail = f"the output of {other.name} has {known}{cure}"
            yield error("no-such-output", self.site.pointer, self._detail(detail))
        if other is self.step:
            yield from self._check_own_output()
        elif other.name in self.context.graph.predecessors[self.step.name]:
            yield from self._check_earlier(other)
        else:
            yield from self._check_unordered(other)

    def _check_own_output(self) -> Iterator[Finding]:
        name = self.step.name
        if self.site.phase is not EvaluationPhase.BACKWARD:
            yield self._unknown_reference(
                f"step {name!r} has not run yet: read a step that runs before it"
            )
        elif not self.reference.optional:
            detail = (
                f"${{{self.site.expression.source}}} is missing when the outcome of {name} is"
                f" unknown: {FALLBACK_HINT}, or use steps.{name}.key"
            )
            yield warning("undo-needs-own-output", self.site.pointer, detail)

    def _check_earlier(self, other: Step) -> Iterator[Finding]:
        if self.reference.optional or not self._may_lack_output(other):
            return
        detail = (
            f"{other.name} may be skipped, and has no output then: {FALLBACK_HINT},"
            f" or give {self.step.name} the same condition"
        )
        yield warning("output-may-be-missing", self.site.pointer, self._detail(detail))

    def _may_lack_output(self, other: Step) -> bool:
        if self.site.phase is EvaluationPhase.CONDITION:
            return False  # a condition takes a missing value for false
        conditions = self.step.when.references if self.step.when is not None else ()
        is_in_condition = any(reference.step == other.name for reference in conditions)
        return self.context.may_be_skipped(other, self.step) and not is_in_condition

    def _check_unordered(self, other: Step) -> Iterator[Finding]:
        """Check a read of a step that runs later or concurrently."""
        backward = self.site.phase is EvaluationPhase.BACKWARD
        if backward and self.reference.optional:
            return
        fallback, earlier = (
            f"{FALLBACK_HINT}, for it may not have run",
            "read a step that runs before",
        )
        cure = fallback if backward else f"{earlier} {self.step.name}"
        if self.context.graph.are_concurrent(self.step.name, other.name):
            detail = f"{other.name} runs concurrently with {self.step.name}"
            cure = cure if backward else f"add {other.name} to the after of {self.step.name}"
            yield error("unordered-reference", self.site.pointer, self._detail(f"{detail}: {cure}"))
        else:
            yield self._unknown_reference(f"step {other.name!r} has not run yet: {cure}")

    def _unknown_reference(self, why: str) -> Finding:
        return error("unknown-reference", self.site.pointer, self._detail(why))

    def _detail(self, why: str) -> str:
        return f"${{{self.site.expression.source}}}: {why}"


def _suggest_reference(path: Path, root: str, roots: Collection[str]) -> str:
    """Suggest what is meant by a path that begins with none of `roots`."""
    first, whole = str(path[0]), dotted_path(path)
    if len(path) == 1 and first.lower() in JSON_WORDS:
        return f"write `{first.lower()}`, between backticks, for {first.lower()} itself"
    why = f"{whole} does not begin with {', '.join(roots)}"
    if meant := did_you_mean(first, roots):
        return f"{why}{meant}"
    return f"{why}: write {root}.{whole} for a member, or '{whole}' for a text"


def _why_no_output(step: Step) -> str | None:
    if step.sleep is not None:
        return "only sleeps"
    return "never runs" if constant_condition(step) is False else None
