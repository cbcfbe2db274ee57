"""Migrated databases of the shared server, lent to one module or test after the other.

To migrate costs more than a second, to empty all tables a tenth of that. One database waits for the
next who asks: the engine keeps some 45 MB for the tables of each. Where tables or views were
changed, those are made again, by the statements that the engine gave of them when they were new;
where no test waits, a database is made by all of these statements.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError

from tokentide_jobs.core.tables import SCHEMA_DEFINITIONS, SCHEMA_MIGRATIONS
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.schema.migrations import migrate

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["drop_waiting_database", "learn_form", "migrated"]

Schema = Mapping[str, str]
"""The statement that would create each table and view, by name; `_NAME` is that of the database."""
_NAME = "${database}"


@dataclass(frozen=True, slots=True)
class _Form:
    """What migrations make of an empty database."""

    schema: Schema
    recorded: Mapping[str, tuple[Sequence[str], Sequence[Sequence[Any]]]]
    """Columns and rows of the tables in which migrations record what they did."""


_forms: dict[str, _Form] = {}
"""By server."""
_waiting: dict[str, str] = {}
"""By server, the name of one that is empty and as its migrations made it."""
_numbers = itertools.count(1)


@contextmanager
def migrated(server: str) -> Iterator[ClickHouse]:
    """Lend a store on a migrated database without rows; its name is in `store.database`."""
    with clickhouse_connect.get_client(dsn=server, autogenerate_session_id=False) as admin:
        name = _waiting.pop(server, None) or _made(admin, server)
        store = ClickHouse(server, name)
        try:
            yield store
        finally:
            store.close()
            if server in _waiting:
                _drop(admin, name)
            else:
                _restore(admin, name, _forms[server])
                _waiting[server] = name


def learn_form(server: str, database: str) -> None:
    """Make databases of a server like one that it has, which is dropped: none is migrated again."""
    with clickhouse_connect.get_client(dsn=server, autogenerate_session_id=False) as admin:
        _forms[server] = _form_of(admin, database)
        _drop(admin, database)


def drop_waiting_database(server: str) -> None:
    """Drop the one that waits, and forget the server."""
    _forms.pop(server, None)
    if waiting := _waiting.pop(server, None):
        with clickhouse_connect.get_client(dsn=server, autogenerate_session_id=False) as admin:
            _drop(admin, waiting)


def _drop(admin: Client, name: str) -> None:
    admin.command(f"DROP DATABASE IF EXISTS {name} SYNC")


def _made(admin: Client, server: str) -> str:
    name = f"tests_{next(_numbers)}"
    if server in _forms:
        _restore(admin, name, _forms[server])
        return name
    migrate(admin, name)
    _forms[server] = _form_of(admin, name)
    return name


def _form_of(admin: Client, name: str) -> _Form:
    recorded = {}
    for table in (SCHEMA_MIGRATIONS, SCHEMA_DEFINITIONS):
        found = admin.query(f"SELECT * FROM {name}.{table}")
        recorded[table] = found.column_names, found.result_rows
    return _Form(_schema(admin, name), recorded)


def _schema(admin: Client, database: str) -> Schema:
    rows = admin.query(
        "SELECT name, create_table_query FROM system.tables WHERE database = {database:String}",
        parameters={"database": database},
    ).result_rows
    own = re.compile(rf"(?<![\w.`]){database}(?=\.)")
    return {str(name): own.sub(_NAME, str(statement)) for name, statement in rows}


def _restore(admin: Client, name: str, form: _Form) -> None:
    """Make again what lacks or was changed, and forget rows and the tokens of their inserts."""
    admin.command(f"CREATE DATABASE IF NOT EXISTS {name}")
    now = _schema(admin, name)
    changed = {table for table, statement in now.items() if form.schema.get(table) != statement}
    for table in changed:
        kind = "VIEW" if _is_view(now[table]) else "TABLE"
        admin.command(f"DROP {kind} {name}.{table} SYNC")
    kept = now.keys() - changed
    for table in kept & _used(admin, name):
        admin.command(f"TRUNCATE TABLE {name}.{table}")
    lacking = {table: made for table, made in form.schema.items() if table not in kept}
    _create(admin, name, lacking)
    for table, (columns, rows) in form.recorded.items():
        admin.insert(table, rows, column_names=columns, database=name)
    if changed or lacking:
        assert _schema(admin, name) == form.schema, f"{name} is not as migrations made the first"


def _used(admin: Client, name: str) -> set[str]:
    """Tables that hold a row or held one: the engine lists parts for minutes after their end."""
    parts = admin.query(
        "SELECT DISTINCT table FROM system.parts WHERE database = {name:String}",
        parameters={"name": name},
    )
    return {str(table) for (table,) in parts.result_rows}


def _create(admin: Client, name: str, statements: Schema) -> None:
    """Run them in an order in which each finds what it reads: tables, then what lies on them."""
    left = sorted(statements.items(), key=lambda item: _is_view(item[1]))
    while left:
        failed: list[tuple[str, str]] = []
        for item in left:
            try:
                admin.command(item[1].replace(_NAME, name))
            except DatabaseError:
                failed.append(item)
                if len(failed) == len(left):
                    raise
        left = failed


def _is_view(statement: str) -> bool:
    return not statement.startswith("CREATE TABLE")
