"""The queries that run now, by the id their client gave them.

The engine gives queries ids of its own, so `KILL QUERY WHERE query_id = '...'` with the client's
id would find nothing: the client's id is the query's marker, and such a statement is translated
before it runs.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import quote as url_quote

from ..access.outline import unescape
from ..access.statement import Statement
from ..engine.connection import EngineConnection
from ..engine.pool import MARKER_SETTING
from ..exceptions import ClickHouseError
from ..literals import quote

_ENGINE_ID: Final = f"SELECT query_id FROM system.processes WHERE Settings['{MARKER_SETTING}'] = "  # noqa: S608  # a constant of this program, completed by a quoted literal

_STRING = re.compile(r"'\0*'")


class RunningQueries:
    """Ids of the queries in progress, each at most once, and the marker each one carries."""

    def __init__(self) -> None:
        self._markers: dict[str, str] = {}
        self._serial = itertools.count(1)

    @contextmanager
    def entered(self, query_id: str, account: str) -> Iterator[str]:
        """Hold ``query_id`` while the block runs and give the query's marker.

        The marker is the id, a number and who asks, percent-encoded. The number is there because a
        client that lost its connection may send the same id again while its first query is still
        being stopped, and must not be stopped with it.

        Raises:
            ClickHouseError: 216 when a query with this id runs already.
        """
        if query_id in self._markers:
            raise ClickHouseError(216, f"Query with id = {query_id} is already running.")
        self._markers[query_id] = f"{query_id}#{next(self._serial)}#{url_quote(account, safe='')}"
        try:
            yield self._markers[query_id]
        finally:
            del self._markers[query_id]

    def translate_kill(self, statement: Statement, connection: EngineConnection) -> str:
        """Replace the ids of running queries in a KILL statement by the engine's."""
        sql, blanked = statement.sql, statement.outline
        for literal in reversed(list(_STRING.finditer(blanked))):
            marker = self._markers.get(unescape(sql[literal.start() : literal.end()]))
            if marker is None:
                continue
            lookup = _ENGINE_ID + quote(marker)
            found = connection.query(lookup, "TSVRaw").bytes().decode().strip()
            if found:
                sql = sql[: literal.start()] + quote(found) + sql[literal.end() :]
        return sql
