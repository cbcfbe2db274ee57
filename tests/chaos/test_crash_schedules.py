"""Whatever dies, lingers or is lost: every event is stored once, every window and dollar is right.

Every schedule has a log of its own (`log_id`, `topic`, tenant), so that hundreds share one database
and are judged together at the end, by queries that know nothing of the pipeline.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest

from tests.chaos.crash_logs import BASE_US, OTLP_TOPIC, new_log
from tests.chaos.simulation import (
    TOPIC,
    Rules,
    Schedule,
    SilentPublisher,
    SimulatedLog,
    SlimStore,
    TokenlessStore,
    Worker,
    other_limits,
)
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.record.contents import events_in
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.io.schema.migrations import migrate

SCHEDULES = 300
FULL_SCHEDULES = 4
OTLP_SCHEDULES = 20
BROKEN_SCHEDULES = 12
FAULT_RATE = 0.14
FULL_DATABASE = "crash_full"
RATES = {"cheap": (1_000_000, 2_000_000), "dear": (3_000_000, 7_000_000)}
"""Pico-USD per input and output token, by the name of the price list."""

_IDENTITY = ("tenant", "log_id", "_topic", "_partition", "_offset", "_idx", "started_at")
_WINDOW = (
    "window_start",
    "tenant",
    "events",
    "requests",
    "input_tokens",
    "cost_pico_usd",
    "latency_hist",
)
SLIM_COLUMNS: dict[str, tuple[str, ...]] = {
    "ingest_intents": (),
    "ingest_positions": (),
    "dead_letters": (
        "log_id",
        "_topic",
        "_partition",
        "_offset",
        "_idx",
        "reason",
        "field",
        "detail",
    ),
    "raw_requests": (
        *_IDENTITY,
        "price_version",
        "input_tokens",
        "output_tokens",
        "cost_pico_usd",
    ),
    "raw_evaluations": _IDENTITY,
    "raw_feedback": _IDENTITY,
    "raw_changes": _IDENTITY,
    "raw_stats": _IDENTITY,
    "windows_10s": _WINDOW,
    "windows_1m": _WINDOW,
}
"""Columns by table; none means all."""

pytestmark = [pytest.mark.embedded, pytest.mark.slow]


@dataclass(frozen=True)
class Engine:
    url: str
    cards: dict[str, CardTable]
    version_rates: dict[str, tuple[int, int]]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    directory = tmp_path_factory.mktemp("crash")
    cards = {name: price_list(directory, name) for name in RATES}
    with ClickHouseProcess.start(directory / "clickhouse") as server:
        with clickhouse_connect.get_client(dsn=server.url) as admin:
            migrate(admin, FULL_DATABASE)
        yield Engine(
            server.url,
            {table.price_version: table for table in cards.values()},
            {cards[name].price_version: rates for name, rates in RATES.items()},
        )


def price_list(directory: Path, name: str) -> CardTable:
    path = directory / f"{name}.yaml"
    rates = {"input": RATES[name][0] / 1e6, "output": RATES[name][1] / 1e6}
    path.write_text(
        json.dumps([{"provider": "sim", "model": "*", "rates": rates, "reason": "simulated"}])
    )
    return compile_cards(path)


def test_no_crash_schedule_loses_doubles_or_misprices_anything(engine: Engine) -> None:
    store = slim_database(engine, "crash_schedules", SlimStore)
    publisher = SilentPublisher()
    logs = play(engine, store, publisher, SCHEDULES, Rules())
    assert wrong_logs(engine, store, logs) == {}
    check_published(store, publisher, logs)


def test_nor_does_any_with_every_column_and_rollup(engine: Engine) -> None:
    store = ClickHouse(engine.url, FULL_DATABASE)
    publisher = SilentPublisher()
    logs = play(engine, store, publisher, FULL_SCHEDULES, Rules())
    assert wrong_logs(engine, store, logs) == {}
    check_published(store, publisher, logs)


def test_nor_does_any_over_records_of_collectors(engine: Engine) -> None:
    store = slim_database(engine, "crash_otlp", SlimStore)
    publisher = SilentPublisher()
    logs = play(engine, store, publisher, OTLP_SCHEDULES, Rules(), OTLP_TOPIC)
    assert wrong_logs(engine, store, logs) == {}
    check_published(store, publisher, logs)


def test_without_the_ledger_most_schedules_are_wrong(engine: Engine) -> None:
    store = slim_database(engine, "crash_without_ledger", SlimStore)
    logs = play(engine, store, SilentPublisher(), BROKEN_SCHEDULES, Rules(uses_ledger=False))
    assert len(wrong_logs(engine, store, logs)) > BROKEN_SCHEDULES / 2


def test_without_tokens_most_schedules_are_wrong(engine: Engine) -> None:
    store = slim_database(engine, "crash_without_tokens", TokenlessStore)
    logs = play(engine, store, SilentPublisher(), BROKEN_SCHEDULES, Rules())
    assert len(wrong_logs(engine, store, logs)) > BROKEN_SCHEDULES / 2


def slim_database(engine: Engine, name: str, kind: type[SlimStore]) -> SlimStore:
    """The real tables, engines and dedup windows, with the columns that the checks look at.

    A wide table costs thirty milliseconds an insert, whatever is in it.
    """
    full = ClickHouse(engine.url, FULL_DATABASE)
    full.command(f"CREATE DATABASE {name}")
    columns: dict[str, list[str]] = {}
    for table, wanted in SLIM_COLUMNS.items():
        found = full.rows(
            "SELECT name, type FROM system.columns WHERE database = {database:String} "
            "AND table = {table:String} ORDER BY position",
            {"database": FULL_DATABASE, "table": table},
        )
        kept = [(column, kind_) for column, kind_ in found if not wanted or column in wanted]
        columns[table] = [column for column, _kind in kept]
        is_window = table.startswith("windows")
        engine_name = "AggregatingMergeTree" if is_window else "MergeTree"
        order = "(tenant, window_start)" if is_window else "tuple()"
        body = ", ".join(f"`{column}` {kind_}" for column, kind_ in kept)
        full.command(
            f"CREATE TABLE {name}.{table} ({body}) ENGINE = {engine_name} ORDER BY {order} "
            "SETTINGS non_replicated_deduplication_window = 10000"
        )
    rest = ", ".join(f"`{column}`" for column in columns["windows_1m"] if column != "window_start")
    full.command(
        f"CREATE MATERIALIZED VIEW {name}.to_1m TO {name}.windows_1m AS SELECT "
        f"toStartOfMinute(window_start) AS window_start, {rest} FROM {name}.windows_10s"
    )
    return kind(engine.url, name, columns)


def play(
    engine: Engine,
    store: ClickHouse,
    publisher: SilentPublisher,
    count: int,
    rules: Rules,
    topic: str = TOPIC,
) -> list[SimulatedLog]:
    """Run `count` schedules with seeds of their own; most of them must have met faults."""

    def run(number: int) -> Schedule:
        chance = random.Random(number)
        log = new_log(f"s{number}", chance, topic)
        schedule = Schedule(
            log, store, publisher, engine.cards, worker_factory(engine), chance, rules
        )
        schedule.run(FAULT_RATE)
        return schedule

    with ThreadPoolExecutor(3) as threads:  # the schedules know nothing of each other
        schedules = list(threads.map(run, range(count)))
    assert sum(schedule.faults for schedule in schedules) > count * 2
    return [schedule.log for schedule in schedules]


def worker_factory(engine: Engine) -> Any:
    versions = sorted(engine.cards)

    def new_worker(chance: random.Random) -> Worker:
        late_us = chance.choice([0, 15_000_000])
        return Worker(
            name=f"worker-{chance.randrange(10**6)}",
            limits=other_limits(chance),
            price_version=chance.choice(versions),
            # Some workers accept what others refuse: the intent has to decide.
            accepted_from_us=BASE_US + late_us,
            accepted_until_us=BASE_US + 60_000_000,
            sealed_at_us=BASE_US + chance.randrange(10**6),
        )

    return new_worker


RAW = ("raw_requests", "raw_evaluations", "raw_feedback", "raw_changes", "raw_stats")


def wrong_logs(engine: Engine, store: ClickHouse, logs: list[SimulatedLog]) -> dict[str, list[str]]:
    """Name what is wrong with each log, judged by the log itself and by plain sums."""
    database = f"`{store.database}`"
    raw = " UNION ALL ".join(
        f"SELECT log_id, _partition, _offset, _idx FROM {database}.{table}"
        for table in (*RAW, "dead_letters")
    )
    stored: dict[str, list[tuple[int, int, int]]] = {}
    for log_id, *place in store.rows(raw):
        stored.setdefault(log_id, []).append(tuple(place))
    windows = {row[0]: tuple(row[1:]) for row in store.rows(window_sums(database, "windows_10s"))}
    rollups = {row[0]: tuple(row[1:]) for row in store.rows(window_sums(database, "windows_1m"))}
    expected = raw_sums(engine, store)
    faults: dict[str, list[str]] = {}
    for log in logs:
        found = []
        if sorted(stored.get(log.log_id, [])) != places(log):
            found.append("events")
        if windows.get(log.log_id) != expected.get(log.log_id):
            found.append("windows")
        if rollups.get(log.log_id) != expected.get(log.log_id):
            found.append("rollups")
        if found:
            faults[log.log_id] = found
    return faults


def places(log: SimulatedLog) -> list[tuple[int, int, int]]:
    return sorted(
        (partition, record.offset, idx)
        for partition, records in log.records.items()
        for record in records
        for idx in range(len(events_in(log.topic, record.value)))
    )


def window_sums(database: str, table: str) -> str:
    return (
        "SELECT tenant, sum(events), sum(requests), sum(input_tokens), "
        "toString(sum(cost_pico_usd)), sum(arraySum(mapValues(latency_hist))) "
        f"FROM {database}.{table} GROUP BY tenant"
    )


def raw_sums(engine: Engine, store: ClickHouse) -> dict[str, tuple[Any, ...]]:
    """What the windows must say, from raw rows priced once more in plain integers."""
    sums: dict[str, list[int]] = {}
    for table in RAW:
        query = f"SELECT tenant, count() FROM `{store.database}`.{table} GROUP BY tenant"
        for tenant, rows in store.rows(query):
            sums.setdefault(tenant, [0, 0, 0, 0])[0] += rows
    query = (
        "SELECT tenant, price_version, input_tokens, output_tokens, cost_pico_usd "
        f"FROM `{store.database}`.raw_requests"
    )
    for tenant, version, input_tokens, output_tokens, cost in store.rows(query):
        input_rate, output_rate = engine.version_rates[version]
        assert cost == input_tokens * input_rate + output_tokens * output_rate
        total = sums[tenant]
        total[1] += 1
        total[2] += input_tokens
        total[3] += cost
    return {
        tenant: (events, requests, tokens, str(cost), requests)
        for tenant, (events, requests, tokens, cost) in sums.items()
    }


def check_published(
    store: ClickHouse, publisher: SilentPublisher, logs: list[SimulatedLog]
) -> None:
    """A reader of the deltas who drops repeats counts exactly the stored events."""
    query = f"SELECT log_id, sum(n) FROM ({events_by_log(store)}) GROUP BY log_id"
    stored = {log_id: events for log_id, events in store.rows(query)}
    heard: dict[str, int] = {}
    [topic] = {log.topic for log in logs}
    for token, events in publisher.deltas.items():
        log_id = token.removeprefix("windows/").split(f"/{topic}/")[0]
        heard[log_id] = heard.get(log_id, 0) + events
    assert heard == stored
    letters = f"SELECT count() FROM `{store.database}`.dead_letters"
    assert len(publisher.letters) == store.rows(letters)[0][0]
    assert {log.log_id for log in logs} >= set(stored)


def events_by_log(store: ClickHouse) -> str:
    return " UNION ALL ".join(
        f"SELECT log_id, count() AS n FROM `{store.database}`.{table} GROUP BY log_id"
        for table in RAW
    )
