"""What the engine could not write is found and set aside before it can be taken for stored."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from tests.chaos.small_disk import SmallDisk, small_disk
from tokentide_jobs.embedded.clickhouse.engine.parts_on_disk import blocks_of, cut_parts
from tokentide_jobs.embedded.clickhouse.engine.set_aside import (
    LAST_GOOD_WRITES,
    set_aside_unfinished_parts,
    settle_last_good,
)
from tokentide_jobs.embedded.clickhouse.engine.write_failures import EXIT_CODE
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess

pytestmark = pytest.mark.integration

COLUMNS = "(a UInt64, b String, c Map(String, String), PROJECTION p (SELECT a, count() GROUP BY a))"
WINDOW = "non_replicated_deduplication_window = 100, old_parts_lifetime = 3600"
KINDS = {"compact": "min_rows_for_wide_part = 1000000", "wide": "min_bytes_for_wide_part = 0"}
SOME_ROWS = "SELECT number, repeat('x', number), map('k', toString(number)) FROM numbers(50)"


def run(server: ClickHouseProcess, *statements: str, token: str = "") -> None:
    settings = {"insert_deduplication_token": token} if token else {}
    with clickhouse_connect.get_client(dsn=server.dsn, connect_timeout=60) as client:
        for statement in statements:
            client.command(statement, settings=settings)


def answer(server: ClickHouseProcess, query: str) -> str:
    with clickhouse_connect.get_client(dsn=server.dsn) as client:
        return str(client.query(query).result_rows[0][0])


def filled(server: ClickHouseProcess, kind: str) -> None:
    """Make a table of three inserted parts, one of them merged."""
    run(
        server,
        f"CREATE TABLE {kind} {COLUMNS} ENGINE = MergeTree ORDER BY a "
        f"SETTINGS {WINDOW}, {KINDS[kind]}",
    )
    for number in range(3):
        run(server, f"INSERT INTO {kind} {SOME_ROWS}", token=str(number))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return what an engine that was killed left: parts of all kinds, with and without a token."""
    home = tmp_path_factory.mktemp("killed")
    with ClickHouseProcess.start(home) as server:
        for kind in KINDS:
            filled(server, kind)
        run(
            server,
            "OPTIMIZE TABLE wide FINAL",
            "ALTER TABLE compact DELETE WHERE a = 3 SETTINGS mutations_sync = 1",
            f"INSERT INTO wide {SOME_ROWS}",
        )
        server.kill()
    return home


@pytest.fixture
def home(killed: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(killed, tmp_path / "home", symlinks=True))


def tables(home: Path) -> list[Path]:
    return [path.parent for path in home.glob("store/store/*/*/deduplication_logs")]


def wide(home: Path) -> Path:
    (table,) = (path for path in tables(home) if list(path.glob("all_1_3_1")))
    return table


def say_good_until(home: Path, time_s: float) -> None:
    """Let all writes until then have been good."""
    settle_last_good(home)
    os.utime(home / LAST_GOOD_WRITES, (time_s, time_s))


def test_no_part_of_an_engine_that_could_write_is_set_aside(killed: Path) -> None:
    parts = [path for path in killed.glob("store/store/*/*/*_*_*_*") if blocks_of(path.name)]
    assert len(parts) >= 9  # inserted, merged and mutated ones of two tables
    assert set_aside_unfinished_parts(killed) == []


def shorter(file: Path) -> list[bytes]:
    """Return the beginnings of a file that a full disk may leave."""
    whole = file.read_bytes()
    if file.name in {"columns.txt", "columns_substreams.txt"}:
        return [b"", whole[:10], whole[: len(whole) // 2], whole[: whole.rindex(b"\n", 0, -1) + 1]]
    # What is written after the checksums is short: nothing of it arrives, or all.
    is_short = file.name in {"metadata_version.txt", "default_compression_codec.txt"}
    return [b""] if is_short else [b"", whole[:-1]]


def test_a_part_with_any_file_cut_short_is_found(home: Path) -> None:
    for table in tables(home):
        for part in [path for path in table.iterdir() if blocks_of(path.name)]:
            assert [path.name for path in part.iterdir() if path.is_dir()] == ["p.proj"]
            for file in [path for path in part.rglob("*") if path.is_file()]:
                whole = file.read_bytes()
                for arrived in shorter(file):
                    file.write_bytes(arrived)
                    assert list(cut_parts(table)) == [part], (file, arrived)
                file.write_bytes(whole)
        assert list(cut_parts(table)) == []


def test_lists_of_a_version_that_is_not_known_are_left_to_the_engine(home: Path) -> None:
    for name in ("columns.txt", "columns_substreams.txt", "checksums.txt"):
        for file in home.glob(f"store/store/*/*/all_*/{name}"):
            file.write_bytes(file.read_bytes().replace(b"version: ", b"version: 9", 1)[:60])
    assert [part for table in tables(home) for part in cut_parts(table)] == []


@pytest.mark.parametrize("arrived", [b"", b"1\tall_3", b"1\tall_31\tall_9_9_0\tx\n"])
def test_a_part_whose_token_could_not_be_written_is_set_aside_if_no_client_was_answered(
    home: Path, arrived: bytes
) -> None:
    table = wide(home)
    log = max((table / "deduplication_logs").iterdir())
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-1]) + arrived)

    assert set_aside_unfinished_parts(home) == []  # a copy: nothing is known of its writes
    say_good_until(home, time.time() + 1)
    assert set_aside_unfinished_parts(home) == []
    say_good_until(home, 0)
    moved = {path.name for path in set_aside_unfinished_parts(home) if path.parents[1] == table}
    # The fourth was inserted without one.
    assert moved == {"broken-on-start_all_3_3_0", "broken-on-start_all_4_4_0"}
    assert set_aside_unfinished_parts(home) == []


