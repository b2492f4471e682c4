"""The README tells the truth, and all of it. The blocks that need a service run in
tests/acceptance/test_readme_clients.py."""

from __future__ import annotations

import re

from saga_orchestrator import cli
from saga_orchestrator.fsm.definitions.input_check import check_input
from saga_orchestrator.fsm.definitions.parser import parse_definition
from saga_orchestrator.fsm.definitions.verifier import verify
from saga_orchestrator.fsm.definitions.verifier.inputs import check_input_is_declared
from saga_orchestrator.fsm.formats.strict_yaml import parse_yaml
from saga_orchestrator.http.app import ROUTES
from saga_orchestrator.http.participants.config import read_participants_config
from saga_orchestrator.http.wire.requests import StartRequest
from saga_orchestrator.settings import DEFAULT_PARTICIPANTS, SERVICE_URL, Settings
from saga_orchestrator.tests.docs.markdown import ROOT, document, quoted_in

README = document("README.md")
REQUEST = re.compile(r"(GET|POST|PUT|DELETE|PATCH) (/[^ ?]*)")
MAKE = re.compile(r"^make (\w+)", re.MULTILINE)


def test_the_definition_is_registered_without_a_finding() -> None:
    block, _ = README.blocks("yaml")

    definition = parse_definition(parse_yaml(block))

    assert f"PUT /definitions/{definition.name}/{definition.version}" in README.quoted()
    assert [*verify(definition), *check_input_is_declared(definition)] == []


def test_the_start_fits_the_definition() -> None:
    definition = parse_definition(parse_yaml(README.blocks("yaml")[0]))

    start = StartRequest.model_validate_json(README.blocks("json")[0])

    assert start.saga_type == definition.name
    check_input(definition, start.to_input(None).input)


def test_the_participants_file_is_read_as_it_stands() -> None:
    _, block = README.blocks("yaml")

    directory = read_participants_config(block, {}, lambda name: f"the value of {name}")

    assert directory.urls == {"bank-service": "https://bank.example/api"}


def test_the_settings_are_those_that_the_service_reads() -> None:
    read = {name.upper() for name in Settings.model_fields} - {"SAGA_PARTICIPANTS"}
    documented = {name for row in README.table("variable") for name in quoted_in(row[0])}
    participants = {name for name in documented if name.endswith("_SERVICE_URL")}

    assert documented - participants == read
    assert participants == {*map(participant_setting, DEFAULT_PARTICIPANTS), "<NAME>_SERVICE_URL"}


def test_the_defaults_are_those_of_the_settings() -> None:
    documented = {
        name: row[1].strip("`") for row in README.table("variable") for name in quoted_in(row[0])
    }

    for name, field in Settings.model_fields.items():
        if name != "saga_participants":
            assert documented[name.upper()] == in_words(field.default), name


def test_the_requests_exist() -> None:
    named = [REQUEST.fullmatch(quoted.split("?")[0]) for quoted in README.quoted()]
    requests = {(match[1], match[2]) for match in named if match}
    routes = [(route.method, re.sub(r"\{\w+\}", "[^/]+", route.path)) for route in ROUTES]

    assert len(requests) >= 7
    for method, path in requests:
        assert any(method == verb and re.fullmatch(route, path) for verb, route in routes), path


def test_the_commands_are_those_of_the_command_line() -> None:
    documented = {
        " ".join(words[1:]) for quoted in README.quoted() if (words := quoted.split())[0] == "saga"
    }

    for name in [command.name for command in cli.COMMANDS]:
        assert any(named == name or named.startswith(f"{name} ") for named in documented), name


def test_the_targets_of_make_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(MAKE.findall("\n".join(README.blocks("sh"))))

    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets), targets


def test_documents_linked_in_the_readme_exist() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README.text)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def participant_setting(name: str) -> str:
    setting = f"{name.removesuffix('-service').replace('-', '_').upper()}_SERVICE_URL"
    assert SERVICE_URL.fullmatch(setting)
    return setting


def in_words(default: object) -> str:
    match default:
        case None | ():
            return "none"
        case bool():
            return str(default).lower()
        case (first, *_, last):
            return f"{first}-{last}"
        case _ if hasattr(default, "total_seconds"):
            return f"{default.total_seconds():.0f}s"
        case _:
            return str(default)
