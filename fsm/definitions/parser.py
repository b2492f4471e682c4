"""Parse a document into a `Definition`: models first, then templates, then the verifier.

All errors of a document are collected and raised at once, each with the place that has to change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from pydantic import ValidationError

from ..expressions.expression import Expression, ExpressionError
from ..expressions.template import Template, Text, parse_template, parse_text
from ..formats.json_path import ABSENT, Path, get_path, json_pointer
from ..formats.json_schema import SchemaError
from ..formats.strict_json import InvalidJson, Json, serialize
from ..formats.wording import did_you_mean
from .definition import (
    Call,
    Child,
    Compensation,
    Completion,
    Definition,
    OnFailure,
    OnTimeout,
    Step,
    WaitFor,
)
from .findings import Finding, InvalidDefinition, Severity
from .input_schema import InputSchema
from .reserved_headers import HEADER_NAME, RESERVED_HEADERS
from .retry import RetryPolicy
from .schema import (
    PATTERN_MESSAGES,
    CallModel,
    ChildModel,
    CompensationModel,
    DefinitionModel,
    StatusModel,
    StepModel,
    WaitForModel,
)
from .step_graph import StepGraph
from .validation_errors import validation_findings
from .verifier import verify
from .verifier.likely_mistakes import suggest_condition

MAX_DEFINITION_BYTES = 256 * 1024  # bytes, as canonical JSON
ACTION_DEFAULT_RETRY = RetryPolicy(attempts=5)
AFTER_PIVOT_DEFAULT_RETRY = RetryPolicy(attempts=None)
COMPENSATION_DEFAULT_RETRY = RetryPolicy(attempts=12)


def parse_definition(document: Json) -> Definition:
    """Parse and verify a definition. Raises InvalidDefinition for errors; `verify` has the
    warnings."""
    definition = parse_unverified_definition(document)
    reject_verifier_errors(definition)
    return definition


def reject_verifier_errors(definition: Definition, others: Collection[Definition] = ()) -> None:
    """Raise InvalidDefinition if the verifier finds errors; `others` are possible children."""
    findings = verify(definition, others=others)
    _reject([finding for finding in findings if finding.severity is Severity.ERROR])


def parse_unverified_definition(document: Json) -> Definition:
    """Parse a definition without the verifier: its newer rules must not stop a registered one.

    Raises InvalidDefinition.
    """
    model, source = _validate(document)
    reading = _DefinitionParser(model, document)
    steps = reading.steps()
    schema = reading.input_schema()
    _reject(reading.findings)
    return Definition(
        name=model.saga,
        version=model.version,
        deadline=model.deadline,
        steps=steps,
        source=source,
        input=schema,
    )


def _validate(document: Json) -> tuple[DefinitionModel, bytes]:
    try:
        source = serialize(document)
        model = DefinitionModel.model_validate_json(source)
    except InvalidJson as error:
        raise _invalid("not-json", str(error)) from None
    except ValidationError as error:
        findings = validation_findings(error, DefinitionModel, PATTERN_MESSAGES)
        raise InvalidDefinition(list(findings)) from None
    if len(source) > MAX_DEFINITION_BYTES:
        raise _invalid("too-large", f"the definition is larger than {MAX_DEFINITION_BYTES} bytes")
    return model, source


def _invalid(code: str, detail: str) -> InvalidDefinition:
    return InvalidDefinition([Finding(code=code, pointer="", detail=detail)])


def _reject(findings: Sequence[Finding]) -> None:
    if findings:
        raise InvalidDefinition(findings)


def _describe_bad_header(header: str) -> str:
    if header.lower() in RESERVED_HEADERS:
        return f"the service itself sends {header}: leave it out"
    return f"{header!r} is not the name of a header: use letters, digits and -"


def _describe_bad_expression(error: ExpressionError | RecursionError) -> str:
    deep = "the expression nests too deep: divide it into two steps"
    return deep if isinstance(error, RecursionError) else str(error)


def _wait_for(model: WaitForModel | None) -> WaitFor | None:
    if model is None:
        return None
    on_timeout = OnTimeout(model.on_timeout)
    return WaitFor(signal=model.signal, timeout=model.timeout, on_timeout=on_timeout)


class _DefinitionParser:
    """The parser of one document: it parses the templates and collects the findings."""

    def __init__(self, model: DefinitionModel, document: Json) -> None:
        self.model, self.document = model, document
        self.findings: list[Finding] = []

    def steps(self) -> tuple[Step, ...]:
        self._reject_duplicate_names()
        after = self._after()
        certain_pivots = {
            step.name for step in self.model.steps if step.pivot and step.when is None
        }
        graph = StepGraph(after, certain_pivots)
        if not self.findings:
            self._reject_cycles(graph)
        return tuple(
            self._step(
                step, number, after[step.name], is_after_pivot=step.name in graph.after_pivot
            )
            for number, step in enumerate(self.model.steps)
        )

    def input_schema(self) -> InputSchema | None:
        """Compile the schema from the document: its numbers are exact, those of the models not."""
        schema = self.document.get("input") if isinstance(self.document, Mapping) else None
        if not isinstance(schema, Mapping):
            return None
        try:
            return InputSchema(schema)
        except SchemaError as error:
            for path, detail in error.errors.items():
                self._add_finding("bad-schema", ("input", *path), detail)
            return None

    def _reject_duplicate_names(self) -> None:
        names = [step.name for step in self.model.steps]
        for number, name in enumerate(names):
            if name in names[:number]:
                detail = f"there is another step {name!r}: rename one of them"
                self._add_finding("step-named-twice", ("steps", number, "name"), detail)

    def _after(self) -> dict[str, tuple[str, ...]]:
        """Return the steps that each step runs after: its `after`, else the step before it."""
        after: dict[str, tuple[str, ...]] = {}
        previous: tuple[str, ...] = ()
        for step in self.model.steps:
            after[step.name] = previous if step.after is None else tuple(dict.fromkeys(step.after))
            previous = (step.name,)
        for number, step in enumerate(self.model.steps):
            for unknown in (name for name in after[step.name] if name not in after):
                cure = did_you_mean(unknown, after) or ": correct the name"
                detail = f"there is no step {unknown!r}{cure}"
                self._add_finding("unknown-step", ("steps", number, "after"), detail)
        return after

    def _reject_cycles(self, graph: StepGraph) -> None:
        in_cycles = graph.in_cycles()
        for number, step in enumerate(self.model.steps):
            if step.name in in_cycles:
                detail = f"{step.name} never runs, because steps wait for each other: correct after"
                self._add_finding("circular-steps", ("steps", number, "after"), detail)

    def _step(
        self, model: StepModel, number: int, after: tuple[str, ...], *, is_after_pivot: bool
    ) -> Step:
        path: Path = ("steps", number)
        retry = AFTER_PIVOT_DEFAULT_RETRY if is_after_pivot else ACTION_DEFAULT_RETRY
        completion = Completion(model.completion) if model.completion else None
        return Step(
            name=model.name,
            after=after,
            participant=model.participant or "",
            action=self._action(model, retry, (*path, "action")),
            compensation=self._compensation(model.compensation, (*path, "compensation")),
            sleep=model.sleep,
            wait_for=_wait_for(model.wait_for),
            child=self._child(model.saga, (*path, "saga", "input")),
            pivot=model.pivot,
            undone_by=model.undone_by,
            has_effect=model.effect != "none" and (bool(model.action) or bool(model.saga)),
            compensate_on_reject=model.compensate_on_reject,
            output=self._output(model, (*path, "output")),
            when=self._when(model, (*path, "when")),
            status=self._status(model, retry, (*path, "status")),
            completion=completion,
            completion_timeout=model.completion_timeout,
        )

    def _action(self, model: StepModel, retry: RetryPolicy, path: Path) -> Call | None:
        return None if model.action is None else self._call(model.action, retry, path)

    def _child(self, model: ChildModel | None, path: Path) -> Child | None:
        if model is None:
            return None
        given = None if model.input is None else self._template(path)
        return Child(saga_type=model.type, version=model.version, input=given)

    def _call(self, model: CallModel, retry: RetryPolicy, path: Path) -> Call:
        return Call(
            method=model.method,
            path=self._text(model.path, (*path, "path")),
            body=self._body(model, path),
            headers=tuple(self._headers(model, (*path, "headers"))),
            timeout=model.timeout,
            retry=model.retry.override(retry),
        )

    def _compensation(self, model: CompensationModel | None, path: Path) -> Compensation | None:
        if model is None:
            return None
        call = self._call(model, COMPENSATION_DEFAULT_RETRY, path)
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

    def _status(self, model: StepModel, retry: RetryPolicy, path: Path) -> Call | None:
        if model.status is None or model.action is None:
            return None
        return Call(
            method=model.status.method,
            path=self._text(model.status.path, (*path, "path")),
            body=None,
            headers=tuple(self._headers(model.status, (*path, "headers"))),
            timeout=model.status.timeout,
            retry=model.action.retry.override(retry),
        )

    def _when(self, model: StepModel, path: Path) -> Expression | None:
        if model.when is None:
            return None
        condition = self._template(path)
        if condition is None or isinstance(condition, Expression):
            return condition
        detail = "a condition is one expression, ${...}, with nothing around it"
        meant = suggest_condition(model.when)
        cure = f": write {meant}" if meant else ""
        self._add_finding("bad-condition", path, f"{detail}{cure}")
        return None

    def _body(self, model: CallModel, path: Path) -> Template | None:
        if model.body is None:
            return None
        return self._template((*path, "body"))

    def _output(self, model: StepModel, path: Path) -> Template | None:
        if model.output is None:
            return None
        return self._template(path)

    def _headers(self, model: CallModel | StatusModel, path: Path) -> Iterator[tuple[str, Text]]:
        for name, value in model.headers.items():
            if not HEADER_NAME.fullmatch(name) or name.lower() in RESERVED_HEADERS:
                self._add_finding("bad-header", (*path, name), _describe_bad_header(name))
            yield name.lower(), self._text(value, (*path, name))

    def _text(self, text: str, path: Path) -> Text:
        try:
            return parse_text(text)
        except (ExpressionError, RecursionError) as error:
            self._add_finding("bad-expression", path, _describe_bad_expression(error))
            return Text(())

    def _template(self, path: Path) -> Template | None:
        """Parse from the document: the models have floats for its numbers."""
        try:
            source = get_path(path, self.document)
            return None if source is ABSENT else parse_template(source)
        except (ExpressionError, RecursionError) as error:
            self._add_finding("bad-expression", path, _describe_bad_expression(error))
            return None

    def _add_finding(self, code: str, path: Path, detail: str) -> None:
        self.findings.append(Finding(code=code, pointer=json_pointer(path), detail=detail))
