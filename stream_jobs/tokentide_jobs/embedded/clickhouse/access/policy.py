"""What is refused before the engine sees it.

The engine was made for one trusted process: it runs clauses the server keeps to its command line,
and its read-only mode leaves a few doors open (stopping other people's queries, reading any file
with the scalar function `file`). Those are closed here; everything else is the engine's own
enforcement.
"""

from __future__ import annotations

from typing import Final

from ..exceptions import ClickHouseError
from .accounts import User
from .sql_text import Statement

_READING: Final = frozenset(
    {b"SELECT", b"WITH", b"FROM", b"SHOW", b"DESCRIBE", b"DESC", b"EXPLAIN", b"EXISTS"}
    | {b"SET", b"USE", b"VALUES"}
)
"""First words a read-only user may begin a statement with."""

_FILE_READERS: Final = frozenset({b"FILE", b"CATBOOSTEVALUATE"})
"""Scalar functions that read files; the engine allows them in read-only mode."""

_OF_THE_WHEEL: Final = b"PYTHON"
"""A table function that reads variables of this process; no server has it."""

_STOPS_THE_SERVER: Final = frozenset({b"SHUTDOWN", b"KILL", b"SUSPEND"})


def check(statement: Statement, user: User, *, only_reads: bool) -> dict[str, str]:
    """Refuse what neither a server nor this endpoint runs for this user.

    Args:
        statement: What is to run; a SETTINGS clause the user may use is taken out of it.
        user: Who asks.
        only_reads: True when the request may only read, whoever asks.

    Returns:
        The settings taken out, values as SQL literals.

    Raises:
        ClickHouseError: 62 for what is no statement of the HTTP interface, 164 for what a read-only
            user may not do, 48 for what would end the process.
    """
    if statement.statements == 0:
        raise ClickHouseError(62, "Syntax error: Empty query")
    if statement.statements > 1:
        raise ClickHouseError(62, "Syntax error (Multi-statements are not allowed)")
    for first, second in ((b"INTO", b"OUTFILE"), (b"FROM", b"INFILE")):
        if (first, second) in statement.pairs:
            clause = f"{first.decode()} {second.decode()}"
            raise ClickHouseError(62, f"{clause} is a clause of the command-line client only")
    if statement.keyword == b"SYSTEM" and statement.words & _STOPS_THE_SERVER:
        raise ClickHouseError(
            48, "The embedded ClickHouse is stopped by ending its process, not by a statement"
        )
    if _OF_THE_WHEEL in statement.calls:
        raise ClickHouseError(46, "Unknown table function Python")
    if user.readonly or only_reads:
        _check_readonly(statement, user.name)
    return _lift_settings(statement, user) if user.readonly else {}


def _check_readonly(statement: Statement, user: str) -> None:
    reads_files = statement.calls & _FILE_READERS
    describes_source = statement.keyword in (b"DESCRIBE", b"DESC") and statement.calls
    if statement.keyword not in _READING or reads_files or describes_source:
        raise ClickHouseError(164, f"{user}: Cannot execute query in readonly mode.")


def _lift_settings(statement: Statement, user: User) -> dict[str, str]:
    """Move a SETTINGS clause a read-only user may use out of the SQL.

    The engine refuses every setting on a read-only connection; those that bound the user's own
    query are therefore set before it becomes read-only (on a server: CHANGEABLE_IN_READONLY).
    """
    if statement.settings is None:
        return {}
    start, end, values = statement.settings
    if not all(user.may_set(name) for name in values):
        return {}
    statement.sql = statement.sql[:start] + statement.sql[end:]
    return values