def test_two_parts_of_one_name_are_both_kept_aside(home: Path) -> None:
    table = wide(home)
    for expected in ("broken-on-start_all_2_2_0", "broken-on-start_all_2_2_0_try1"):
        (table / "all_2_2_0").mkdir(exist_ok=True)
        (table / "all_2_2_0" / "checksums.txt").write_bytes(b"")
        assert [path.name for path in set_aside_unfinished_parts(home)] == [expected]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 200) as mounted:
        yield mounted


ROWS = 50_000
LEAVE_BYTES = 9_000_000
"""More than the engine reserves for either statement below, and less than that writes then."""
DISTINCT = "SELECT uniqExact(a, b) FROM facts"


def insert_of(b: str) -> str:
    values = f"SELECT rand64(), {b}, map('k', 'v') FROM numbers({ROWS})"
    return f"INSERT INTO facts {values} SETTINGS max_insert_threads = 1, max_threads = 1"


# An insert reserves what its rows take in memory: the index here writes most of that once more.
INDEXED = "(a UInt64, b String, c Map(String, String), INDEX i b TYPE set(0) GRANULARITY 1)"
INSERT = insert_of("randomString(100)")
# A merge reserves what its parts take: here what it makes of them is no longer compressed.
COMPRESSIBLE = insert_of("repeat('x', 100)")
UNCOMPRESSED = "ALTER TABLE facts MODIFY COLUMN b String CODEC(NONE)"
MERGE = "OPTIMIZE TABLE facts FINAL"


@pytest.mark.parametrize(
    ("columns", "insert", "change", "statement", "added"),
    [
        (INDEXED, INSERT, "SELECT 1", INSERT, ROWS),
        (COLUMNS, COMPRESSIBLE, UNCOMPRESSED, MERGE, 0),
    ],
    ids=["insert", "merge"],
)
def test_what_the_disk_cut_short_is_never_acknowledged_and_costs_no_row(
    disk: SmallDisk, columns: str, insert: str, change: str, statement: str, added: int
) -> None:
    home, options = disk.path / "data", ["--min-free-bytes", "0"]
    with ClickHouseProcess.start(home, options=options) as server:
        run(server, f"CREATE TABLE facts {columns} ENGINE = MergeTree ORDER BY a SETTINGS {WINDOW}")
        run(server, insert, token="first")
        run(server, insert, token="second")
        run(server, change)
        disk.fill(LEAVE_BYTES)
        with pytest.raises((DatabaseError, OperationalError)):
            run(server, statement, token="third")
        # Had it found too little room to reserve, it would have refused and gone on.
        assert server.stop() == EXIT_CODE
    disk.free()
    with ClickHouseProcess.start(home, options=options) as server:
        assert answer(server, "SELECT count() FROM facts") == str(2 * ROWS)
        run(server, statement, token="third")
        assert answer(server, DISTINCT) == str(2 * ROWS + added)


ENDLESS = ["--min-free-bytes", str(1 << 60)]


def test_with_less_free_than_is_kept_nothing_is_written_and_a_drop_makes_room(home: Path) -> None:
    with ClickHouseProcess.start(home, options=ENDLESS) as server:
        for refused in (
            "CREATE TABLE t (a UInt8) ENGINE = Log",
            "CREATE FUNCTION plus_one AS x -> x + 1",
            "ALTER TABLE wide ADD COLUMN z UInt8",
            "ALTER TABLE wide DELETE WHERE a = 1",
            "DELETE FROM wide WHERE a = 1",
            "ALTER TABLE wide ADD COLUMN z UInt8, DROP PARTITION tuple()",
            "RENAME TABLE wide TO wider",
            "INSERT INTO wide (a) VALUES (1)",
            "INSERT INTO wide (a) SELECT 1",
            "OPTIMIZE TABLE compact FINAL",
        ):
            with pytest.raises(DatabaseError, match=r"Code: 243\. DB::Exception: Could not perf"):
                run(server, refused)
        for of_the_engine in ("TRUNCATE TABLE wide", "ALTER TABLE wide DROP PARTITION tuple()"):
            with pytest.raises(DatabaseError, match=r"Code: 243\. DB::Exception: Cannot reserve"):
                run(server, of_the_engine)
        assert answer(server, "SELECT count() > 0 FROM wide") == "1"
        run(
            server,
            "ALTER TABLE wide DROP DETACHED PARTITION ALL SETTINGS allow_drop_detached = 1",
            "DROP TABLE wide",
        )
