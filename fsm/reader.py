"""From a document to a definition: models first, then templates, then the verifier.

All that is wrong is collected and told at once, each with the place that has to change.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from pydantic import ValidationError

from .definition import Call, Compensation, Definition, OnFailure, Step
from .errors import Finding, InvalidDefinition, Severity
from .expression import Expression, ExpressionError
from .language import CallModel, CompensationModel, DefinitionModel, StatusModel, StepModel
from .retry import RetryPolicy
from .strict_json import Json, NotKeepable, serialize
from .template import Template, Text, parse_template, parse_text
from .verifier import verify

LARGEST_DEFINITION = 256 * 1024  # bytes, as canonical JSON
ACTION_RETRY = RetryPolicy(attempts=5)
AFTER_PIVOT_RETRY = RetryPolicy(attempts=None)
COMPENSATION_RETRY = RetryPolicy(attempts=12)
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
HEADERS_OF_OURS = frozenset(
    {"connection", "content-length", "content-type", "host", "idempotency-key", "saga-attempt"}
    | {"saga-epoch", "saga-id", "saga-step", "traceparent", "transfer-encoding"}
)

Place = tuple[str | int, ...]


def read_definition(document: Json) -> Definition:
    """Raises InvalidDefinition. Warnings do not stop a definition: ask `verify` for them."""
    model, source = _validated(document)
    reading = _Reading(model)
    steps = reading.steps()
    _refuse(reading.findings)
    definition = Definition(
        name=model.saga,
        version=model.version,
        deadline=model.deadline,
        steps=steps,
        source=source,
    )
    _refuse([one for one in verify(definition) if one.severity is Severity.ERROR])
    return definition


def findings_of(error: ValidationError) -> Iterator[Finding]:
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        detail = one["msg"].removeprefix("Value error, ")
        code = one["type"].replace("_", "-")
        yield Finding(code=code, pointer=pointer(one["loc"]), detail=detail)


def pointer(place: Sequence[str | int]) -> str:
    """RFC 6901."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in place)


def _validated(document: Json) -> tuple[DefinitionModel, bytes]:
    try:
        source = serialize(document)
        model = DefinitionModel.model_validate_json(source)
    except NotKeepable as error:
        raise _invalid("not-json", str(error)) from None
    except ValidationError as error:
        raise InvalidDefinition(list(findings_of(error))) from None
    if len(source) > LARGEST_DEFINITION:
        raise _invalid("too-large", f"the definition is larger than {LARGEST_DEFINITION} bytes")
    return model, source


def _invalid(code: str, detail: str) -> InvalidDefinition:
    return InvalidDefinition([Finding(code=code, pointer="", detail=detail)])


def _refuse(findings: Sequence[Finding]) -> None:
    if findings:
        raise InvalidDefinition(findings)


class _Reading:
    """Of one document: parses its templates, and collects what is wrong with them."""

    def __init__(self, model: DefinitionModel) -> None:
        self.model = model
        self.findings: list[Finding] = []

    def steps(self) -> tuple[Step, ...]:
        models = self.model.steps
        names = [one.name for one in models]
        for number, name in enumerate(names):
            if name in names[:number]:
                detail = f"there is another step {name!r}"
                self._complain("step-named-twice", ("steps", number, "name"), detail)
        after: list[tuple[str, ...]] = [(), *((one,) for one, _ in pairwise(names))]
        pivots = [number for number, one in enumerate(models) if one.pivot]
        return tuple(
            self._step(one, number, after[number], beyond=bool(pivots) and number > pivots[0])
            for number, one in enumerate(models)
        )

    def _step(self, model: StepModel, number: int, after: tuple[str, ...], *, beyond: bool) -> Step:
        place: Place = ("steps", number)
        retry = AFTER_PIVOT_RETRY if beyond else ACTION_RETRY
        return Step(
            name=model.name,
            participant=model.participant,
            action=self._call(model.action, retry, (*place, "action")),
            compensation=self._compensation(model.compensation, (*place, "compensation")),
            after=after,
            pivot=model.pivot,
            undone_by=model.undone_by,
            has_effect=model.effect != "none",
            compensate_on_reject=model.compensate_on_reject,
            output=self._output(model, (*place, "output")),
            when=self._when(model, (*place, "when")),
            status=self._status(model, retry, (*place, "status")),
        )

    def _call(self, model: CallModel, retry: RetryPolicy, place: Place) -> Call:
        return Call(
            method=model.method,
            path=self._text(model.path, (*place, "path")),
            body=self._body(model, place),
            headers=tuple(self._headers(model, (*place, "headers"))),
            timeout=model.timeout,
            retry=model.retry.over(retry),
        )

    def _compensation(self, model: CompensationModel | None, place: Place) -> Compensation | None:
        if model is None:
            return None
        call = self._call(model, COMPENSATION_RETRY, place)
        goes_on = model.on_failure == "continue"
        return Compensation(
            method=call.method,
            path=call.path,
            body=call.body,
            headers=call.headers,
            timeout=call.timeout,
            retry=call.retry,
            done_on=frozenset(model.done_on),
            on_failure=OnFailure.CONTINUE if goes_on else OnFailure.PARK,
        )

    def _status(self, model: StepModel, retry: RetryPolicy, place: Place) -> Call | None:
        if model.status is None:
            return None
        return Call(
            method=model.status.method,
            path=self._text(model.status.path, (*place, "path")),
            body=None,
            headers=tuple(self._headers(model.status, (*place, "headers"))),
            timeout=model.status.timeout,
            retry=model.action.retry.over(retry),
        )

    def _when(self, model: StepModel, place: Place) -> Expression | None:
        if model.when is None:
            return None
        condition = self._template(model.when, place)
        if isinstance(condition, Expression):
            return condition
        self._complain("bad-condition", place, "a condition is one expression, ${...}")
        return None

    def _body(self, model: CallModel, place: Place) -> Template | None:
        if model.body is None:
            return None
        return self._template(model.body, (*place, "body"))

    def _output(self, model: StepModel, place: Place) -> Template | None:
        if model.output is None:
            return None
        return self._template(dict(model.output), place)

    def _headers(self, model: CallModel | StatusModel, place: Place) -> Iterator[tuple[str, Text]]:
        for name, value in model.headers.items():
            if not HEADER.fullmatch(name) or name.lower() in HEADERS_OF_OURS:
                detail = f"{name!r} is not a header that a definition may set"
                self._complain("bad-header", (*place, name), detail)
            yield name.lower(), self._text(value, (*place, name))

    def _text(self, text: str, place: Place) -> Text:
        try:
            return parse_text(text)
        except ExpressionError as error:
            self._complain("bad-expression", place, str(error))
            return Text(())

    def _template(self, value: Json, place: Place) -> Template | None:
        try:
            return parse_template(value)
        except ExpressionError as error:
            self._complain("bad-expression", place, str(error))
            return None

    def _complain(self, code: str, place: Place, detail: str) -> None:
        self.findings.append(Finding(code=code, pointer=pointer(place), detail=detail))
