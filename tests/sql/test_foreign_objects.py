"""A database that holds foreign objects is not migrated, and loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from tests.each import each
from tokentide_jobs.errors import ConfigError
from tokentide_jobs.io.schema.migrations import migrate

pytestmark = pytest.mark.integration


@pytest.fixture
def admin(sql_server: str) -> Iterator[Client]:
    """Yield a client without a database; what tests make, named `foreign_…`, goes with it."""
    with clickhouse_connect.get_client(dsn=sql_server, autogenerate_session_id=False) as client:
        yield client
        made = client.query("SELECT name FROM system.databases WHERE startsWith(name, 'foreign_')")
        for (name,) in made.result_rows:
            client.command(f"DROP DATABASE {name} SYNC")


@each(
    ("made", "words"),
    [
        (
            "TABLE foreign_before.v (a Int64) ENGINE = Memory",
            "v is a table (Memory), and here a view",
        ),
        ("VIEW foreign_before.t AS SELECT 1 AS a", "t is a view, and here a table"),
        ("TABLE foreign_before.t (b Int64) ENGINE = Memory", "t lacks the columns a"),
        (
            "TABLE foreign_before.schema_migrations (version UInt32) ENGINE = Memory",
            "schema_migrations lacks the columns applied_at, applied_by, checksum",
        ),
    ],
)
def test_foreign_objects_under_names_of_ours_are_named_and_left_alone(
    admin: Client, small_root: Path, made: str, words: str
) -> None:
    admin.command("DROP DATABASE IF EXISTS foreign_before SYNC")
    admin.command("CREATE DATABASE foreign_before")
    admin.command(f"CREATE {made}")
    listed = "SELECT name, engine FROM system.tables WHERE database = 'foreign_before'"
    before = admin.query(listed).result_rows
    with pytest.raises(ConfigError, match="objects that are not of tokentide") as refused:
        migrate(admin, "foreign_before", root=small_root)
    assert words in str(refused.value)
    assert admin.query(listed).result_rows == before


def test_a_table_that_a_new_view_would_replace_keeps_its_rows(
    admin: Client, small_root: Path
) -> None:
    migrate(admin, "foreign_later", root=small_root)
    admin.command("CREATE TABLE foreign_later.w (a UInt8) ENGINE = MergeTree ORDER BY a")
    admin.command("INSERT INTO foreign_later.w VALUES (1)")
    (small_root / "views/w.sql").write_text(
        "CREATE OR REPLACE VIEW ${database}.w ${on_cluster} AS SELECT a FROM ${database}.t;"
    )
    with pytest.raises(ConfigError, match="w is a table"):
        migrate(admin, "foreign_later", root=small_root)
    assert admin.query("SELECT a FROM foreign_later.w").result_rows == [(1,)]
