"""What the engine could not write is found and set aside before it can be taken for stored."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clickhouse_connect
import pytest

from tests.chaos.small_disk import SmallDisk, small_disk
from tokentide_jobs.embedded.clickhouse.engine.parts_on_disk import blocks_of, cut_parts
from tokentide_jobs.embedded.clickhouse.engine.set_aside import set_aside_unfinished_parts
from tokentide_jobs.embedded.clickhouse.engine.write_failures import EXIT_CODE
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess

pytestmark = pytest.mark.integration

COLUMNS = "(a UInt64, b String, c Map(String, String), PROJECTION p (SELECT a, count() GROUP BY a))"
WINDOW = "non_replicated_deduplication_window = 100, old_parts_lifetime = 3600"
KINDS = {"compact": "min_rows_for_wide_part = 1000000", "wide": "min_bytes_for_wide_part = 0"}


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
        rows = "SELECT number, repeat('x', number), map('k', toString(number)) FROM numbers(50)"
        run(server, f"INSERT INTO {kind} {rows}", token=str(number))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an engine that was killed left: tables of both kinds of parts."""
    home = tmp_path_factory.mktemp("store")
    with ClickHouseProcess.start(home) as server:
        for kind in KINDS:
            filled(server, kind)
        run(
            server,
            "OPTIMIZE TABLE wide FINAL",
            "ALTER TABLE compact DELETE WHERE a = 3 SETTINGS mutations_sync = 1",
        )
        server.kill()
    return home / "store"


@pytest.fixture
def root(store: Path, tmp_path: Path) -> Path:
    """A copy of it with its times."""
    return Path(shutil.copytree(store, tmp_path / "store", symlinks=True))


def tables(root: Path) -> list[Path]:
    return [path.parent for path in root.glob("store/*/*/deduplication_logs")]


def test_no_part_of_an_engine_that_could_write_is_set_aside(root: Path) -> None:
    parts = [path for path in root.glob("store/*/*/*_*_*_*") if blocks_of(path.name)]
    assert len(parts) >= 8  # inserted, merged and mutated ones of two tables
    assert set_aside_unfinished_parts(root) == []


def test_a_part_with_any_file_cut_short_is_found(root: Path) -> None:
    for table in tables(root):
        for part in [path for path in table.iterdir() if blocks_of(path.name)]:
            for file in [path for path in part.iterdir() if path.is_file()]:
                whole = file.read_bytes()
                is_listed = b"compress" not in file.name.encode() and file.name not in {
                    "columns.txt", "metadata_version.txt", "columns_substreams.txt",
                }  # fmt: skip
                # What is written after the checksums is short: nothing of it arrives, or all.
                file.write_bytes(whole[:-1] if is_listed else b"")
                assert list(cut_parts(table)) == [part], file
                file.write_bytes(whole)
        assert list(cut_parts(table)) == []


@pytest.mark.parametrize("arrived", [b"", b"1\tall_3"], ids=["nothing", "half"])
def test_a_part_whose_token_could_not_be_written_is_set_aside(root: Path, arrived: bytes) -> None:
    (table,) = (path for path in tables(root) if list(path.glob("all_1_3_1")))
    log = max((table / "deduplication_logs").iterdir())
    lines = log.read_bytes().splitlines(keepends=True)
    written_ns = (table / ("all_3_3_0" if arrived else "all_2_2_0")).stat().st_mtime_ns
    log.write_bytes(b"".join(lines[:-1]) + arrived)
    os.utime(log, ns=(written_ns, written_ns))

    (moved,) = set_aside_unfinished_parts(root)
    assert moved == table / "detached" / "broken-on-start_all_3_3_0"
    assert set_aside_unfinished_parts(root) == []


def test_two_parts_of_one_name_are_both_kept_aside(root: Path) -> None:
    (table,) = (path for path in tables(root) if list(path.glob("all_1_3_1")))
    for expected in ("broken-on-start_all_2_2_0", "broken-on-start_all_2_2_0_try1"):
        (table / "all_2_2_0").mkdir(exist_ok=True)
        (table / "all_2_2_0" / "checksums.txt").write_bytes(b"")
        assert [path.name for path in set_aside_unfinished_parts(root)] == [expected]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 400) as mounted:
        yield mounted


ROWS = 200_000
INSERT = (
    f"INSERT INTO facts SELECT rand64(), randomString(100), map('k', 'v') FROM numbers({ROWS}) "
    "SETTINGS max_insert_threads = 1, max_threads = 1"
)
DISTINCT = "SELECT uniqExact(a, b) FROM facts"
MERGE = "OPTIMIZE TABLE facts FINAL"


def is_acknowledged_on_a_full_disk(
    server: ClickHouseProcess, disk: SmallDisk, statement: str, writes: str
) -> bool:
    """Run a statement, fill the disk as soon as it writes, and free it when it has ended."""
    with ThreadPoolExecutor(1) as threads:
        outcome = threads.submit(run, server, statement, token="third")
        while not outcome.done() and not list(disk.path.glob(f"data/store/store/*/*/{writes}")):
            time.sleep(0.001)
        disk.fill(0)
        error = outcome.exception(timeout=60)
    disk.free()
    return error is None


@pytest.mark.parametrize(
    ("statement", "writes", "added"),
    [(INSERT, "tmp_insert_*", ROWS), (MERGE, "tmp_merge_*", 0)],
    ids=["insert", "merge"],
)
def test_what_the_disk_cut_short_is_never_acknowledged_and_costs_no_row(
    disk: SmallDisk, statement: str, writes: str, added: int
) -> None:
    home, options = disk.path / "data", ["--min-free-bytes", "0"]
    rows = str(2 * ROWS + added)
    for _ in range(20):  # until the disk is full between the reservation of room and its use
        with ClickHouseProcess.start(home, options=options) as server:
            run(
                server,
                "DROP TABLE IF EXISTS facts SYNC",
                f"CREATE TABLE facts {COLUMNS} ENGINE = MergeTree ORDER BY a SETTINGS {WINDOW}",
            )
            run(server, INSERT, token="first")
            run(server, INSERT, token="second")
            if is_acknowledged_on_a_full_disk(server, disk, statement, writes):
                assert answer(server, DISTINCT) == rows
                continue
            if server.stop() != EXIT_CODE:
                continue  # no room could be reserved: refused as on a server
        with ClickHouseProcess.start(home, options=options) as server:
            assert answer(server, "SELECT count() FROM facts") == str(2 * ROWS)
            run(server, statement, token="third")
            assert answer(server, DISTINCT) == rows
        return
    pytest.fail("the disk was never full in time")
