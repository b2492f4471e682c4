"""The event log on PostgreSQL, and the connections, arrays and migrations that other rooms with
tables share with it."""

from .binary_arrays import (
    bool_array,
    int4_array,
    int8_array,
    jsonb_array,
    nullable_text_array,
    nullable_timestamptz_array,
    text_array,
    timestamptz_array,
    uuid_array,
)
from .connection import (
    NO_OWNER,
    VALUE_ERRORS,
    Connection,
    Connector,
    wait_until_readable,
    watchdog,
)
from .event_log import PostgresLog
from .migrations import MIGRATIONS, migrate
from .prepared_connection import PreparedConnection, open_prepared_connection
from .reader_pool import ReaderPool
from .refusals import Refusals, describe_error
from .requirements import require_suitable_database
from .statements import DatabaseMode, statement

__all__ = [
    "MIGRATIONS",
    "NO_OWNER",
    "VALUE_ERRORS",
    "Connection",
    "Connector",
    "DatabaseMode",
    "PostgresLog",
    "PreparedConnection",
    "ReaderPool",
    "Refusals",
    "bool_array",
    "describe_error",
    "int4_array",
    "int8_array",
    "jsonb_array",
    "migrate",
    "nullable_text_array",
    "nullable_timestamptz_array",
    "open_prepared_connection",
    "require_suitable_database",
    "statement",
    "text_array",
    "timestamptz_array",
    "uuid_array",
    "wait_until_readable",
    "watchdog",
]
