"""How a participant replies, call by call. README.md lists the replies that a script may have."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from saga_orchestrator.tests.blackbox.durations import seconds
from saga_orchestrator.tests.blackbox.json_values import Json

# A list of replies; or a list for each saga in turn, under `sagas`.
Script = Sequence[str] | Mapping[str, Sequence[Sequence[str]]]
UNREADABLE = {"GARBAGE", "BIG", "DRIP"}
REPLY = re.compile(
    r"(?:(?P<hold>HOLD) |LATE\((?P<delay>\w+)\) )?"
    r"(?P<kind>[A-Z]+|\d{3})(?P<effect>[+-])?"
    r"(?P<headers>(?: [\w-]+=\S+)*)"
    r"(?: (?!KILL$)(?P<body>.+?))?"
    r"(?P<kill> KILL)?"
)


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    """One entry of a script: what to reply, when, and whether the call takes effect."""

    kind: str  # a status, or TO RST CONN GARBAGE BIG DRIP KILL
    is_held: bool
    delay_seconds: float
    takes_effect: bool
    headers: Mapping[str, str]
    body: str | None
    kills_afterwards: bool  # the orchestrator, once the reply is sent

    @classmethod
    def parse(cls, text: str) -> ScriptedReply:
        """Read one entry. Raises ValueError if it is none."""
        if (parts := REPLY.fullmatch(text)) is None:
            raise ValueError(f"{text!r} is not a reply")
        usual = parts["kind"] in UNREADABLE or parts["kind"].startswith("2")
        return cls(
            kind=parts["kind"],
            is_held=parts["hold"] is not None,
            delay_seconds=seconds(parts["delay"] or 0),
            takes_effect=parts["effect"] == "+" or (usual and parts["effect"] is None),
            headers=_parse_headers(parts["headers"]),
            body=parts["body"],
            kills_afterwards=parts["kill"] is not None,
        )


def _parse_headers(text: str) -> dict[str, str]:
    """Read `name=value` pairs; a blank in a value is written `%20`."""
    pairs = (pair.split("=", 1) for pair in text.split())
    return {name: unquote(value) for name, value in pairs}


def parse_script(written: Json) -> Script:
    """Read one reply, a list of replies, or a list for each saga in turn."""
    script: Script
    match written:
        case {"sagas": lists}:
            script = {"sagas": [[str(text) for text in replies] for replies in lists]}
        case list():
            script = [str(text) for text in written]
        case _:
            script = [str(written)]
    for text in replies_of(script):
        ScriptedReply.parse(text)
    return script


def replies_of(script: Script) -> Iterator[str]:
    """Yield every reply of a script."""
    for replies in script["sagas"] if isinstance(script, Mapping) else (script,):
        yield from replies


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A path of a participant, with the label that scripts and ledger know it by."""

    participant: str
    method: str
    path: re.Pattern[str]
    label: str

    @classmethod
    def from_template(cls, participant: str, method: str, template: str) -> Endpoint:
        """Label `/orders/${...}/confirm` as `orders.confirm`."""
        pieces = re.split(r"\$\{[^}]*\}", template)
        words = [word for piece in pieces for word in piece.split("/") if word]
        path = re.compile("[^/]+".join(map(re.escape, pieces)))
        return cls(participant, method, path, ".".join(words))
