"""Commands on the read models."""

from __future__ import annotations

import asyncio

from ..settings import read_settings
from .frame import Command, CommandFailed, ExitCode, Output

STATUS_TABLE = "saga_status"


def rebuild(output: Output) -> ExitCode:
    import psycopg

    from .. import wiring  # loads all of the service

    try:
        events = asyncio.run(wiring.rebuild_projections(read_settings()))
    except psycopg.OperationalError as error:
        raise CommandFailed(
            ExitCode.UNREACHABLE, f"the connection to the database is lost: {error}"
        ) from error
    output.document(
        {"projection": STATUS_TABLE, "events": events},
        object_id=STATUS_TABLE,
        text=f"projected {events} events",
    )
    return ExitCode.OK


REBUILD = Command(
    path=("projections", "rebuild"),
    summary="Project the whole log into the status table again",
    help=(
        "Nodes may serve meanwhile. The data is one object: `projection`, the table, and"
        " `events`, the number of events that were projected."
    ),
    run=rebuild,
    exit_codes={
        ExitCode.USAGE: "a setting is wrong, or leads to no log",
        ExitCode.UNREACHABLE: "the database cannot be reached",
    },
)
