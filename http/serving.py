"""How the application is served: uvicorn, on the fastest loop and parser there are."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp


def server_of(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nobody asks for the client's address
        timeout_graceful_shutdown=5,  # seconds; starts that wait are answered at the signal
    )
    return uvicorn.Server(config)
