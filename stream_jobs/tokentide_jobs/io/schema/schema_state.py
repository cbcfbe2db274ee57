"""What a database has of this release's schema, for commands that look and change nothing.

The comparison is that of `tokentide migrate`, so what that would change is never called right.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import chain

from tokentide_jobs.io.schema.definitions import Rows
from tokentide_jobs.io.schema.drift import Drift, find_drift, settled_drift
from tokentide_jobs.io.schema.sql_objects import objects_of
from tokentide_jobs.io.schema.sql_scripts import load_scripts, recorded_checksums
from tokentide_jobs.io.schema.sql_template import SqlTarget

__all__ = ["SchemaState", "schema_state"]


@dataclass(frozen=True, slots=True)
class SchemaState:
    """How a database differs from what the SQL files make.

    Attributes:
        drift: What the files that were run have made, and is not as they made it.
        storing: Tables, and views that fill tables: without one of them something is not stored.
        due: Files of this release that were never run there.
        other_versions: Files that were run there with another text: by another release, newer or
            older, or before the file was changed here.
    """

    drift: Drift
    storing: frozenset[str]
    due: tuple[str, ...]
    other_versions: tuple[str, ...]


def schema_state(rows: Rows, database: str, *, looks_again: bool = False) -> SchemaState | None:
    """Compare a database with the SQL files; None: they were never run there.

    Args:
        rows: Asks the server, a handful of times.
        database: Name of the database.
        looks_again: Look again some seconds later if anything differs.
    """
    known = recorded_checksums(rows, database)
    if known is None:
        return None
    files = _files(database)
    run = [file for file in files if known.get(file.name, [""])[-1] == file.checksum]
    due = [file for file in files if file.name not in known]
    other_versions = [file for file in files if file not in run and file not in due]
    not_run = (*due, *other_versions)
    others = objects_of(chain.from_iterable(file.statements for file in not_run))
    statements = tuple(chain.from_iterable(file.statements for file in run))
    altered = others.columns.keys() | others.views

    def look() -> Drift:
        return find_drift(rows, database, statements, altered)

    drift = settled_drift(look) if looks_again else look()
    storing = objects_of(chain.from_iterable(file.statements for file in run if file.is_once))
    return SchemaState(
        drift,
        frozenset({*storing.columns, *storing.views}),
        tuple(file.name for file in due),
        tuple(file.name for file in other_versions),
    )


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    checksum: str
    is_once: bool
    statements: tuple[str, ...]


@cache
def _files(database: str) -> tuple[_File, ...]:
    """Read the files once: a screen that is drawn again and again asks every few seconds."""
    target = SqlTarget(database)
    return tuple(
        _File(script.name, script.checksum, script.once, script.statements(target))
        for script in load_scripts()
    )
