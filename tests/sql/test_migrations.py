"""Migrations: once each, in order, by several at a time, and never in an unknown state."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.databases import migrated
from tests.sampling import in_thorough
from tokentide_jobs.errors import ConfigError, WrongData
from tokentide_jobs.io.schema import drift, migrations
from tokentide_jobs.io.schema.migrations import migrate
from tokentide_jobs.io.schema.sql_files import sql_root
from tokentide_jobs.io.schema.sql_objects import objects_of
from tokentide_jobs.io.schema.sql_scripts import load_scripts
from tokentide_jobs.io.schema.sql_template import SqlTarget, render, split_statements

pytestmark = pytest.mark.integration


@pytest.fixture
def admin(sql_server: str) -> Iterator[Client]:
    """Yield a client without a database; what a test makes, each named `mig_…`, goes with it."""
    with clickhouse_connect.get_client(dsn=sql_server, autogenerate_session_id=False) as client:
        yield client
        made = client.query("SELECT name FROM system.databases WHERE startsWith(name, 'mig_')")
        for (name,) in made.result_rows:
            client.command(f"DROP DATABASE {name} SYNC")


@pytest.fixture
def lent(sql_server: str) -> Iterator[str]:
    """Yield the name of a database to which all files were applied."""
    with migrated(sql_server) as store:
        yield store.database


def test_a_second_run_applies_nothing(admin: Client) -> None:
    first = migrate(admin, "mig_twice")
    assert [a.name for a in first] == ["bootstrap.sql", *(s.name for s in load_scripts())]
    assert migrate(admin, "mig_twice") == []


def test_what_the_files_make_is_what_the_engine_then_has(admin: Client, lent: str) -> None:
    target = SqlTarget(lent)
    made = objects_of(each for script in load_scripts() for each in script.statements(target))
    rows = admin.query(
        "SELECT t.name, t.engine, groupArray(c.name) FROM system.tables AS t "
        "JOIN system.columns AS c ON c.database = t.database AND c.table = t.name "
        f"WHERE t.database = '{lent}' AND t.name != 'schema_migrations' GROUP BY ALL"
    ).result_rows
    tables = {name: set(columns) for name, engine, columns in rows if "View" not in engine}
    assert made.columns == tables
    assert made.views == {name for name, engine, _columns in rows if "View" in engine}
    functions = admin.query("SELECT name FROM system.functions WHERE origin = 'SQLUserDefined'")
    assert made.functions <= set(functions.result_columns[0])
    assert "p95_from_hist" in made.functions


@pytest.mark.parametrize(
    ("kind", "name", "file"),
    [
        ("VIEW", "windows_1d_mv", "migrations/0004_rollups.sql"),
        ("TABLE", "ingest_positions", "migrations/0001_ledger.sql"),
        # Like the two above: another table of a migration, and a view that is found like theirs.
        pytest.param("TABLE", "windows_1h", "migrations/0004_rollups.sql", marks=in_thorough),
        pytest.param("VIEW", "requests", "views/requests.sql", marks=in_thorough),
    ],
)
def test_what_was_recorded_and_is_gone_is_made_again(
    admin: Client, lent: str, kind: str, name: str, file: str
) -> None:
    admin.command(f"DROP {kind} {lent}.{name} SYNC")
    (planned,) = migrate(admin, lent, dry_run=True)
    assert (planned.name, planned.missing) == (file, (name,))
    assert admin.command(f"EXISTS TABLE {lent}.{name}") == 0
    (mended,) = migrate(admin, lent)
    assert (mended.name, mended.missing) == (file, (name,))
    assert admin.command(f"EXISTS TABLE {lent}.{name}") == 1
    assert migrate(admin, lent) == []
    rows = admin.query(f"SELECT count() FROM {lent}.schema_migrations WHERE name = '{file}'")
    assert rows.result_rows[0][0] == 1, "a file that is run again is not recorded again"


def test_a_function_with_another_body_is_made_again(admin: Client, lent: str) -> None:
    admin.command("CREATE OR REPLACE FUNCTION usd_from_pico AS (pico) -> pico / 2")
    planned, *views = migrate(admin, lent, dry_run=True)
    assert views, "the engine puts bodies into the text of views"
    assert planned.missing == ("usd_from_pico",)
    assert admin.query("SELECT toFloat64(usd_from_pico(8))").result_rows == [(4.0,)]
    mended, *_views = migrate(admin, lent)
    assert mended.missing == planned.missing
    assert str(admin.query("SELECT usd_from_pico(8)").result_rows[0][0]) == "8E-12"
    assert migrate(admin, lent) == []


def test_a_function_that_is_gone_is_made_again(admin: Client, lent: str) -> None:
    admin.command("DROP FUNCTION p90_from_hist")
    mended, *_views = migrate(admin, lent)
    assert mended.missing == ("p90_from_hist",)
    answer = admin.query("SELECT p90_from_hist(map(toInt16(0), toUInt64(1)))").result_rows[0][0]
    assert answer > 0


def test_a_column_that_is_gone_is_named_and_nothing_is_changed(admin: Client, lent: str) -> None:
    admin.command(f"ALTER TABLE {lent}.raw_changes DROP COLUMN actor")
    admin.command(f"DROP VIEW {lent}.requests")
    with pytest.raises(WrongData, match=r"raw_changes\.actor.*0002_raw_events\.sql"):
        migrate(admin, lent)
    assert admin.command(f"EXISTS TABLE {lent}.requests") == 0


def test_a_view_with_another_text_is_made_again(admin: Client, lent: str) -> None:
    counted = admin.query(f"SELECT count() FROM {lent}.requests").result_rows
    admin.command(f"CREATE OR REPLACE VIEW {lent}.requests AS SELECT 1 AS one")
    (planned,) = migrate(admin, lent, dry_run=True)
    assert planned.missing == ("requests",)
    assert admin.query(f"SELECT * FROM {lent}.requests").result_rows == [(1,)]
    (mended,) = migrate(admin, lent)
    assert (mended.name, mended.missing) == ("views/requests.sql", ("requests",))
    assert admin.query(f"SELECT count() FROM {lent}.requests").result_rows == counted
    assert migrate(admin, lent) == []


def test_views_follow_a_function_that_is_replaced(admin: Client, lent: str) -> None:
    text = f"SELECT as_select FROM system.tables WHERE database = '{lent}' AND name = 'runs'"
    assert "usd_from_pico" in (sql_root() / "views/runs.sql").read_text()
    before = admin.command(text)
    admin.command("CREATE OR REPLACE FUNCTION usd_from_pico AS (pico) -> pico / 2")
    admin.command(f"DROP VIEW {lent}.runs")
    (script,) = (one for one in load_scripts() if one.name == "views/runs.sql")
    for statement in script.statements(SqlTarget(lent)):
        admin.command(statement)
    assert admin.command(text) != before
    names = {applied.name for applied in migrate(admin, lent)}
    assert names > {"functions/money.sql", "views/runs.sql"}
    assert admin.command(text) == before
    assert migrate(admin, lent) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "ALTER TABLE {}.raw_changes MODIFY COLUMN actor String",
            r"raw_changes\.actor is String, and was made as LowCardinality\(String\)",
        ),
        (
            "CREATE OR REPLACE TABLE {}.notified_since AS {}.notified_since "
            "ENGINE = MergeTree ORDER BY tuple()",
            r"notified_since has the sorting key \(.*\), and was made with \(at\)",
        ),
        (
            "ALTER TABLE {}.windows_1h_mv MODIFY QUERY SELECT * FROM {}.windows_10s WHERE 0",
            "windows_1h_mv is a view with another text",
        ),
    ],
)
def test_a_table_that_is_not_as_it_was_made_is_named(
    admin: Client, lent: str, change: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "_ALTERING_S", 0.0)
    admin.command(change.format(lent, lent))
    with pytest.raises(WrongData, match=message):
        migrate(admin, lent)


@pytest.mark.parametrize("dies_at", ["_record_definitions", "_record", "a later file"])
def test_an_upgrade_that_died_is_no_change_of_a_table(
    admin: Client, lent: str, dies_at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "sql"
    shutil.copytree(sql_root(), root)
    (root / "migrations/0999_actor.sql").write_text(
        "ALTER TABLE ${database}.raw_changes ${on_cluster} MODIFY COLUMN actor String;"
    )
    later = root / "views/zz.sql"
    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, DatabaseError)):
        if dies_at == "a later file":
            later.write_text("CREATE OR REPLACE VIEW ${database}.zz AS SELECT nonsense(1) AS x;")
        else:
            patch.setattr(migrations, dies_at, interrupted)
        migrate(admin, lent, root=root)
    later.unlink(missing_ok=True)
    assert [migrate(admin, lent, root=root) for _ in range(2)][1] == []


def interrupted(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_an_older_release_waits_for_what_a_newer_one_is_altering(
    admin: Client, lent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.command(f"ALTER TABLE {lent}.raw_changes MODIFY COLUMN actor String")

    def note(_pause_s: float) -> None:
        admin.command(
            f"INSERT INTO {lent}.schema_definitions (name, definition, server_version) "
            'SELECT name, replaceOne(definition, \'"actor": "LowCardinality(String)\', '
            f'\'"actor": "String\'), server_version FROM {lent}.schema_definitions FINAL '
            "WHERE name = 'raw_changes'"
        )

    monkeypatch.setattr("time.sleep", note)
    assert migrate(admin, lent) == []


def test_columns_of_the_user_and_words_of_another_server_are_no_change(
    admin: Client, lent: str
) -> None:
    admin.command(f"ALTER TABLE {lent}.raw_changes ADD COLUMN ours String DEFAULT 'x'")
    assert migrate(admin, lent) == []
    admin.command(
        f"INSERT INTO {lent}.schema_definitions (name, definition, server_version) SELECT name, "
        f"replace(definition, 'String', 'Text'), '1.2' FROM {lent}.schema_definitions FINAL"
    )
    assert migrate(admin, lent) == []
    message = f"SELECT countIf(server_version != version()) FROM {lent}.schema_definitions FINAL"
    assert admin.command(message) == 0


def test_a_dry_run_returns_the_sql_and_changes_nothing(admin: Client) -> None:
    planned = migrate(admin, "mig_dry", dry_run=True)
    assert "CREATE DATABASE IF NOT EXISTS mig_dry" in planned[0].statements[0]
    assert any("mig_dry.windows_10s" in s for a in planned for s in a.statements)
    assert admin.command("SELECT count() FROM system.databases WHERE name = 'mig_dry'") == 0


@in_thorough  # the commands below go through the same, from processes of their own
def test_workers_that_migrate_at_once_all_succeed_and_record_each_file_once(
    sql_server: str, admin: Client
) -> None:
    workers = 3
    start = Barrier(workers)

    def work(_: int) -> None:
        with clickhouse_connect.get_client(dsn=sql_server, autogenerate_session_id=False) as client:
            start.wait(120)
            migrate(client, "mig_threads")

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(workers)))
    names = admin.query("SELECT name FROM mig_threads.schema_migrations").result_columns[0]
    assert sorted(names) == sorted(s.name for s in load_scripts())


def test_commands_that_migrate_at_once_all_succeed_and_record_each_file_once(
    sql_server: str, admin: Client, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "TOKENTIDE_CLICKHOUSE_URL": sql_server,
        "TOKENTIDE_DATABASE": "mig_processes",
        "TOKENTIDE_DATA_DIR": str(tmp_path),
    }
    workers = [
        subprocess.Popen([sys.executable, "-m", "tokentide_jobs", "migrate"], env=environment)
        for _ in range(2)
    ]
    assert [worker.wait(300) for worker in workers] == [0, 0]
    names = admin.query("SELECT name FROM mig_processes.schema_migrations").result_columns[0]
    assert sorted(names) == sorted(s.name for s in load_scripts())


def test_workers_that_replace_a_view_at_once_all_succeed(
    sql_server: str, admin: Client, small_root: Path
) -> None:
    migrate(admin, "mig_views", root=small_root)
    workers = 4
    start = Barrier(workers)

    def work(_: int) -> None:
        with clickhouse_connect.get_client(dsn=sql_server, autogenerate_session_id=False) as client:
            start.wait(120)
            migrate(client, "mig_views", root=small_root)

    for generation in range(5):
        view = small_root / "views/v.sql"
        view.write_text(
            view.read_text().replace("SELECT ", f"SELECT {generation} AS g{generation}, ")
        )
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(workers)))
    assert admin.query("SELECT * FROM mig_views.v LIMIT 0", settings={}).row_count == 0
    described = admin.query("DESCRIBE TABLE mig_views.v").result_columns[0]
    assert list(described) == ["g4", "g3", "g2", "g1", "g0", "a"]
    recorded = admin.command("SELECT count() FROM mig_views.schema_migrations")
    assert recorded == 2 + 5


def test_a_migration_edited_after_it_was_applied_is_refused_by_name(
    admin: Client, small_root: Path
) -> None:
    migrate(admin, "mig_edited", root=small_root)
    (small_root / "migrations/0001_first.sql").write_text("SELECT 1;")
    with pytest.raises(ConfigError, match=r"sql/migrations/0001_first\.sql was changed") as error:
        migrate(admin, "mig_edited", root=small_root)
    assert "new migration" in str(error.value)


def test_an_edited_view_is_replaced_and_may_return_to_its_old_text(
    admin: Client, small_root: Path
) -> None:
    view = small_root / "views/v.sql"
    old = view.read_text()
    migrate(admin, "mig_back", root=small_root)
    for text in (
        old.replace("SELECT a", "SELECT a AS b"),
        old,
        old.replace("SELECT a", "SELECT 1"),
    ):
        view.write_text(text)
        assert [a.name for a in migrate(admin, "mig_back", root=small_root)] == ["views/v.sql"]
        assert migrate(admin, "mig_back", root=small_root) == []


def test_a_migration_that_stopped_half_way_is_finished_by_the_next_run(
    admin: Client, small_root: Path
) -> None:
    second = small_root / "migrations/0002_second.sql"
    good = (
        "CREATE TABLE IF NOT EXISTS ${database}.u ${on_cluster} (a Int64)"
        " ENGINE = ${engine:MergeTree} ORDER BY a SETTINGS ${dedup};\n"
    )
    second.write_text(good + "CREATE TABLE ${database}.broken (;")
    with pytest.raises(DatabaseError) as error:
        migrate(admin, "mig_half", root=small_root)
    assert "in sql/migrations/0002_second.sql" in "".join(error.value.__notes__)
    second.write_text(good)
    applied = [a.name for a in migrate(admin, "mig_half", root=small_root)]
    assert applied == ["migrations/0002_second.sql", "views/v.sql"]


def test_a_run_that_was_killed_before_it_was_recorded_is_repeated(admin: Client, lent: str) -> None:
    admin.command(f"TRUNCATE TABLE {lent}.schema_migrations")
    assert [a.name for a in migrate(admin, lent)] == [s.name for s in load_scripts()]
    assert migrate(admin, lent) == []


def test_a_database_ahead_of_this_installation_is_left_alone(
    admin: Client, small_root: Path
) -> None:
    extra = small_root / "migrations/0009_newer.sql"
    extra.write_text("SELECT 1;")
    migrate(admin, "mig_newer", root=small_root)
    extra.unlink()
    assert migrate(admin, "mig_newer", root=small_root) == []


@pytest.mark.parametrize("name", ["1_short.sql", "0002-dash.sql", "0002_Upper.sql"])
def test_a_migration_with_a_bad_name_is_refused(small_root: Path, name: str) -> None:
    (small_root / "migrations" / name).write_text("SELECT 1;")
    with pytest.raises(ConfigError, match=r"name it NNNN_what_it_does\.sql"):
        load_scripts(small_root)


def test_two_migrations_with_one_number_are_refused(small_root: Path) -> None:
    (small_root / "migrations/0001_again.sql").write_text("SELECT 1;")
    with pytest.raises(ConfigError, match="number 0001 is taken"):
        load_scripts(small_root)


def test_every_statement_for_a_cluster_is_valid_sql(admin: Client) -> None:
    target = SqlTarget("tokentide", "main")
    texts = [(s.name, s.text) for s in load_scripts()]
    for path in (sql_root() / "bootstrap.sql", *sorted((sql_root() / "roles").glob("*.sql"))):
        texts.append((path.name, path.read_text("utf-8")))
    for name, text in texts:
        for statement in split_statements(render(text, target, name)):
            admin.command(f"EXPLAIN AST {statement}")
