"""`tokentide migrate`: bring the ClickHouse schema up to date, or print the SQL that would.

Safe to run at any time and from several machines at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from tokentide_jobs.cli.screen import say
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.core.tables import ROLLUPS, SUBJECTS, WINDOWS
from tokentide_jobs.io.clickhouse.connect import connect_clickhouse
from tokentide_jobs.io.schema.migrations import Applied, create_roles
from tokentide_jobs.io.schema.migrations import migrate as apply_migrations

__all__ = ["migrate"]

_FROM_RAW_ROWS: Final = frozenset({WINDOWS, *ROLLUPS, SUBJECTS})
"""What `tokentide repair` can make again."""


@click.command(short_help="Create or update the ClickHouse schema.")
@data_dir_option
@click.option("--dry-run", is_flag=True, help="Print the SQL that would run; change nothing.")
@click.option(
    "--cluster",
    metavar="NAME",
    default=None,
    help="Run ON CLUSTER NAME with replicated tables.  [default: a single node]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--roles",
    is_flag=True,
    help="Also create roles, quotas and row policies (a server with access control).",
)
def migrate(
    data_dir: Path | None, dry_run: bool, cluster: str | None, as_json: bool, roles: bool
) -> None:
    """Create or update tables, views and functions in ClickHouse.

    Applied migrations are remembered with their checksum; running this again does nothing, and a
    migration that was edited after it was applied is an error that names the file. What was
    recorded is compared with what exists: a table, view or function that is gone is made again (a
    table is empty then), and so is a function with another body or a view with another text; a
    column that is gone, and a table with other columns or keys, is an error that names it.
    """
    settings = find_target(data_dir, "clickhouse")
    client = connect_clickhouse(settings, database="default")
    try:
        applied = apply_migrations(client, settings.database, cluster=cluster, dry_run=dry_run)
        if roles:
            applied += create_roles(client, settings.database, cluster=cluster, dry_run=dry_run)
    finally:
        client.close()
    if as_json:
        rows = [{"name": each.name, "missing": each.missing} for each in applied]
        click.echo(json.dumps({"database": settings.database, "dry_run": dry_run, "applied": rows}))
        return
    if dry_run:
        if not applied:
            say(f"-- database {settings.database} is up to date: nothing would run")
        for script in applied:
            say(f"-- sql/{script.name}{_why_again(script)}\n")
            for statement in script.statements:
                say(f"{statement};\n")
        return
    for script in applied:
        say(f"applied {script.name}{_why_again(script)}")
    rollups = sorted({name for script in applied for name in script.missing} & _FROM_RAW_ROWS)
    if rollups:
        say(
            f"{', '.join(rollups)}: made again and empty of what was before; "
            "`tokentide repair` fills what was made again from the raw rows"
        )
    if not applied:
        say(f"database {settings.database} is up to date")


def _why_again(script: Applied) -> str:
    """Name the tables, views and functions for whose sake a file is run again, if it is."""
    if not script.missing:
        return ""
    return f" again: {', '.join(script.missing)} {_was(script.missing)} missing or changed"


def _was(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"
