"""The statements that make a fresh connection the request's own, before its query runs.

Settings go in as one `SET`, with `readonly` in the same statement, so that there is no moment at
which a read-only request could change anything, and nothing is ever put back: the connection is
thrown away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.pool import MARKER_SETTING
from ..literals import quote_name, set_statement

if TYPE_CHECKING:
    from ..engine.connection import EngineConnection
    from ..request.query_request import QueryRequest


def prepare(connection: EngineConnection, request: QueryRequest, marker: str) -> None:
    """Give ``connection`` the request's database, settings, parameters and access.

    Raises:
        RuntimeError: The engine's words on an unknown database, setting or value.
    """
    if request.database:
        connection.query(f"USE {quote_name(request.database)}", "Null")
    values = dict(request.settings)
    values.update({f"param_{name}": value for name, value in request.parameters.items()})
    values[MARKER_SETTING] = marker
    values.setdefault("log_queries", "1")
    if request.user.readonly:
        values["readonly"] = "1"
    elif request.is_get and not request.in_session and values.get("readonly", "0") == "0":
        # The server allows GET to read only, and still lets it change its own settings.
        values["readonly"] = "2"
    connection.query(set_statement(values, request.literal_settings), "Null")
