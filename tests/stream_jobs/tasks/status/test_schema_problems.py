"""What status says of a schema: the same as `migrate`, on a stack that has nothing to store."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from tests.databases import migrated
from tokentide_jobs.errors import RetriableSinkError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import SinkMisconfigured
from tokentide_jobs.io.schema import schema_state
from tokentide_jobs.io.schema.migrations import migrate
from tokentide_jobs.io.schema.sql_files import sql_root
from tokentide_jobs.settings import Settings
from tokentide_jobs.tasks.status.schema import schema_problems
from tokentide_jobs.tasks.status.status import read_status

pytestmark = pytest.mark.integration


@pytest.fixture
def store(sql_server: str) -> Iterator[ClickHouse]:
    with migrated(sql_server) as store:
        yield store


@pytest.fixture
def admin(sql_server: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(dsn=sql_server) as admin:
        yield admin


def test_a_schema_as_it_was_made_has_no_problem_and_costs_little(
    store: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    rows = ClickHouse.rows

    def counting(self: ClickHouse, query: str, *values: dict[str, object]) -> object:
        asked.append(query)
        return rows(self, query, *values)

    monkeypatch.setattr(ClickHouse, "rows", counting)
    assert schema_problems(store) == ()
    assert len(asked) <= 6


@pytest.mark.parametrize(
    ("damage", "verdict", "text"),
    [
        ("DROP TABLE {}.windows_1h", "bad", "lacks windows_1h: run `tokentide migrate`, then "
         "`tokentide repair` fills windows_1h"),
        ("DROP TABLE {}.run_status", "bad", "lacks run_status: run `tokentide migrate`"),
        ("DROP VIEW {}.windows_1h_mv", "bad", "lacks windows_1h_mv: run `tokentide migrate`"),
        ("DROP VIEW {}.requests", "attention", "requests of database"),
        ("DROP TABLE {}.schema_migrations", "bad", "lost the record of them: run `tokentide mig"),
        ("DROP DATABASE {}", "bad", "has no tables of Tokentide"),
        ("ALTER TABLE {}.raw_changes DROP COLUMN actor", "bad", "raw_changes.actor"),
        ("ALTER TABLE {}.raw_changes MODIFY COLUMN actor String", "bad",
         "raw_changes.actor is String"),
    ],
)  # fmt: skip
def test_every_damage_is_named_although_nothing_is_stored_at_this_moment(
    store: ClickHouse, admin: Client, damage: str, verdict: str, text: str
) -> None:
    admin.command(damage.format(store.database))
    (problem,) = schema_problems(store)
    assert problem.verdict == verdict
    assert text in problem.words


def test_a_function_that_is_gone_is_named(store: ClickHouse, admin: Client) -> None:
    admin.command("DROP FUNCTION usd_from_pico")
    try:
        (problem,) = schema_problems(store)
        assert (problem.verdict, "usd_from_pico" in problem.words) == ("attention", True)
    finally:
        migrate(admin, store.database)
    assert schema_problems(store) == ()


def test_files_that_were_not_run_are_named(
    store: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = schema_state._File(
        "migrations/0999_next.sql", "1", True, ("CREATE TABLE next (x String)",)
    )
    files = (*schema_state._files(store.database), newer)
    monkeypatch.setattr(schema_state, "_files", lambda _database: files)
    (problem,) = schema_problems(store)
    assert problem.verdict == "attention"
    assert "sql/migrations/0999_next.sql of this version is not run yet" in problem.words


def test_files_that_were_run_in_another_version_are_named_without_a_command(
    store: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older release would put its views back, and `migrate` refuses a changed migration."""
    names = ("migrations/0002_raw_events.sql", "views/requests.sql")
    files = [
        replace(file, checksum="other") if file.name in names else file
        for file in schema_state._files(store.database)
    ]
    monkeypatch.setattr(schema_state, "_files", lambda _database: tuple(files))
    (problem,) = schema_problems(store)
    assert problem.verdict == "attention"
    assert f"sql/{names[0]} and 1 further file of this version were run in another" in problem.words
    assert "`" not in problem.words


