"""Brings a ClickHouse database to the state the SQL files describe, however often it is run.

Numbered migrations run once, in order, and never change afterwards; functions and views are
replaced whenever their file changes. Several workers may do this at the same moment: every
statement is idempotent, a lost race is retried, and the version rows are written by the first only.
What was run is recorded in one insert at the end: a run that is killed is repeated.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.tables import SCHEMA_DEFINITIONS, SCHEMA_MIGRATIONS, TENANT_RETENTION
from tokentide_jobs.errors import ConfigError, WrongData
from tokentide_jobs.io.schema.definitions import (
    Rows,
    existing_definitions,
    record,
    recorded_definitions,
)
from tokentide_jobs.io.schema.drift import find_drift, settled_drift
from tokentide_jobs.io.schema.foreign_objects import refuse_foreign_objects
from tokentide_jobs.io.schema.retention import retention_statements
from tokentide_jobs.io.schema.sql_files import sql_root
from tokentide_jobs.io.schema.sql_objects import SqlObjects, objects_of
from tokentide_jobs.io.schema.sql_scripts import Script, load_scripts, recorded_checksums
from tokentide_jobs.io.schema.sql_template import SqlTarget
from tokentide_jobs.process_name import process_name

__all__ = ["Applied", "create_roles", "migrate"]

_WORD: Final = re.compile(r"\w+")
_RACE_CODES: Final = frozenset({44, 57, 60, 82, 218, 517, 521, 609, 741})
"""Another worker created, replaced or renamed the same object at this instant (column, table or
database or function exists already, table not there for the moment, view replaced while its columns
were commented): the statement is repeated."""
_RACE_ATTEMPTS: Final = 8
_RACE_BACKOFF: Final = Backoff(first_s=0.05, longest_s=1.0)


@dataclass(frozen=True, slots=True)
class Applied:
    """One file that was run, or with dry_run would be.

    Attributes:
        name: Path below sql/.
        checksum: SHA-256 of the file.
        statements: As sent to the server, placeholders filled.
        duration_ms: Time they took, 0 for a dry run.
        missing: Objects for whose sake a file was run again: recorded, and all the same gone, or
            functions with another body, or views with another text.
    """

    name: str
    checksum: str
    statements: tuple[str, ...]
    duration_ms: int
    missing: tuple[str, ...] = ()


def migrate(
    client: Client,
    database: str = "tokentide",
    *,
    cluster: str | None = None,
    dry_run: bool = False,
    root: Path | None = None,
) -> list[Applied]:
    """Apply what the database lacks and return it; an empty list means it was up to date.

    What is recorded is compared with what exists: a file whose table, view or function is gone is
    run again (a table comes back empty), and so is one whose view or function was changed; a column
    that is gone, and a table whose columns or keys were changed, are errors that name it.

    Blocks until done; safe to call again and from several workers at once. A file that the
    database knows and this installation lacks is left alone, so that older workers keep running
    while newer ones are rolled out.

    Args:
        client: Any clickhouse-connect client; its default database does not matter.
        database: Name of the database, created if absent.
        cluster: Name of the cluster; None is a single node.
        dry_run: Change nothing, return what would run.
        root: Folder with the SQL files, default the packaged one.

    Raises:
        ConfigError: An applied migration was changed, a name or placeholder is wrong, or foreign
            objects have names of ours.
        WrongData: A table lacks a column or is not as it was made.
        clickhouse_connect.driver.exceptions.DatabaseError: A statement failed.
    """
    target = SqlTarget(database, cluster)
    root = root or sql_root()
    scripts = load_scripts(root)
    made_by = {script.name: script.statements(target) for script in scripts}
    bootstrap = Script("bootstrap.sql", (root / "bootstrap.sql").read_text("utf-8"), once=False)
    rows = _asking(client)
    every = objects_of(chain(bootstrap.statements(target), *made_by.values()))
    refuse_foreign_objects(rows, database, bootstrap.statements(target), every)
    known = recorded_checksums(rows, database)
    unrecorded = [made for name, made in made_by.items() if name not in (known or ())]
    refuse_foreign_objects(rows, database, chain.from_iterable(unrecorded), every)
    done: list[Applied] = []
    if known is None:
        done.append(_run(client, bootstrap, bootstrap.statements(target), (), dry_run=dry_run))
        known = {}
    done += _run_files(client, target, scripts, known, every, dry_run=dry_run)
    if not dry_run:
        for statement in retention_statements(client, target):
            _execute(client, statement, TENANT_RETENTION)
            done.append(Applied(TENANT_RETENTION, "", (statement,), 0))
    return done


def _run_files(
    client: Client,
    target: SqlTarget,
    scripts: Sequence[Script],
    known: Mapping[str, list[str]],
    every: SqlObjects,
    *,
    dry_run: bool,
) -> list[Applied]:
    """Run what is due or gone, record it and return it.

    Args:
        client: As for `migrate`.
        target: Where to.
        scripts: All files, in order.
        known: Checksums that are recorded, by file.
        every: All objects that the files make.
        dry_run: As for `migrate`.
    """
    database, rows = target.database, _asking(client)
    made_by = {script.name: script.statements(target) for script in scripts}
    unrecorded = [made for name, made in made_by.items() if name not in known]
    done: list[Applied] = []
    made_before = {name: made for name, made in made_by.items() if name in known}
    # What a file makes or alters that is not recorded yet may be as that file leaves it.
    due = objects_of(chain.from_iterable(unrecorded))
    missing = _missing(rows, database, made_before, due.columns.keys() | due.views)
    recorded: list[Applied] = []
    try:
        for script, again in _to_run(scripts, made_by, known, missing):
            applied = _run(client, script, made_by[script.name], again, dry_run=dry_run)
            done.append(applied)
            if _is_due(script, known):
                recorded.append(applied)
    finally:
        # Also what was run before a file that failed. Definitions first: a file that is not
        # recorded is run again, a table that is not as recorded is refused.
        if not dry_run:
            _record_definitions(client, database, every)
        if recorded and not dry_run:
            _record(client, database, recorded, known)
    return done


def create_roles(
    client: Client,
    database: str = "tokentide",
    *,
    cluster: str | None = None,
    dry_run: bool = False,
    root: Path | None = None,
) -> list[Applied]:
    """Create or replace the roles, profiles, quotas and row policies of `sql/roles/`.

    Needs a server with access control and a user who may grant; repeating it changes nothing.

    Args:
        client: Any clickhouse-connect client.
        database: Name of the database, migrated before.
        cluster: Name of the cluster; None is a single node.
        dry_run: Change nothing, return what would run.
        root: Folder with the SQL files, default the packaged one.

    Raises:
        clickhouse_connect.driver.exceptions.DatabaseError: A statement failed.
    """
    target = SqlTarget(database, cluster)
    done = []
    for path in sorted(((root or sql_root()) / "roles").glob("*.sql")):
        script = Script(f"roles/{path.name}", path.read_text("utf-8"), once=False)
        done.append(_run(client, script, script.statements(target), (), dry_run=dry_run))
    return done


def _to_run(
    scripts: Sequence[Script],
    made_by: Mapping[str, tuple[str, ...]],
    known: Mapping[str, list[str]],
    missing: frozenset[str],
) -> Iterator[tuple[Script, tuple[str, ...]]]:
    """Yield the files to run, in order, each with the objects for whose sake it is run again.

    Raises:
        ConfigError: An applied migration was changed.
    """
    replaced: set[str] = set()
    for script in scripts:
        made = objects_of(made_by[script.name])
        again = tuple(sorted(made.names & missing))
        if not _is_due(script, known) and not again:
            if not (made.views and replaced & set(_WORD.findall(script.text))):
                continue
            again = tuple(sorted(made.views))  # the server put the old body into its text
        replaced |= made.functions
        yield script, again


def _run(
    client: Client,
    script: Script,
    statements: tuple[str, ...],
    again: tuple[str, ...],
    *,
    dry_run: bool,
) -> Applied:
    started = time.monotonic()
    if not dry_run:
        for statement in statements:
            _execute(client, statement, f"sql/{script.name}")
    duration_ms = 0 if dry_run else round((time.monotonic() - started) * 1000)
    return Applied(script.name, script.checksum, statements, duration_ms, again)


def _missing(
    rows: Rows,
    database: str,
    recorded: Mapping[str, tuple[str, ...]],
    due: Collection[str],
) -> frozenset[str]:
    """Return the objects that recorded files made and that are gone or have another text.

    Raises:
        WrongData: A table lacks a column or was changed otherwise; only a person can know what
            was in it.
    """
    statements = [each for made in recorded.values() for each in made]
    drift = settled_drift(lambda: find_drift(rows, database, statements, due))
    if drift.columns:
        tables = {column.split(".")[0] for column in drift.columns}
        files = [
            name for name, made in recorded.items() if tables & objects_of(made).columns.keys()
        ]
        raise WrongData(
            f"database {database} lacks columns that were made before: {', '.join(drift.columns)}. "
            f"Restore them (ALTER TABLE … ADD COLUMN …, as defined in sql/{', sql/'.join(files)}), "
            "or restore the tables from a backup"
        )
    if drift.changed:
        raise WrongData(
            f"database {database} is not as it was made: {'; '.join(drift.changed)}. Change it "
            "back (ALTER TABLE …), or, where it is meant to be so, delete its row of "
            f"{database}.{SCHEMA_DEFINITIONS}: it is recorded again"
        )
    return drift.objects


def _is_due(script: Script, known: Mapping[str, list[str]]) -> bool:
    checksums = known.get(script.name)
    if not checksums:
        return True
    if checksums[-1] == script.checksum:
        return False
    if script.once:
        raise ConfigError(
            f"sql/{script.name} was changed after it was applied"
            f" (applied {checksums[-1][:12]}, file {script.checksum[:12]}):"
            " restore the file and put the change into a new migration"
        )
    return True


def _asking(client: Client) -> Rows:
    def rows(query: str, parameters: Mapping[str, Any] | None = None, /) -> Sequence[Sequence[Any]]:
        return client.query(query, parameters=dict(parameters or {})).result_rows

    return rows


def _execute(client: Client, statement: str, source: str) -> None:
    pauses_s = _RACE_BACKOFF.pauses_s(random.random)
    for attempt, pause_s in zip(range(1, _RACE_ATTEMPTS + 1), pauses_s, strict=False):
        try:
            client.command(statement)
            return
        except DatabaseError as exc:
            if getattr(exc, "code", None) not in _RACE_CODES or attempt == _RACE_ATTEMPTS:
                exc.add_note(f"in {source}: {statement[:200]}")
                raise
            time.sleep(pause_s)


def _record_definitions(client: Client, database: str, made: SqlObjects) -> None:
    """Note what was made or changed by files, or is reported otherwise by another server."""
    rows = _asking(client)
    # Asked before looking: of two that note a table, the one that looked later holds.
    ((looked_at,),) = rows("SELECT now64(6, 'UTC')")
    now = existing_definitions(rows, database)
    if SCHEMA_DEFINITIONS not in now:
        return
    before = recorded_definitions(rows, database)
    ours = now.keys() & (made.columns.keys() | made.views)
    news = {name: now[name] for name in ours if before.get(name) != now[name]}
    if news:
        record(client, database, news, looked_at)


def _record(
    client: Client, database: str, applied: Sequence[Applied], known: Mapping[str, list[str]]
) -> None:
    # The position keeps a view that returns to an earlier text from being taken for its old row.
    files = [f"{one.name}/{len(known.get(one.name, ()))}/{one.checksum}" for one in applied]
    digest = hashlib.sha256("\n".join(files).encode()).hexdigest()
    token = f"migration/{database}/{digest}"
    client.insert(
        SCHEMA_MIGRATIONS,
        [
            [one.name, one.checksum, process_name(), len(one.statements), one.duration_ms]
            for one in applied
        ],
        column_names=["name", "checksum", "applied_by", "statements", "duration_ms"],
        database=database,
        settings={
            "async_insert": 0,
            "deduplicate_blocks_in_dependent_materialized_views": 1,
            "insert_deduplication_token": token,
            "log_comment": token,
        },
    )
