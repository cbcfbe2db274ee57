"""Batches written as ingest writes them, in whole or in part, the sums over them, and damage."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Collection
from typing import Any

import polars as pl

from tokentide_jobs.core.batch.ledger import Intent, LogPartition
from tokentide_jobs.core.outcome.arrow import to_arrow
from tokentide_jobs.core.outcome.outcome import Outcome, process
from tokentide_jobs.core.record.dead_letter import VOIDED
from tokentide_jobs.core.record.record import Record
from tokentide_jobs.core.tables import DAY_US, SUBJECTS, WINDOWS
from tokentide_jobs.core.window.difference import SERIES, SUMS
from tokentide_jobs.core.window.fold import HISTOGRAMS
from tokentide_jobs.core.window.subjects import SUBJECT_SUMS
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_store import DoneBatch, LedgerStore
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.tasks.repair.repair import TABLES

CARDS = compile_cards()
NOW_US = time.time_ns() // 1000
TODAY_US = NOW_US // DAY_US * DAY_US
OLD_US = TODAY_US - 20 * DAY_US
"""A day without ten-second windows: retention has dropped them, or will any moment."""
TOKEN_WINDOW_US = 600_000_000


def event(chance: random.Random, day_us: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "started_at_us": day_us + chance.randrange(min(DAY_US, NOW_US - day_us)),
        "service": chance.choice(["chat", "search"]),
        "tenant": chance.choice(["acme", "beta"]),
    }
    kind = chance.random()
    if kind < 0.1:
        judged = {"score": chance.random(), "passed": chance.random() < 0.5, "response_id": "r1"}
        return found | judged | {"type": "evaluation", "name": "safe", "evaluator": "guardrail"}
    if kind < 0.15:
        return found | {"type": "feedback", "name": "thumbs", "score": 1.0, "response_id": "r1"}
    return found | {
        "type": "request",
        "provider": "openai",
        "operation": "chat",
        "request_model": chance.choice(["gpt-4o", "gpt-4o-mini", "gpt-99"]),
        "duration_ms": chance.randrange(10, 50_000) / 10,
        "ttft_ms": chance.randrange(1, 10) / 11,
        "status": chance.choice(["ok", "ok", "error"]),
        "error_type": chance.choice(["timeout", "rate_limit"]),
        "finish_reasons": chance.choice([["length"], ["stop"]]),
        "stream": chance.random() < 0.5,
        "input_tokens": chance.randrange(300_000),
        "output_tokens": chance.randrange(3_000),
        "user_hash": chance.choice(["", "ann", "bob", "cyd", "dee"]),
        "run_id": f"run-{chance.randrange(9)}",
    }


class Ingest:
    """Batches of one partition, written as ingest writes them, in whole or in part."""

    def __init__(
        self,
        store: ClickHouse,
        seed: int = 1,
        log: str = "log",
        most_subjects: int = 99,
        voided: Collection[str] = (),
    ) -> None:
        self.store = store
        self.ledger = LedgerStore(store)
        self._log = LogPartition(log, "events", 0)
        self._chance = random.Random(seed)
        self._next = 0
        self._most_subjects = most_subjects
        self._voided = voided

    def begin(self, events: int, day_us: int = TODAY_US, sealed_at_us: int = 0) -> Outcome:
        """Write the intent, by default one of this moment, and the raw rows."""
        outcome = self.claim(events, day_us, sealed_at_us)
        self.write(outcome)
        return outcome

    def claim(self, events: int, day_us: int = TODAY_US, sealed_at_us: int = 0) -> Outcome:
        """Write the intent alone."""
        sealed_at_us = sealed_at_us or time.time_ns() // 1000
        records = [
            Record(0, self._next + n, 0, json.dumps(event(self._chance, day_us)).encode())
            for n in range(events)
        ]
        intent = Intent(
            self._log, self._next, self._next + events, CARDS.price_version,
            0, NOW_US + DAY_US, sealed_at_us, "test", ("user", "run"), self._most_subjects,
        )  # fmt: skip
        self._next += events
        self.ledger.claim(intent, events)
        outcome = process(records, intent, CARDS, voided=self._voided)
        refused = outcome.dead_letters.filter(pl.col("reason") != VOIDED)
        assert refused.is_empty(), refused["detail"].to_list()
        return outcome

    def write(self, outcome: Outcome) -> None:
        """Write the raw rows."""
        for table, rows in outcome.raw.items():
            self.store.insert(table, to_arrow(table, rows), outcome.intent.write_token(table))

    def end(self, outcome: Outcome) -> None:
        """Write windows, sums by subject and the done row."""
        intent = outcome.intent
        for table, deltas in ((WINDOWS, outcome.fold()), (SUBJECTS, outcome.fold_subjects())):
            self.store.insert(table, to_arrow(table, deltas), intent.write_token(table))
        first_us, last_us = outcome.started_range_us()
        values: dict[str, Any] = dict.fromkeys(DoneBatch.__dataclass_fields__, 0)
        values |= {"events": outcome.events, "adopted": False}
        values |= {"cost_pico_usd": outcome.cost_pico_usd()}
        values |= {"first_started_at_us": first_us, "last_started_at_us": last_us}
        self.ledger.finish(intent, DoneBatch(**values), "test")

    def batch(self, events: int, day_us: int = TODAY_US) -> None:
        self.end(self.begin(events, day_us))


def sums(store: ClickHouse, table: str) -> list[Any]:
    measures = [f"toString(sum({name}))" for name in SUMS]
    measures += [f"mapSort(mapFilter((k, v) -> v != 0, sumMap({name})))" for name in HISTOGRAMS]
    series = ", ".join(SERIES)
    rows = store.rows(
        f"SELECT {series}, {', '.join(measures)} FROM {store.database}.{table} "
        f"GROUP BY {series} HAVING sum(events) != 0 ORDER BY {series}"
    )
    return [tuple(row) for row in rows]


def subject_sums(store: ClickHouse, by: str = "subject, ") -> list[Any]:
    measures = ", ".join(f"toString(sum({name}))" for name in SUBJECT_SUMS)
    rows = store.rows(
        f"SELECT hour, kind, {by}tenant, service, {measures} "
        f"FROM {store.database}.subjects_1h GROUP BY hour, kind, {by}tenant, service "
        f"HAVING sum(requests) != 0 ORDER BY hour, kind, {by}tenant, service"
    )
    return [tuple(row) for row in rows]


def everything(store: ClickHouse) -> dict[str, list[Any]]:
    windows = {table: sums(store, table) for table in TABLES if table != SUBJECTS}
    return {**windows, SUBJECTS: subject_sums(store)}


def damage(store: ClickHouse, table: str, where: str) -> None:
    store.command(
        f"ALTER TABLE {store.database}.{table} DELETE WHERE {where} SETTINGS mutations_sync = 1"
    )
