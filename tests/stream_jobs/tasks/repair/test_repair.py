"""Damaged windows become the sums of their raw rows again, wherever repair was killed."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.databases import migrated
from tests.sampling import in_thorough, share
from tests.stream_jobs.tasks.damaged import (
    NOW_US,
    OLD_US,
    TODAY_US,
    Ingest,
    damage,
    everything,
    subject_sums,
)
from tests.stream_jobs.tasks.killed import Killed, dying_at
from tokentide_jobs.cli.main import main
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.tables import DAY_US, HOLDS, ROWS_KEPT_DAYS, SUBJECTS
from tokentide_jobs.errors import WrongData
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.window_sums import Span
from tokentide_jobs.tasks.repair.lost_rows import RecordSource
from tokentide_jobs.tasks.repair.quiet import NotQuiet
from tokentide_jobs.tasks.repair.records import RepairRecords
from tokentide_jobs.tasks.repair.repair import TABLES, Correction, Repair

pytestmark = pytest.mark.integration

TOKEN_WINDOW_US = 600_000_000


@pytest.fixture
def store(sql_server: str) -> Iterator[ClickHouse]:
    with migrated(sql_server) as made:
        yield made


def repair_of(store: ClickHouse, **options: Any) -> Repair:
    return Repair(store, "test:1", TOKEN_WINDOW_US, **options)


EVERYTHING = "all of them have lost something"
DAMAGES = {
    "a rollup has lost a part": [("windows_1h", "service = 'chat'")],
    "the windows have lost a part": [("windows_10s", "tenant = 'acme'")],
    "the sums by subject have lost some": [("subjects_1h", "subject IN ('ann', 'run-3')")],
    EVERYTHING: [
        ("subjects_1h", "tenant = 'beta'"),
        ("windows_10s", "tenant = 'acme'"), ("windows_1m", "service = 'chat'"),
        ("windows_1h", "tenant = 'beta'"), ("windows_1d", "1"),
    ],
}  # fmt: skip


# Alone, each is mended as it is among all the others.
@pytest.mark.parametrize(
    ("kind", "days"),
    [
        pytest.param("a rollup has lost a part", 1, marks=in_thorough),
        pytest.param("the windows have lost a part", 1, marks=in_thorough),
        pytest.param("the sums by subject have lost some", 1, marks=in_thorough),
        (EVERYTHING, 2),
    ],
)
def test_a_dry_run_changes_nothing_a_run_mends_every_sum_and_a_second_one_finds_nothing(
    store: ClickHouse, kind: str, days: int
) -> None:
    ingest = Ingest(store)
    for day in range(days):
        ingest.batch(80, TODAY_US - day * DAY_US)
    right = everything(store)
    for table, where in DAMAGES[kind]:
        damage(store, table, where)
    wrong = everything(store)
    assert wrong != right
    seen = {c.table for c in repair_of(store, dry_run=True).run()}
    assert seen == (set(TABLES) if kind == EVERYTHING else {DAMAGES[kind][0][0]})
    assert everything(store) == wrong
    assert store.rows(f"SELECT count() FROM {store.database}.window_repairs")[0][0] == 0

    found = list(repair_of(store, span_rows=100).run())
    assert everything(store) == right
    assert list(repair_of(store).run()) == []
    recorded = store.rows(
        f"SELECT table, from_us, rows, events, toString(cost_pico_usd) "
        f"FROM {store.database}.window_repairs"
    )
    assert sorted(map(tuple, recorded)) == sorted(
        (c.table, c.span.from_us, c.rows, c.events, str(c.cost_pico_usd)) for c in found
    )


# The one from which the most is made.
@pytest.mark.parametrize("table", ["windows_10s", pytest.param("windows_1h", marks=in_thorough)])
def test_a_dry_run_names_the_one_table_that_is_wrong_and_not_those_made_from_it(
    store: ClickHouse, table: str
) -> None:
    Ingest(store).batch(30)
    damage(store, table, "service = 'chat'")
    found = list(repair_of(store, dry_run=True, span_rows=20).run())
    assert {c.table for c in found} == {table}
    mended = [c for c in repair_of(store).run() if c.table == table]
    assert sum(c.events for c in found) == sum(c.events for c in mended) > 0
    assert sum(c.cost_pico_usd for c in found) == sum(c.cost_pico_usd for c in mended) > 0


def test_where_subjects_were_too_many_to_name_only_the_sums_of_the_kind_are_mended(
    store: ClickHouse,
) -> None:
    ingest = Ingest(store, most_subjects=2)
    ingest.batch(30)
    ingest.batch(30)
    right = subject_sums(store, by="")
    assert list(repair_of(store).run()) == []
    damage(store, SUBJECTS, "subject IN (SELECT max(subject) FROM subjects_1h WHERE kind = 'run')")
    lost = repair_of(store, dry_run=True, tables=(SUBJECTS,)).run()
    assert sum(c.events for c in lost) > 0
    found = list(repair_of(store, tables=(SUBJECTS,), span_rows=40).run())
    assert {c.table for c in found} == {SUBJECTS}
    assert subject_sums(store, by="") == right
    assert list(repair_of(store).run()) == []


def test_what_is_too_much_is_taken_away(store: ClickHouse) -> None:
    Ingest(store).batch(100)
    right = everything(store)
    store.command(
        f"INSERT INTO {store.database}.windows_10s SELECT * FROM {store.database}.windows_10s"
    )
    found = list(repair_of(store).run())
    assert {c.table for c in found} == {"windows_10s"}
    assert sum(c.events for c in found) == -100
    assert everything(store) == right


def test_days_whose_ten_second_windows_have_expired_are_made_from_the_rows_by_minutes(
    store: ClickHouse,
) -> None:
    Ingest(store).batch(150, OLD_US)
    right = everything(store)
    damage(store, "windows_10s", "1")  # as retention will
    damage(store, "windows_1m", "service = 'chat'")
    damage(store, "windows_1d", "1")
    assert {c.table for c in repair_of(store).run()} == {"windows_1m", "windows_1h", "windows_1d"}
    assert everything(store) | {"windows_10s": right["windows_10s"]} == right


def test_repair_killed_before_any_of_its_steps_is_run_again_and_right(store: ClickHouse) -> None:
    ingest = Ingest(store)
    ingest.batch(60)
    right = everything(store)

    def lose_everything() -> None:
        for table in TABLES:
            store.command(f"TRUNCATE TABLE {store.database}.{table}")
        store.command(
            f"INSERT INTO {store.database}.windows_1h (window_start, service, events) "
            f"VALUES (toDateTime({TODAY_US // 1_000_000}, 'UTC'), 'no such', 7)"
        )

    names: list[str] = []
    lose_everything()
    list(repair_of(store, progress=names.append).run())
    assert everything(store) == right
    # Looking changes nothing: only what comes before and after a correction needs its own death.
    deaths = [at for at, name in enumerate(names) if name.startswith(("correct", "record"))]
    for death in share(deaths, 5):
        lose_everything()
        with pytest.raises(Killed):
            list(repair_of(store, progress=dying_at(death)).run())
        list(repair_of(store).run())
        assert everything(store) == right, names[death]
    # The views carry it to the other rollups.
    corrected = ("windows_10s", "windows_1h", SUBJECTS)
    assert [names[death].partition(" [")[0] for death in deaths] == [
        f"{step} {table}" for table in corrected for step in ("correct", "record")
    ]


def test_two_repairs_at_once_correct_once(store: ClickHouse) -> None:
    Ingest(store).batch(200)
    right = everything(store)
    for table, where in DAMAGES[EVERYTHING]:
        damage(store, table, where)
    barrier = threading.Barrier(2)

    def run(_number: int) -> list[Correction]:
        barrier.wait()
        return list(repair_of(store).run())

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, range(2)))
    assert everything(store) == right


def test_ingest_that_goes_on_meanwhile_is_never_counted_twice(
    store: ClickHouse, sql_server: str
) -> None:
    """Batches of events of this very moment, half written most of the time."""
    Ingest(store).batch(200)
    writer = ClickHouse(sql_server, store.database)
    is_ended = threading.Event()
    written = [200]

    def is_held() -> bool:
        query = f"SELECT argMax(held_until, written_at) > now64(3) FROM {store.database}.{HOLDS}"
        return bool(writer.rows(query)[0][0])

    def ingest_on() -> None:
        live = Ingest(writer, seed=2, log="live")
        while not is_ended.is_set():
            if is_held():
                time.sleep(0.05)
                continue
            outcome = live.begin(20)
            time.sleep(0.4)  # few batches, each half written for as long
            live.end(outcome)
            written[0] += 20

    thread = threading.Thread(target=ingest_on)
    thread.start()
    try:
        for table, where in DAMAGES[EVERYTHING]:
            damage(store, table, where)
        assert list(repair_of(store).run())
    finally:
        is_ended.set()
        thread.join()
    assert list(repair_of(store).run()) == []
    for table in TABLES:
        if table != SUBJECTS:
            total = store.rows(f"SELECT sum(events) FROM {store.database}.{table}")[0][0]
            assert total == written[0], table
    (row,) = store.rows(
        f"SELECT (SELECT sumIf(requests, kind = 'run') FROM {store.database}.{SUBJECTS}), "
        f"(SELECT count() FROM {store.database}.raw_requests)"
    )
    assert row[0] == row[1]
    holds = store.rows(f"SELECT count() FROM {store.database}.{HOLDS}")[0][0]
    ended = store.rows(
        f"SELECT argMax(held_until, written_at) < now() FROM {store.database}.{HOLDS}"
    )
    assert holds >= 2
    assert ended[0][0]


def test_windows_never_follow_raw_rows_that_are_lost(store: ClickHouse) -> None:
    Ingest(store).batch(100)
    right = everything(store)
    damage(store, "raw_requests", "service = 'chat'")
    with pytest.raises(WrongData, match=r"1 batch lacks raw rows .*of 100 rows"):
        list(repair_of(store).run())
    assert everything(store) == right


def test_a_batch_that_reaches_beyond_retention_is_not_counted(store: ClickHouse) -> None:
    oldest_us = TODAY_US - (ROWS_KEPT_DAYS - 1) * DAY_US
    ingest = Ingest(store)
    ingest.batch(100, oldest_us - DAY_US // 2)  # half of it, by chance, on either side of the edge
    ingest.batch(50, oldest_us)
    # As retention leaves it: what is older than the edge is gone, or goes at the next merge.
    damage(store, "raw_requests", f"started_at < fromUnixTimestamp64Micro({oldest_us}, 'UTC')")
    records = RepairRecords(store, "w")
    span = Span(oldest_us, oldest_us + DAY_US)
    assert len(records.batches_lacking_rows(span, 0)) == 1
    assert len(records.check_rows(span, oldest_us)) == 1
    assert records.batches_lacking_rows(span, oldest_us) == []
    assert list(repair_of(store).restore_rows(RecordSource("127.0.0.1:9", {}))) == []
    list(repair_of(store).run())  # is not refused for want of rows
    damage(
        store, "raw_requests", f"_offset = (SELECT max(_offset) FROM {store.database}.raw_requests)"
    )
    with pytest.raises(WrongData, match="1 batch lacks raw rows"):
        list(repair_of(store).run())


def test_windows_of_rows_that_retention_may_have_taken_are_left_as_they_are(
    store: ClickHouse,
) -> None:
    oldest_us = TODAY_US - (ROWS_KEPT_DAYS - 1) * DAY_US
    ingest = Ingest(store)
    ingest.batch(100, oldest_us - DAY_US // 2)
    ingest.batch(50)
    right = everything(store)
    damage(store, "raw_requests", f"started_at < fromUnixTimestamp64Micro({oldest_us}, 'UTC')")
    damage(
        store,
        "raw_requests",
        f"_offset = (SELECT max(_offset) FROM {store.database}.raw_requests WHERE _offset < 100)",
    )
    damage(store, "windows_1d", f"toDate(window_start) = toDate({TODAY_US // 1_000_000})")
    with pytest.raises(WrongData, match=r"left as they are: .* 1 batch .*events/0 \[0, 100\)"):
        list(repair_of(store).run())
    assert everything(store) == right  # the other day is repaired


def test_a_batch_begun_a_moment_ago_is_waited_for_and_an_old_one_left_to_its_heir(
    store: ClickHouse,
) -> None:
    ingest = Ingest(store)
    ingest.batch(100)
    open_batch = ingest.begin(30)
    damage(store, "windows_1d", "1")
    hasty = repair_of(store)
    hasty.quiet._timeout_s = 0.5
    with pytest.raises(NotQuiet, match=r"events/0 \[100, 130\) of log log .*not finished"):
        list(hasty.run())
    ingest.end(open_batch)
    assert list(repair_of(store).run())

    # Whether its windows are in is not known: repair takes them out, and a worker that resumes
    # the batch, so late, finds that they are not.
    right = everything(store)
    old = ingest.begin(40, sealed_at_us=NOW_US - 2 * TOKEN_WINDOW_US)
    deltas = to_arrow("windows_10s", old.fold())
    store.insert("windows_10s", deltas, "old")
    assert sum(c.events for c in repair_of(store).run()) == -40
    assert everything(store) == right


def test_an_unfinished_repricing_is_finished_first(store: ClickHouse) -> None:
    store.command(
        f"INSERT INTO {store.database}.reprice_runs (run_id, state) VALUES ('r1', 'planned')"
    )
    with pytest.raises(WrongData, match="repricing r1 is unfinished"):
        list(repair_of(store).run())


def test_a_coarse_table_is_not_made_from_a_finer_one_that_is_wrong(store: ClickHouse) -> None:
    Ingest(store).batch(100)
    right = everything(store)
    damage(store, "windows_1h", "1")
    list(repair_of(store, tables=["windows_1h"]).run())
    assert everything(store) == right
    damage(store, "windows_1m", "1")
    with pytest.raises(WrongData, match="windows_1m is wrong too, and windows_1h would be"):
        list(repair_of(store, tables=["windows_1h"]).run())


def test_the_command_says_what_it_found_and_did(
    store: ClickHouse, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path, sql_server: str,
) -> None:  # fmt: skip
    Ingest(store).batch(100)
    monkeypatch.setenv("TOKENTIDE_CLICKHOUSE_URL", sql_server)
    monkeypatch.setenv("TOKENTIDE_DATABASE", store.database)
    assert main(["repair", "--data-dir", str(tmp_path)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    damage(store, "windows_1d", "1")
    assert main(["repair", "--dry-run", "--data-dir", str(tmp_path)]) == 1
    assert "windows_1d [" in capsys.readouterr().out
    assert main(["repair", "--dry-run", "--json", "--data-dir", str(tmp_path)]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["dry_run"]
    assert [(each["table"], each["events"]) for each in report["corrections"]] == [
        ("windows_1d", 100)
    ]
    assert main(["repair", "--from", "1d", "--data-dir", str(tmp_path)]) == 0
    assert "+100 events" in capsys.readouterr().out
    assert main(["repair", "--from", "1d", "--to", "2d", "--data-dir", str(tmp_path)]) == 2
