"""Whether every value is there when it is read.

Forward, a step has the outputs of those that it follows, and nothing else that would be the same
on every attempt: what a step beside it says comes at any time, and a call that is repeated with the
same key must not change. On the way back the outputs are settled, but whatever does not surely
precede the action may be missing, as is the output of an action that nobody knows to have happened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..definition import Completion, Step
from ..errors import Finding
from ..expression import Reference
from ..path import Path, dotted
from ..schema_rules import did_you_mean
from ..template import Literal, ObjectTemplate
from .finding import error, warning
from .order import Order, constant_condition
from .place import Moment, Place, places

ROOTS = ("input", "steps", "saga")
SAGA_MEMBERS = ("id", "type", "entity_id", "error")
WORDS_OF_JSON = ("true", "false", "null")
FALLBACK = "give a fallback with ||"


def check_references(order: Order, step: Step, at: str) -> Iterator[Finding]:
    if step.output is not None and step.action is None:
        detail = (
            f"{step.name} calls nobody, so there is no reply to make an output of: leave it out"
        )
        yield error("output-of-no-reply", f"{at}/output", detail)
    for place in places(step, at):
        for reference in place.expression.references:
            yield from _Reading(order, step, place, reference).findings()


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


class _Reading:
    """Of one reference, at its place."""

    def __init__(self, order: Order, step: Step, place: Place, reference: Reference) -> None:
        self.order, self.step, self.place = order, step, place
        self.reference = reference

    def findings(self) -> Iterator[Finding]:
        if self.place.moment is Moment.REPLY:
            yield from self._of_reply(self.reference.path)
            return
        match self.reference.path:
            case ("input", *_):
                return
            case ("saga", *path):
                yield from self._of_saga(tuple(path))
            case ("steps", str() as name, *path):
                yield from self._of_step(name, tuple(path))
            case ("steps",):
                yield self._unknown("write steps.<name>.output or steps.<name>.key")
            case path:
                yield self._unknown(_meant(path, "input", ROOTS))

    def _of_reply(self, path: Path) -> Iterator[Finding]:
        if path[:2] != ("response", "body"):
            yield self._unknown(_meant(path, "response.body", ("response.body",)))

    def _of_saga(self, path: Path) -> Iterator[Finding]:
        match path:
            case ("error",) if self.place.moment is not Moment.BACKWARD:
                detail = (
                    "nothing has failed while the saga goes forward, so saga.error is null:"
                    " leave it out"
                )
                yield warning("error-before-any", self.place.pointer, self._told(detail))
            case ("entity_id", *_) | ("id" | "type" | "error",):
                return
            case _:
                meant = did_you_mean(str(path[0]), SAGA_MEMBERS) if path else ""
                yield self._unknown(f"saga has {', '.join(SAGA_MEMBERS)}{meant}")

    def _of_step(self, name: str, path: Path) -> Iterator[Finding]:
        other = self.order.definition.by_name.get(name)
        match path:
            case _ if other is None:
                meant = did_you_mean(name, self.order.definition.by_name)
                yield self._unknown(f"there is no step {name!r}{meant}")
            case ("output", *member):
                yield from self._of_output(other, tuple(member))
            case ("key",):
                return
            case _:
                yield self._unknown("write steps.<name>.output or steps.<name>.key")

    def _of_output(self, other: Step, member: Path) -> Iterator[Finding]:
        if why := _says_nothing(other):
            detail = self._told(f"{other.name} {why}, so it has no output: read something else")
            yield error("no-output", self.place.pointer, detail)
            return
        declared = declared_members(other)
        if member and declared is not None and member[0] not in declared:
            known = ", ".join(sorted(declared)) or "no members"
            cure = did_you_mean(str(member[0]), declared) or ": read one of them, or declare it"
            detail = f"the output of {other.name} has {known}{cure}"
            yield error("no-such-output", self.place.pointer, self._told(detail))
        if other is self.step:
            yield from self._of_own_output()
        elif other.name in self.order.before[self.step.name]:
            yield from self._of_earlier(other)
        else:
            yield from self._of_other(other)

    def _of_own_output(self) -> Iterator[Finding]:
        name = self.step.name
        if self.place.moment is not Moment.BACKWARD:
            yield self._unknown(f"step {name!r} has not run by then: read what comes before it")
        elif not self.reference.optional:
            detail = (
                f"${{{self.place.expression.source}}} is not there when the outcome of {name} is"
                f" unknown; {FALLBACK}, or use steps.{name}.key"
            )
            yield warning("undo-needs-own-output", self.place.pointer, detail)

    def _of_earlier(self, other: Step) -> Iterator[Finding]:
        if self.reference.optional or not self._may_be_without(other):
            return
        detail = (
            f"{other.name} may be skipped, and has no output then: {FALLBACK},"
            f" or give {self.step.name} the same condition"
        )
        yield warning("output-may-be-missing", self.place.pointer, self._told(detail))

    def _may_be_without(self, other: Step) -> bool:
        if self.place.moment is Moment.CONDITION:
            return False  # what is absent is false there
        asks = self.step.when.references if self.step.when is not None else ()
        is_asked = any(one.step == other.name for one in asks)
        return self.order.may_be_left_out(other, self.step) and not is_asked

    def _of_other(self, other: Step) -> Iterator[Finding]:
        """One that comes later, or at the same time."""
        backward = self.place.moment is Moment.BACKWARD
        if backward and self.reference.optional:
            return
        cure = f"{FALLBACK}, for it may not have run" if backward else "read what comes before it"
        if self.order.are_side_by_side(self.step, other):
            detail = f"{other.name} runs side by side with {self.step.name}"
            cure = cure if backward else f"add {other.name} to its after"
            yield error("unordered-reference", self.place.pointer, self._told(f"{detail}: {cure}"))
        else:
            yield self._unknown(f"step {other.name!r} has not run by then: {cure}")

    def _unknown(self, why: str) -> Finding:
        return error("unknown-reference", self.place.pointer, self._told(why))

    def _told(self, why: str) -> str:
        return f"${{{self.place.expression.source}}}: {why}"


def _meant(path: Path, root: str, roots: Collection[str]) -> str:
    """Say what is probably meant by a path that begins with none of `roots`."""
    first, whole = str(path[0]), dotted(path)
    if len(path) == 1 and first.lower() in WORDS_OF_JSON:
        return f"write `{first.lower()}`, between backticks, for {first.lower()} itself"
    why = f"{whole} does not begin with {', '.join(roots)}"
    if meant := did_you_mean(first, roots):
        return f"{why}{meant}"
    return f"{why}: write {root}.{whole} for a member, or '{whole}' for a text"


def _says_nothing(step: Step) -> str | None:
    if step.sleep is not None:
        return "only sleeps"
    return "never runs" if constant_condition(step) is False else None
