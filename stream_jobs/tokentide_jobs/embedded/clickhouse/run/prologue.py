"""The statements that make a connection the request's own, before its query runs.

External data comes first, settings and parameters follow, then the statement's own SETTINGS clause,
what the endpoint insists on, and `readonly` last and alone: nothing that a request can name or
quote stands in the same statement. The engine must refuse to unset it before anything runs on the
connection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ..engine.pool import MARKER_SETTING
from ..exceptions import ENGINE_ERRORS, ClickHouseError, from_engine
from ..literals import quote_name, set_statement

if TYPE_CHECKING:
    from ..access.statement import Statement
    from ..engine.connection import EngineConnection
    from ..request.query_request import QueryRequest
    from .external_tables import ExternalTables

_READONLY: Final = 164


def prepare(
    connection: EngineConnection,
    request: QueryRequest,
    statement: Statement,
    marker: str,
    external: ExternalTables,
) -> None:
    """Give ``connection`` the request's tables, database, settings, parameters and access.

    Raises:
        ENGINE_ERRORS: The engine's words on an unknown database, setting or value.
        ClickHouseError: 497 when the connection is not as read-only as it must be.
    """
    external.load(connection, request.settings)
    if request.database:
        connection.query(f"USE {quote_name(request.database)}", "Null")
    values = dict(request.settings)
    values.update({f"param_{name}": value for name, value in request.parameters.items()})
    values.setdefault("log_queries", "1")
    connection.query(set_statement(values), "Null")
    if statement.settings:
        clause = ", ".join(f"{name} = {value}" for name, value in statement.settings.items())
        connection.query(f"SET {clause}".encode(errors="surrogateescape"), "Null")
    forced = {MARKER_SETTING: marker, **request.forced_settings}
    connection.query(set_statement(forced), "Null")
    if request.readonly:
        connection.query(f"SET readonly = {request.readonly}", "Null")
        _check_readonly(connection)


def _check_readonly(connection: EngineConnection) -> None:
    """See the engine refuse to take `readonly` back: a SELECT of it could be filtered away."""
    try:
        connection.query("SET readonly = 0", "Null")
    except ENGINE_ERRORS as exc:
        if from_engine(exc).code == _READONLY:
            return
        raise
    raise ClickHouseError(497, "Not enough privileges: the connection is not read-only")
