"""A kill between the token of an insert and its rows costs nothing: the insert can be repeated."""

from __future__ import annotations

import shutil
from pathlib import Path

import clickhouse_connect
import pytest

from tokentide_jobs.embedded.clickhouse.engine.insert_tokens import forget_tokens_without_rows
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess

WINDOW = "SETTINGS non_replicated_deduplication_window = 10000"


def logs_of(root: Path, *parts: str) -> Path:
    """Return a table as the engine leaves it on the disk."""
    logs = root / "store" / "abc" / "abc-def" / "deduplication_logs"
    logs.mkdir(parents=True)
    for part in parts:
        (logs.parent / part).mkdir()
    return logs


def test_only_tokens_whose_part_is_nowhere_are_struck_out(tmp_path: Path) -> None:
    logs = logs_of(tmp_path, "all_1_5_1", "20261129_7_7_0_9", "tmp_insert_all_8_8_0", "detached")
    log = logs / "deduplication_log_2.txt"
    written = b"".join(
        b"1\t%s\t%s\n" % (part, token)
        for part, token in (
            (b"all_2_2_0", b"merged"), (b"20261129_7_7_0", b"mutated"), (b"all_8_8_0", b"cut"),
            (b"20261130_7_7_0", b"other"), (b"strange", b"unknown"), (b"all_9_9_0", b"gone"),
        )
    ) + b"2\tall_9_9_0\tgone\n"  # fmt: skip
    log.write_bytes(written + b"1\tall_10_")
    (logs / "deduplication_log_1.txt").write_bytes(b"1\tall_6_6_0\tolder\n")

    assert forget_tokens_without_rows(tmp_path) == 3
    struck = b"2\tall_6_6_0\tolder\n2\tall_8_8_0\tcut\n2\t20261130_7_7_0\tother\n"
    assert log.read_bytes() == written + struck
    assert forget_tokens_without_rows(tmp_path) == 0
    assert log.read_bytes() == written + struck


def test_a_store_without_tables_is_left_alone(tmp_path: Path) -> None:
    assert forget_tokens_without_rows(tmp_path / "absent") == 0
    logs_of(tmp_path)
    assert forget_tokens_without_rows(tmp_path) == 0


def insert(server: ClickHouseProcess, number: int) -> None:
    settings = {
        "async_insert": 0,
        "insert_deduplication_token": f"batch/{number}",
        "deduplicate_blocks_in_dependent_materialized_views": 1,
    }
    with clickhouse_connect.get_client(dsn=server.dsn) as client:
        client.insert("facts", [[number]], column_names=["a"], settings=settings)


def rows(server: ClickHouseProcess, table: str) -> list[int]:
    with clickhouse_connect.get_client(dsn=server.dsn) as client:
        return [
            int(row[0]) for row in client.query(f"SELECT a FROM {table} ORDER BY a").result_rows
        ]


@pytest.mark.integration
@pytest.mark.parametrize("victim", ["facts", "copies"])
def test_an_insert_that_a_kill_cut_short_is_stored_when_it_is_repeated(
    tmp_path: Path, victim: str
) -> None:
    with ClickHouseProcess.start(tmp_path) as server:
        with clickhouse_connect.get_client(dsn=server.dsn) as client:
            for table in ("facts", "copies"):
                client.command(
                    f"CREATE TABLE {table} (a UInt64) ENGINE = MergeTree ORDER BY a {WINDOW}"
                )
            client.command("CREATE MATERIALIZED VIEW mv TO copies AS SELECT a FROM facts")
        for number in range(3):
            insert(server, number)
        with clickhouse_connect.get_client(dsn=server.dsn) as client:
            query = f"SELECT path FROM system.parts WHERE table = '{victim}' AND active"
            paths = sorted(str(row[0]) for row in client.query(query).result_rows)
        server.kill()
    # As after a kill between the two: the token is written, the part has not got its name yet.
    shutil.rmtree(next(path for path in paths if "_3_3_" in path))
    with ClickHouseProcess.start(tmp_path) as server:
        assert rows(server, victim) == [0, 1]
        for number in range(3):
            insert(server, number)
        assert (rows(server, "facts"), rows(server, "copies")) == ([0, 1, 2], [0, 1, 2])
