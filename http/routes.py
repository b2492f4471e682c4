"""Every route, once: the server is built from this table, and so is `/openapi.json`."""

from __future__ import annotations

from typing import Final

from .definition_routes import DEFINITION_ROUTES
from .operator_routes import OPERATOR_ROUTES
from .overview_routes import OVERVIEW_ROUTES
from .saga_routes import SAGA_ROUTES
from .service_routes import SERVICE_ROUTES

ROUTES: Final = (
    *SAGA_ROUTES,
    *OPERATOR_ROUTES,
    *OVERVIEW_ROUTES,
    *DEFINITION_ROUTES,
    *SERVICE_ROUTES,
)
