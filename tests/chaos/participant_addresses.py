"""Where each participant lives: a name, two addresses of which it lives at one, and ways from both
to the relay."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from saga_orchestrator.tests.acceptance.process import free_port
from saga_orchestrator.tests.chaos.wire import Wire

LOOPBACK_ADDRESSES: Final = ("127.0.0.1", "127.0.0.2")
NAME_SERVICE: Final = Path(__file__).with_name("name_service")


class ParticipantAddresses:
    """The names that nodes call participants by, in the file that their name service reads."""

    def __init__(self, folder: Path, relay_port: int, participants: Sequence[str]) -> None:
        self.file = folder / "names.json"
        self.ports = {one: free_port() for one in participants}
        self.proxies = {
            one: {home: Wire(relay_port) for home in LOOPBACK_ADDRESSES} for one in participants
        }
        self.current_address = dict.fromkeys(participants, LOOPBACK_ADDRESSES[0])
        self._leads_to: dict[str, Sequence[str] | None] = {}

    async def open(self) -> None:
        for participant, doors in self.proxies.items():
            for home, wire in doors.items():
                wire.refuses = home != LOOPBACK_ADDRESSES[0]
                await wire.lay(home, self.ports[participant])
        self._write()

    async def close(self) -> None:
        for doors in self.proxies.values():
            for wire in doors.values():
                await wire.close()

    def url(self, participant: str) -> str:
        return f"http://{_name(participant)}:{self.ports[participant]}"

    def environ(self) -> Mapping[str, str]:
        """Of a process that looks these names up."""
        path = os.pathsep.join(filter(None, [str(NAME_SERVICE), os.environ.get("PYTHONPATH")]))
        return {"PYTHONPATH": path, "NAMES_FILE": str(self.file)}

    def resolve_to(self, participant: str, *addresses: str) -> None:
        self._leads_to[participant] = addresses
        self._write()

    def resolve_correctly(self, participant: str) -> None:
        self.resolve_to(participant, self.current_address[participant])

    def silence(self, participant: str) -> None:
        """Its name server is silent."""
        self._leads_to[participant] = None
        self._write()

    def move(self, participant: str) -> None:
        """Nobody lives at the old address any more, and its connections end."""
        (new,) = (home for home in LOOPBACK_ADDRESSES if home != self.current_address[participant])
        old = self.proxies[participant][self.current_address[participant]]
        self.proxies[participant][new].refuses = False
        self.current_address[participant] = new
        self.resolve_correctly(participant)
        old.refuses = True
        old.cut()

    def _write(self) -> None:
        """At once, since it may be read in any moment."""
        names = {
            _name(one): self._leads_to.get(one, [self.current_address[one]]) for one in self.proxies
        }
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps(names))
        draft.replace(self.file)


def _name(participant: str) -> str:
    return f"{participant}.test"
