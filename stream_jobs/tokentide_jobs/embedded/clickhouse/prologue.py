"""The statements that make a fresh connection the request's own, before its query runs.

Settings go in as one `SET`, with `readonly` in the same statement, so that there is no moment at which
a read-only request could change anything, and nothing is ever put back: the connection is thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .pool import MARKER_SETTING

if TYPE_CHECKING:
    from chdb._chdb import connect as EngineConnection

    from .requests import QueryRequest


def quote(text: str) -> str:
    """A ClickHouse string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    return f"'{escaped}'"


def quote_name(name: str) -> str:
    """A ClickHouse identifier in backticks."""
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def set_statement(values: Mapping[str, str]) -> str:
    """`SET a = 'x', b = 'y'`; the engine reads every setting from its text form."""
    return "SET " + ", ".join(f"{name} = {quote(value)}" for name, value in values.items())


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
    elif request.is_get and values.get("readonly", "0") == "0":
        # The server allows GET to read only, and still lets it change its own settings.
        values["readonly"] = "2"
    connection.query(set_statement(values), "Null")
