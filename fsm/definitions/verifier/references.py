"""Whether every value is there when it is read.

Forward, a step has the outputs of those that it follows, and nothing else that would be the same
on every attempt: what a step beside it says comes at any time, and a call that is repeated with the
same key must not change. On the way back the outputs are settled, but whatever does not surely
precede the action may be missing, as is the output of an action that nobody knows to have happened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ...expressions.expression import Reference
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


def check_references(order: VerifierContext, step: Step, at: str) -> Iterator[Finding]:
    if step.output is not None and step.action is None:
        detail = (
            f"{step.name} calls nobody, so there is no reply to make an output of: leave it out"
        )
        yield error("output-of-no-reply", f"{at}/output", detail)
    for place in expression_sites(step, at):
        for reference in place.expression.references:
            yield from _ReferenceCheck(order, step, place, reference).findings()


def declared_members(step: Step) -> frozenset[str] | None:
    """The members of its output, if they are known. A callback brings an output of its own."""
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
    """Of one reference, at its place."""

    def __init__(
        self, order: VerifierContext, step: Step, place: ExpressionSite, reference: Reference
    ) -> None:
        self.order, self.step, self.place = order, step, place
        self.reference = reference

    def findings(self) -> Iterator[Finding]:
        if self.place.phase is EvaluationPhase.REPLY:
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
            case ("error",) if self.place.phase is not EvaluationPhase.BACKWARD:
                detail = (
                    "nothing has failed while the saga goes forward, so saga.error is null:"
                    " leave it out"
                )
                yield warning("error-before-any", self.place.pointer, self._detail(detail))
            case ("entity_id", *_) | ("id" | "type" | "error",):
                return
            case _:
                meant = did_you_mean(str(path[0]), SAGA_MEMBERS) if path else ""
                yield self._unknown_reference(f"saga has {', '.join(SAGA_MEMBERS)}{meant}")

    def _check_step(self, name: str, path: Path) -> Iterator[Finding]:
        other = self.order.definition.by_name.get(name)
        match path:
            case _ if other is None:
                meant = did_you_mean(name, self.order.definition.by_name)
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
            yield error("no-output", self.place.pointer, detail)
            return
        declared = declared_members(other)
        if member and declared is not None and member[0] not in declared:
            known = ", ".join(sorted(declared)) or "no members"
            cure = did_you_mean(str(member[0]), declared) or ": read one of them, or declare it"
            detail = f"the output of {other.name} has {known}{cure}"
            yield error("no-such-output", self.place.pointer, self._detail(detail))
        if other is self.step:
            yield from self._check_own_output()
        elif other.name in self.order.predecessors[self.step.name]:
            yield from self._check_earlier(other)
        else:
            yield from self._check_unordered(other)

    def _check_own_output(self) -> Iterator[Finding]:
        name = self.step.name
        if self.place.phase is not EvaluationPhase.BACKWARD:
            yield self._unknown_reference(
                f"step {name!r} has not run by then: read what comes before it"
            )
        elif not self.reference.optional:
            detail = (
                f"${{{self.place.expression.source}}} is not there when the outcome of {name} is"
                f" unknown; {FALLBACK_HINT}, or use steps.{name}.key"
            )
            yield warning("undo-needs-own-output", self.place.pointer, detail)

    def _check_earlier(self, other: Step) -> Iterator[Finding]:
        if self.reference.optional or not self._may_lack_output(other):
            return
        detail = (
            f"{other.name} may be skipped, and has no output then: {FALLBACK_HINT},"
            f" or give {self.step.name} the same condition"
        )
        yield warning("output-may-be-missing", self.place.pointer, self._detail(detail))

    def _may_lack_output(self, other: Step) -> bool:
        if self.place.phase is EvaluationPhase.CONDITION:
            return False  # what is absent is false there
        asks = self.step.when.references if self.step.when is not None else ()
        is_asked = any(one.step == other.name for one in asks)
        return self.order.may_be_skipped(other, self.step) and not is_asked

    def _check_unordered(self, other: Step) -> Iterator[Finding]:
        """One that comes later, or at the same time."""
        backward = self.place.phase is EvaluationPhase.BACKWARD
        if backward and self.reference.optional:
            return
        cure = (
            f"{FALLBACK_HINT}, for it may not have run" if backward else "read what comes before it"
        )
        if self.order.are_concurrent(self.step, other):
            detail = f"{other.name} runs side by side with {self.step.name}"
            cure = cure if backward else f"add {other.name} to its after"
            yield error(
                "unordered-reference", self.place.pointer, self._detail(f"{detail}: {cure}")
            )
        else:
            yield self._unknown_reference(f"step {other.name!r} has not run by then: {cure}")

    def _unknown_reference(self, why: str) -> Finding:
        return error("unknown-reference", self.place.pointer, self._detail(why))

    def _detail(self, why: str) -> str:
        return f"${{{self.place.expression.source}}}: {why}"


def _suggest_reference(path: Path, root: str, roots: Collection[str]) -> str:
    """Say what is probably meant by a path that begins with none of `roots`."""
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
