"""One engine for all crash schedules: slim databases of the real tables, price lists, workers."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect

from tests.chaos.crash_logs import BASE_US, incarnations
from tests.chaos.simulation import (
    TOPIC,
    Protocol,
    Schedule,
    SilentPublisher,
    SlimStore,
    Worker,
    other_limits,
)
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.embedded.clickhouse.process import ClickHouseProcess
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.io.schema.migrations import migrate
from tokentide_jobs.settings.stack_file import CLICKHOUSE_DIRECTORY

FULL_DATABASE = "tokentide"
FAULT_RATE = 0.14
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
        "user_hash",
        "run_id",
        "trace_id",
        "subject_kinds",
    ),
    "raw_evaluations": _IDENTITY,
    "raw_feedback": _IDENTITY,
    "raw_changes": _IDENTITY,
    "voided_rows": ("log_id", "_topic", "_partition", "_offset", "_idx", "raw_table"),
    "raw_stats": _IDENTITY,
    "windows_10s": _WINDOW,
    "windows_1m": _WINDOW,
    "subjects_1h": (
        *("window_start", "kind", "subject", "tenant"),
        *("requests", "input_tokens", "cost_pico_usd"),
    ),
}
"""Columns by table; none means all."""
SUMS_BY = {"windows": "(tenant, window_start)", "subjects": "(kind, tenant, subject, window_start)"}
"""Beginning of the name of a table of sums -> what they are by."""


@dataclass(frozen=True)
class Engine:
    url: str
    cards: dict[str, CardTable]
    version_rates: dict[str, tuple[int, int]]


@contextmanager
def running_engine(directory: Path) -> Iterator[Engine]:
    """Start an engine with one full database; it ends with the block.

    Args:
        directory: An empty one, or one in which the database is there already.
    """
    cards = {name: price_list(directory, name) for name in RATES}
    with ClickHouseProcess.start(directory / CLICKHOUSE_DIRECTORY) as server:
        with clickhouse_connect.get_client(dsn=server.dsn) as admin:
            migrate(admin, FULL_DATABASE)
        yield Engine(
            server.dsn,
            {table.price_version: table for table in cards.values()},
            {cards[name].price_version: rates for name, rates in RATES.items()},
        )


def played(
    engine: Engine,
    store: ClickHouse,
    publisher: SilentPublisher,
    number: int,
    topic: str = TOPIC,
    protocol: Protocol | None = None,
) -> Schedule:
    """Run the schedule of a number, which is its seed."""
    chance = random.Random(number)
    logs = incarnations(f"s{number}", chance, topic)
    schedule = Schedule(
        logs, store, publisher, engine.cards, worker_factory(engine), chance, protocol or Protocol()
    )
    schedule.run(FAULT_RATE)
    return schedule


def price_list(directory: Path, name: str) -> CardTable:
    path = directory / f"{name}.yaml"
    rates = {"input": RATES[name][0] / 1e6, "output": RATES[name][1] / 1e6}
    path.write_text(
        json.dumps([{"provider": "sim", "model": "*", "rates": rates, "reason": "simulated"}])
    )
    return compile_cards(path)


def slim_database(engine: Engine, name: str, kind: type[SlimStore] = SlimStore) -> SlimStore:
    """Return the real tables, engines and dedup windows, with the columns that the checks look at.

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
        order = next((key for name, key in SUMS_BY.items() if table.startswith(name)), "")
        engine_name = "AggregatingMergeTree" if order else "MergeTree"
        order = order or "tuple()"
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


def worker_factory(engine: Engine) -> Callable[[random.Random], Worker]:
    versions = sorted(engine.cards)

    def new_worker(chance: random.Random) -> Worker:
        late_us = chance.choice([0, 15_000_000])
        number = chance.randrange(10**6)
        return Worker(
            name=f"worker-{number}",
            limits=other_limits(chance),
            price_version=chance.choice(versions),
            # Some workers accept what others refuse: the intent has to decide.
            accepted_from_us=BASE_US + late_us,
            accepted_until_us=BASE_US + 60_000_000,
            sealed_at_us=BASE_US + chance.randrange(10**6),
            subject_kinds=chance.choice([("user", "run"), ("run",), ("user", "run"), ()]),
            max_subjects=chance.choice([1, 2, 100]),
            # Half of them do not know yet what was taken out.
            void_revision=number % 2,
        )

    return new_worker
