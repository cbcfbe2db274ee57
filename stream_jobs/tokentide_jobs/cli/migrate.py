"""`tokentide migrate`: bring the ClickHouse schema up to date, or print the SQL that would.

Safe to run at any time and from several machines at once.
"""

from __future__ import annotations

from pathlib import Path

import click

from tokentide_jobs.cli.connect import connect_clickhouse
from tokentide_jobs.cli.target import data_dir_option, find_target
from tokentide_jobs.io.schema.migrations import create_roles
from tokentide_jobs.io.schema.migrations import migrate as apply_migrations

__all__ = ["migrate"]


@click.command(short_help="Create or update the ClickHouse schema.")
@data_dir_option
@click.option("--dry-run", is_flag=True, help="Print the SQL that would run; change nothing.")
@click.option(
    "--cluster",
    metavar="NAME",
    default=None,
    help="Run ON CLUSTER NAME with replicated tables.  [default: a single node]",
)
@click.option(
    "--roles",
    is_flag=True,
    help="Also create roles, quotas and row policies (a server with access control).",
)
def migrate(data_dir: Path | None, dry_run: bool, cluster: str | None, roles: bool) -> None:
    """Create or update tables, views and functions in ClickHouse.

    Applied migrations are remembered with their checksum; running this again does nothing, and a
    migration that was edited after it was applied is an error that names the file.
    """
    settings = find_target(data_dir, "clickhouse")
    client = connect_clickhouse(settings, database="default")
    try:
        applied = apply_migrations(client, settings.database, cluster=cluster, dry_run=dry_run)
        if roles:
            applied += create_roles(client, settings.database, cluster=cluster, dry_run=dry_run)
    finally:
        client.close()
    if dry_run:
        for script in applied:
            click.echo(f"-- sql/{script.name}\n")
            for statement in script.statements:
                click.echo(f"{statement};\n")
        return
    for script in applied:
        click.echo(f"applied {script.name}")
    if not applied:
        click.echo(f"database {settings.database} is up to date")
