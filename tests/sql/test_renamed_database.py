"""A database under another name: what a restore brings is the same, what a rename leaves is not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from tokentide_jobs.core.tables import SCHEMA_DEFINITIONS
from tokentide_jobs.errors import WrongData
from tokentide_jobs.io.schema import drift
from tokentide_jobs.io.schema.migrations import migrate
from tokentide_jobs.io.schema.sql_files import sql_root

pytestmark = pytest.mark.integration


@pytest.fixture
def admin(sql_server: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=sql_server, autogenerate_session_id=False) as client:
        yield client
        for name in ("mig_old", "mig_new"):
            client.command(f"DROP DATABASE IF EXISTS {name} SYNC")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with a table and a view that fills another one."""
    root = tmp_path / "sql"
    (root / "migrations").mkdir(parents=True)
    shutil.copy(sql_root() / "bootstrap.sql", root)
    shutil.copy(sql_root() / "migrations/0018_schema_definitions.sql", root / "migrations")
    (root / "migrations/9999_sums.sql").write_text(
        "CREATE TABLE IF NOT EXISTS ${database}.t ${on_cluster} (a Int64)"
        " ENGINE = ${engine:MergeTree} ORDER BY a SETTINGS ${dedup};\n"
        "CREATE TABLE IF NOT EXISTS ${database}.sums ${on_cluster} (a Int64)"
        " ENGINE = ${engine:MergeTree} ORDER BY a SETTINGS ${dedup};\n"
        "CREATE MATERIALIZED VIEW IF NOT EXISTS ${database}.sums_mv ${on_cluster}"
        " TO ${database}.sums AS SELECT a FROM ${database}.t;"
    )
    return root


def test_a_database_that_was_restored_under_another_name_is_up_to_date(
    admin: Client, root: Path
) -> None:
    migrate(admin, "mig_old", root=root)
    migrate(admin, "mig_new", root=root)
    # What RESTORE DATABASE … AS leaves: texts with the new name, and the records of the old one.
    admin.command(f"TRUNCATE TABLE mig_new.{SCHEMA_DEFINITIONS}")
    records = f"{SCHEMA_DEFINITIONS} SELECT * FROM mig_old.{SCHEMA_DEFINITIONS}"
    admin.command(f"INSERT INTO mig_new.{records}")
    assert migrate(admin, "mig_new", root=root) == []


def test_the_views_that_a_renamed_database_left_behind_are_named(
    admin: Client, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "_ALTERING_S", 0.0)
    migrate(admin, "mig_old", root=root)
    admin.command("RENAME DATABASE mig_old TO mig_new")
    with pytest.raises(WrongData, match="sums_mv is a view on database mig_old, as this one was"):
        migrate(admin, "mig_new", root=root)
    admin.command("RENAME DATABASE mig_new TO mig_old")
    assert migrate(admin, "mig_old", root=root) == []
