"""Refuses a database that holds foreign objects under names of ours.

`CREATE TABLE IF NOT EXISTS` takes any table for ours, and `CREATE OR REPLACE VIEW` drops the table
that it replaces, with its rows. So it is looked before files run that the database does not know
yet. What a run made that was killed, or makes at this moment, is not foreign.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.schema.definitions import Definition, Rows, existing_definitions
from tokentide_jobs.io.schema.sql_objects import SqlObjects, created_by

__all__ = ["refuse_foreign_objects"]

_VIEWS = ("View", "MaterializedView")


def refuse_foreign_objects(
    rows: Rows, database: str, due: Iterable[str], final: SqlObjects
) -> None:
    """Look at what statements would make.

    Args:
        rows: Asks ClickHouse.
        database: Where.
        due: Statements of files that are not recorded.
        final: What is there after all files have run: a later file may drop columns.

    Raises:
        ConfigError: Something else has a name of what they make.
    """
    existing = existing_definitions(rows, database)
    found = [why for statement in due for why in _foreign(created_by(statement), existing, final)]
    if found:
        raise ConfigError(
            f"database {database} holds objects that are not of tokentide: {'; '.join(found)}. "
            "Rename them, or name another database (TOKENTIDE_DATABASE)"
        )


def _foreign(
    made: SqlObjects, existing: Mapping[str, Definition], final: SqlObjects
) -> Iterator[str]:
    for name in sorted(made.views & existing.keys()):
        if existing[name].engine not in _VIEWS:
            yield f"{name} is a table ({existing[name].engine}), and here a view"
    for name in sorted(made.columns.keys() & existing.keys()):
        lacking = (
            made.columns[name] & final.columns.get(name, set()) - existing[name].columns.keys()
        )
        if existing[name].engine in _VIEWS:
            yield f"{name} is a view, and here a table"
        elif lacking:
            yield f"{name} lacks the columns {', '.join(sorted(lacking))[:200]}"
