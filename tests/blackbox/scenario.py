"""Scenarios as data: reading a file, and writing out the shorthand of its definitions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field

from saga_orchestrator.tests.blackbox.json_values import Json
from saga_orchestrator.tests.blackbox.script import Endpoint, Script, parse_script, replies_of

DEFAULT_CALL = {
    "method": "POST",
    "timeout": "2s",
    "retry": {"attempts": 3, "first": "50ms", "factor": 2, "cap": "200ms"},
}
KILLING_ACTIONS = {"kill", "terminate"}
ISOLATED_ACTIONS = {"database", "freeze"}
WEBHOOK_PARTICIPANT = "p0"


@dataclass(slots=True)
class Scenario:
    """One entry of a scenario file."""

    id: str
    title: str
    source: str
    definitions: list[dict[str, Json]] = field(default_factory=list)
    script: dict[str, Script] = field(default_factory=dict)
    do: list[Json] = field(default_factory=lambda: ["start"])
    expect: dict[str, Json] = field(default_factory=dict)
    nodes: int = 1
    services: list[str] = field(default_factory=list)  # participants outside of the definitions
    settings: dict[str, str] = field(default_factory=dict)  # of the orchestrator
    participants_file: dict[str, Json] = field(default_factory=dict)  # without the URLs
    stale_owner: bool = False  # a node wakes after another one has taken its shards over
    area: str = ""  # the name of its file
    ports: dict[str, int] = field(default_factory=dict)
    is_from_beside: bool = False  # from the folder beside the checkout
    is_isolated: bool = False  # its definitions would collide with those of another scenario

    @property
    def steps(self) -> list[dict[str, Json]]:
        return [step for definition in self.definitions for step in definition["steps"]]

    @property
    def participants(self) -> list[str]:
        """The names in the scenario; `p0` always exists, for webhooks."""
        named = [step["participant"] for step in self.steps if "participant" in step]
        return list(dict.fromkeys([WEBHOOK_PARTICIPANT, *self.services, *named]))

    def registered_name(self, participant: str) -> str:
        """Return the name at the orchestrator, where every scenario has its own participants."""
        own_name = f"{self.id.lower()}{participant}-service"
        return participant if participant.endswith("-service") else own_name

    @property
    def environment(self) -> dict[str, str]:
        """Settings of the orchestrator: its own, and the base URLs of the participants."""
        urls = {}
        for participant, port in self.ports.items():
            name = self.registered_name(participant).removesuffix("-service")
            variable = f"{name.replace('-', '_').upper()}_SERVICE_URL"
            urls[variable] = f"http://127.0.0.1:{port}"
        return {**urls, **self.settings}

    @property
    def registered_participants_file(self) -> dict[str, Json]:
        """The participants file, by the names at the orchestrator."""
        return {self.registered_name(name): entry for name, entry in self.participants_file.items()}

    @property
    def action_names(self) -> set[str]:
        return {action if isinstance(action, str) else next(iter(action)) for action in self.do}

    @property
    def kills_nodes(self) -> bool:
        replies = [text for script in self.script.values() for text in replies_of(script)]
        return bool(KILLING_ACTIONS & self.action_names) or any("KILL" in text for text in replies)

    @property
    def needs_own_installation(self) -> bool:
        has_shared_names = any(name.endswith("-service") for name in self.participants)
        is_configured = bool(self.settings or self.participants_file)
        is_isolated = self.is_isolated or bool(ISOLATED_ACTIONS & self.action_names)
        return self.nodes > 1 or has_shared_names or is_configured or is_isolated

    @property
    def needs_database_server(self) -> bool:
        return self.nodes > 1 or "database" in self.action_names

    @property
    def endpoints(self) -> list[Endpoint]:
        return [endpoint for step in self.steps for endpoint in _endpoints_of(step)]

    def unique_definitions(self, suffix: str) -> tuple[list[dict[str, Json]], dict[str, str]]:
        """Return the definitions under names that only this run uses, and those names."""
        names = {
            each["saga"]: f"{each['saga']}_{self.id.lower()}_{suffix}" for each in self.definitions
        }
        definitions = deepcopy(self.definitions)
        for definition in definitions:
            definition["saga"] = names[definition["saga"]]
            for step in definition["steps"]:
                if "participant" in step:
                    step["participant"] = self.registered_name(step["participant"])
                if isinstance(child := step.get("saga"), dict):
                    child["type"] = names.get(child["type"], child["type"])
        return definitions, names


def parse_scenario(entry: Mapping[str, Json], area: str) -> Scenario:
    """Read one entry of the scenario file `area`."""
    fields = dict(entry)
    defaults = fields.pop("defaults", {})
    single = [fields.pop("definition")] if "definition" in fields else []
    written = fields.get("definitions", single)
    fields["definitions"] = [_write_out_definition(each, defaults) for each in written]
    scripts = fields.get("script", {})
    fields["script"] = {label: parse_script(script) for label, script in scripts.items()}
    return Scenario(**fields, area=area)


def _write_out_definition(short: Json, defaults: Mapping[str, Json]) -> dict[str, Json]:
    """Write out a list of steps, or a mapping with `steps` in it."""
    written = {"steps": short} if isinstance(short, list) else short
    steps = [_write_out_step(step, defaults) for step in written["steps"]]
    return {"saga": "flow", "version": 1, **written, "steps": steps}


def _write_out_step(short: Json, defaults: Mapping[str, Json]) -> dict[str, Json]:
    """Write out `a1/c1` or `a1/c1: {more}`; a step with a name is complete."""
    if isinstance(short, dict) and "name" in short:
        return short
    text, more = next(iter(short.items())) if isinstance(short, dict) else (short, {})
    action, compensation = text.split("/")
    number = int(re.sub(r"\D", "", action))
    body = f"${{input.step_data[{number - 1}] || `null`}}"
    step: dict[str, Json] = {
        "name": f"s{number}",
        "participant": f"p{number}",
        "action": {**DEFAULT_CALL, "path": f"/{action}", "body": body},
    }
    if compensation != "-":
        step["compensation"] = {**DEFAULT_CALL, "path": f"/{compensation}"}
    usable = {side: options for side, options in defaults.items() if side in step}
    return _merge(_merge(step, usable), more)


def _merge(base: Mapping[str, Json], more: Mapping[str, Json]) -> dict[str, Json]:
    """Return `base` with `more` on top, mapping by mapping; null removes a member."""
    both = {**base, **more}
    for name in base.keys() & more.keys():
        if isinstance(base[name], Mapping) and isinstance(more[name], Mapping):
            both[name] = _merge(base[name], more[name])
    return {name: value for name, value in both.items() if value is not None}


def _endpoints_of(step: Mapping[str, Json]) -> Iterator[Endpoint]:
    for side, method in (("action", "POST"), ("compensation", "POST"), ("status", "GET")):
        if call := step.get(side):
            yield Endpoint.from_template(
                step["participant"], call.get("method", method), call["path"]
            )
