"""The statements that make a connection the request's own, before its query runs.

Settings and parameters come first, then the statement's own SETTINGS clause, then what the endpoint
insists on, and `readonly` last and alone: nothing that a request can name or quote stands in the
same statement. The engine is asked whether the connection is read-only before anything runs on it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from ..access.policy import carries_expressions
from ..engine.pool import MARKER_SETTING
from ..exceptions import ClickHouseError
from ..literals import quote_name, set_statement

if TYPE_CHECKING:
    from ..access.inspector import Inspector
    from ..access.statement import Statement
    from ..engine.connection import EngineConnection
    from ..request.query_request import QueryRequest

_EXPRESSIONS: Final = (
    "SELECT arrayJoin(arrayConcat(mapValues(getSetting('additional_table_filters')), "
    "[getSetting('additional_result_filter')]))"
)


def prepare(
    connection: EngineConnection,
    request: QueryRequest,
    statement: Statement,
    marker: str,
    inspector: Inspector,
) -> None:
    """Give ``connection`` the request's database, settings, parameters and access.

    Raises:
        RuntimeError: The engine's words on an unknown database, setting or value.
        ClickHouseError: 497 when the connection is not as read-only as it must be, and what the
            inspector says of expressions in settings.
    """
    if request.database:
        connection.query(f"USE {quote_name(request.database)}", "Null")
    values = dict(request.settings)
    values.update({f"param_{name}": value for name, value in request.parameters.items()})
    values.setdefault("log_queries", "1")
    connection.query(set_statement(values), "Null")
    if statement.settings:
        clause = ", ".join(f"{name} = {value}" for name, value in statement.settings.items())
        connection.query(f"SET {clause}".encode(errors="surrogateescape"), "Null")
    if any(carries_expressions(name) for name in {*values, *statement.settings}):
        _check_expressions(connection, inspector)
    forced = {MARKER_SETTING: marker, **request.forced_settings}
    connection.query(set_statement(forced), "Null")
    if request.readonly:
        connection.query(f"SET readonly = {request.readonly}", "Null")
        found = bytes(connection.query("SELECT getSetting('readonly')", "TSVRaw").bytes())
        if found != b"%d\n" % request.readonly:
            raise ClickHouseError(497, "Not enough privileges: the connection is not read-only")


def _check_expressions(connection: EngineConnection, inspector: Inspector) -> None:
    # The engine has parsed the value; only its own reading of it is worth checking.
    listed = bytes(connection.query(_EXPRESSIONS, "JSONCompactEachRow").bytes())
    for line in listed.splitlines():
        (expression,) = json.loads(line)
        if expression:
            inspector.check_expression(expression)
