"""The command that serves."""

from __future__ import annotations

from .frame import Command, ExitCode, Output


def serve(output: Output) -> ExitCode:
    """Serve until stopped. The server ends the process itself if it cannot start or fails."""
    from .. import server  # loads the whole service, which no other command needs

    server.main()
    return ExitCode.OK


SERVE = Command(
    path=("serve",),
    summary="Serve in the foreground until SIGTERM",
    help=(
        "Settings are in the environment. At a stop, calls in flight finish first; sagas continue"
        " at another node or at the next start."
    ),
    run=serve,
    has_output=False,
    exit_codes={
        ExitCode.OK: "the service was stopped by SIGINT; after SIGTERM shells report 143",
        ExitCode.INTERNAL: "a setting is wrong, or a part of the service failed while it served",
        ExitCode.USAGE: "a wrong argument",
        ExitCode.NOT_FOUND: "the service could not start, for example without its database",
    },
)
