"""How the application is served: by uvicorn, over connections with limits."""

from __future__ import annotations

from typing import Final

import uvicorn
from starlette.types import ASGIApp

from .limited_connection import LimitedConnection
from .open_connections import most_connections

# An idle connection must be let go by its client, not by us: what is sent while we hang up is lost.
# Pools of clients keep one for 5 to 60 seconds; uvicorn's own 5 are just those of httpx.
KEEP_ALIVE_SECONDS: Final = 75
# Connections that the system takes in advance: the event loop accepts all of them at once, before
# any limit is looked at, so they must be fewer than the descriptors that are left.
LARGEST_BACKLOG: Final = 2048


def server_of(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=LimitedConnection,
        backlog=min(LARGEST_BACKLOG, most_connections() // 4),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody asks for the client's address
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=5,  # seconds; starts that wait are answered at the signal
    )
    return uvicorn.Server(config)
