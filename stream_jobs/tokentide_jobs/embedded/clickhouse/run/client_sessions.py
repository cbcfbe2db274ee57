"""Sessions: `session_id` keeps SET, USE and temporary tables from one request to the next.

Most clients name a session and never use it (clickhouse-connect does by default), so a session
costs nothing until a statement leaves state behind; only then does it get a connection of its
own. Settings of a single request are put back after it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from ..access.statement import Statement
from ..engine.connection import EngineConnection
from ..exceptions import ClickHouseError
from ..literals import quote, quote_name, set_statement
from ..request.query_request import QueryRequest

if TYPE_CHECKING:
    from ..engine.pool import EngineJob

MAX_TIMEOUT_S: Final = 3600.0
"""The server's max_session_timeout."""


_CURRENT: Final = "SELECT name, value, changed FROM system.settings WHERE name IN"


@dataclass(slots=True)
class Session:
    """State that outlives a request.

    Attributes:
        connection: The session's own, once a statement needed one.
        expires_at_s: Monotonic time after which it is forgotten.
        holder: The request that runs in it.
    """

    connection: EngineConnection | None = None
    timeout_s: float = 60.0
    expires_at_s: float = 0.0
    holder: EngineJob | None = None


@dataclass(slots=True)
class Sessions:
    """All sessions by user and name."""

    by_key: dict[tuple[str, str], Session] = field(default_factory=dict)

    async def acquire(self, asked: QueryRequest, job: EngineJob) -> Session:
        """Lock the session a request names; it is created unless session_check forbids.

        A request that has its answer and only closes is waited for: its client may send the next
        one before the thread has put the session in order.

        Raises:
            ClickHouseError: 372 unknown, 373 in use, 374 timeout out of range.
        """
        if not 0 < asked.session_timeout_s <= MAX_TIMEOUT_S:
            raise ClickHouseError(
                374,
                f"Invalid session timeout '{asked.session_timeout_s:.0f}': "
                f"it must be between 1 and {MAX_TIMEOUT_S:.0f} seconds",
            )
        key = (asked.user.name, asked.session_id)
        while (session := self.by_key.get(key)) is not None and session.holder is not None:
            if not session.holder.is_closing:
                raise ClickHouseError(
                    373, f"Session {asked.session_id} is locked by a concurrent client"
                )
            await session.holder.closed()
        if session is None:
            if asked.session_check:
                raise ClickHouseError(372, f"Session {asked.session_id} not found")
            session = self.by_key[key] = Session()
        session.holder = job
        session.timeout_s = asked.session_timeout_s
        return session

    def release(self, asked: QueryRequest, session: Session) -> EngineConnection | None:
        """Unlock; returns the connection to close when the request ends the session."""
        session.holder = None
        session.expires_at_s = time.monotonic() + session.timeout_s
        if not asked.close_session:
            return None
        self.by_key.pop((asked.user.name, asked.session_id), None)
        return session.connection

    def expired(self, now_s: float) -> list[EngineConnection]:
        """Forget sessions past their time; returns the connections to close."""
        gone = [
            key for key, s in self.by_key.items() if s.holder is None and s.expires_at_s <= now_s
        ]
        sessions = [self.by_key.pop(key) for key in gone]
        return [s.connection for s in sessions if s.connection is not None]


def snapshot(
    connection: EngineConnection, asked: QueryRequest, statement: Statement
) -> Callable[[EngineConnection], None]:
    """Note the settings and database the request will change; returns what puts them back."""
    # The endpoint's own marker and log switch are set again by every request and need no undoing.
    rows: list[tuple[str, str, bool]] = []
    changing = {*asked.settings, *asked.forced_settings, *statement.settings}
    if changing:
        names = ", ".join(quote(name) for name in sorted(changing))
        data = connection.query(f"{_CURRENT} ({names})", "JSONCompactEachRow").bytes()
        rows = [tuple(json.loads(line)) for line in data.splitlines()]
    database = bytes(connection.query("SELECT currentDatabase()", "TSVRaw").bytes()).decode()[:-1]

    def restore(target: EngineConnection) -> None:
        if asked.database:
            target.query(f"USE {quote_name(database)}", "Null")
        changed = {name: value for name, value, is_changed in rows if is_changed}
        if changed:
            target.query(set_statement(changed), "Null")
        for name, _, is_changed in rows:
            if not is_changed:
                target.query(f"SET {name} = DEFAULT", "Null")

    return restore