def test_data_of_an_older_release_wants_a_migration_and_is_not_called_damaged(
    sql_server: str, admin: Client, tmp_path: Path
) -> None:
    """It lacks what later files make: tables, columns and the record of how all of it was made."""
    older = tmp_path / "sql"
    shutil.copytree(sql_root(), older)
    for name in ("0017_notified_since", "0018_schema_definitions", "0019_detect_consumed"):
        (older / "migrations" / f"{name}.sql").unlink()
    database = "test_older_release"
    migrate(admin, database, root=older)
    try:
        with closing(ClickHouse(sql_server, database)) as store:
            (problem,) = schema_problems(store)
            found = read_status(
                Settings.from_env(
                    {
                        "TOKENTIDE_KAFKA_BOOTSTRAP": "127.0.0.1:9",
                        "TOKENTIDE_DATA_DIR": str(tmp_path),
                    }
                ),
                store,
            )
        assert problem.verdict == "attention"
        assert "0017_notified_since.sql and 2 further files of this version" in problem.words
        assert "run `tokentide migrate`" in problem.words
        assert (found.refused, found.knows_last_batch, found.dead_letters) == ((), True, {})
        migrate(admin, database)
        with closing(ClickHouse(sql_server, database)) as store:
            assert schema_problems(store) == ()
    finally:
        admin.command(f"DROP DATABASE {database} SYNC")


def test_only_who_asks_for_it_looks_again_at_a_schema_that_differs(
    store: ClickHouse, admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A newer release may be altering it; a line that is drawn every few seconds cannot wait."""
    table = f"{store.database}.raw_changes"
    admin.command(f"ALTER TABLE {table} DROP COLUMN actor")
    waits: list[float] = []

    def alter(pause_s: float) -> None:
        waits.append(pause_s)
        admin.command(f"ALTER TABLE {table} ADD COLUMN actor LowCardinality(String)")

    monkeypatch.setattr(time, "sleep", alter)
    (lacking,) = schema_problems(store)
    assert ("raw_changes.actor" in lacking.words, waits) == (True, [])
    assert not any("lacks" in each.words for each in schema_problems(store, looks_again=True))
    assert len(waits) == 1


def test_what_cannot_be_compared_is_unknown_and_not_gone(store: ClickHouse) -> None:
    away = ClickHouse("http://127.0.0.1:9", store.database)
    with pytest.raises(RetriableSinkError):
        schema_problems(away)


def test_a_damaged_schema_is_reported_once_and_the_rest_is_read(
    store: ClickHouse, admin: Client, sql_server: str, tmp_path: Path
) -> None:
    admin.command(f"DROP TABLE {store.database}.raw_stats")
    settings = Settings.from_env(
        {"TOKENTIDE_KAFKA_BOOTSTRAP": "127.0.0.1:9", "TOKENTIDE_CLICKHOUSE_URL": sql_server},
        tmp_path,
    )
    found = read_status(settings, store)
    assert (found.clickhouse_answers, found.clickhouse_problem) == (True, "")
    assert found.dead_letters == {}
    assert found.dropping is None
    kafka, schema = found.problems
    assert "Kafka" in kafka.words
    assert "lacks raw_stats" in schema.words


@pytest.mark.parametrize("code", [192, 193, 194, 516])
def test_a_refused_account_is_an_answer(
    sql_server: str, tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_asked: object) -> object:
        raise SinkMisconfigured("user or password is wrong", code)

    monkeypatch.setattr(ClickHouse, "select", refuse)
    settings = Settings.from_env({"TOKENTIDE_KAFKA_BOOTSTRAP": "127.0.0.1:9"}, tmp_path)
    found = read_status(settings, ClickHouse(sql_server, "tokentide"))
    assert found.clickhouse_answers
    assert found.clickhouse_problem == "user or password is wrong"
    assert found.schema is None
