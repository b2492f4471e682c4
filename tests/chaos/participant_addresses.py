"""The names and addresses of participants.

Each participant has a name that leads to one of two addresses. Behind both is the recording proxy,
but only the current one accepts connections.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from saga_orchestrator.tests.acceptance.process import free_port
from saga_orchestrator.tests.support.tcp_proxy import TcpProxy

LOOPBACK_ADDRESSES: Final = ("127.0.0.1", "127.0.0.2")
NAME_SERVICE: Final = Path(__file__).with_name("name_service")


class ParticipantAddresses:
    """`target_port` is that of the recording proxy; names are in a file that nodes read."""

    def __init__(self, folder: Path, target_port: int, participants: Sequence[str]) -> None:
        self.file = folder / "names.json"
        self.ports = {participant: free_port() for participant in participants}
        self.proxies = {
            participant: {
                address: TcpProxy(target_port, address, port) for address in LOOPBACK_ADDRESSES
            }
            for participant, port in self.ports.items()
        }
        self.current_address = dict.fromkeys(participants, LOOPBACK_ADDRESSES[0])
        self._resolved: dict[str, Sequence[str] | None] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        with ExitStack() as stack:
            for proxies in self.proxies.values():
                for address, proxy in proxies.items():
                    proxy.refuses = address != LOOPBACK_ADDRESSES[0]
                    stack.enter_context(proxy.running())
            self._write()
            yield

    def url(self, participant: str) -> str:
        return f"http://{_name(participant)}:{self.ports[participant]}"

    def environ(self) -> Mapping[str, str]:
        """Return the environment of a process that looks these names up."""
        path = os.pathsep.join(filter(None, [str(NAME_SERVICE), os.environ.get("PYTHONPATH")]))
        return {"PYTHONPATH": path, "NAMES_FILE": str(self.file)}

    def resolve_to(self, participant: str, *addresses: str) -> None:
        """Let the name of a participant lead to other addresses."""
        self._resolved[participant] = addresses
        self._write()

    def resolve_correctly(self, participant: str) -> None:
        self.resolve_to(participant, self.current_address[participant])

    def silence(self, participant: str) -> None:
        """Let the name server not answer for a participant."""
        self._resolved[participant] = None
        self._write()

    def move(self, participant: str) -> None:
        """Move to the other address; the old one resets its connections and refuses new ones."""
        current = self.current_address[participant]
        (new,) = (address for address in LOOPBACK_ADDRESSES if address != current)
        proxies = self.proxies[participant]
        proxies[new].refuses = False
        self.current_address[participant] = new
        self.resolve_correctly(participant)
        proxies[current].refuses = True
        proxies[current].reset()

    def _write(self) -> None:
        """Replace the file at once, since a node may read it at any moment."""
        names = {
            _name(participant): self._resolved.get(participant, [current])
            for participant, current in self.current_address.items()
        }
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps(names))
        draft.replace(self.file)


def _name(participant: str) -> str:
    return f"{participant}.test"
