"""Reads the state of a pipeline: Kafka, the ledger in ClickHouse, and the workers it can ask.

It needs no worker and no embedded stack: lag is the distance between the ends of the topics and the
ledger's positions. What does not answer is reported, and the rest is read all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tokentide_jobs.core.failing_receiver import FailingReceiver
from tokentide_jobs.core.partition_lag import PartitionLag
from tokentide_jobs.core.record.topics import log_ids
from tokentide_jobs.core.status import DroppingProducer, Status
from tokentide_jobs.core.tables import DAY_US, HOUR_US
from tokentide_jobs.errors import ConfigError, RetriableSinkError, ServiceUnreachable
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import (
    LOGIN_REFUSED,
    SCHEMA_DAMAGED,
    RowsRefused,
    SinkMisconfigured,
)
from tokentide_jobs.io.kafka.admin import has_topic, topic_log_id
from tokentide_jobs.io.kafka.answer import kafka_answer
from tokentide_jobs.io.kafka.group import group_members
from tokentide_jobs.io.kafka.lag import record_times_ms
from tokentide_jobs.io.kafka.offsets import OffsetRange, offset_ranges
from tokentide_jobs.settings import Settings
from tokentide_jobs.settings.stack_file import workers_of_stack
from tokentide_jobs.tasks.status.schema import schema_problems
from tokentide_jobs.tasks.status.worker_pages import ask_workers

__all__ = ["read_status"]

_Logs = Mapping[str, tuple[str, Mapping[int, OffsetRange]]]
"""Log id and offsets of every topic."""

_RECENT_US: Final = HOUR_US
_LAST_BATCH_US: Final = 30 * DAY_US
"""How far back the last finished batch is looked for."""


def read_status(
    settings: Settings,
    store: ClickHouse,
    worker_urls: Sequence[str] = (),
    *,
    looks_again: bool = False,
) -> Status:
    """Read everything that answers.

    Args:
        settings: Name the broker, the topics and the data directory.
        store: ClickHouse with the database of the pipeline.
        worker_urls: Health pages of workers elsewhere, `http://host:port`; those that announce
            themselves in the data directory are found by themselves.
        looks_again: Wait some seconds for a schema that differs, and look at it again.
    """
    found: dict[str, Any] = {"min_free_bytes": settings.min_free_bytes}
    found["workers"] = ask_workers(settings.data_dir, worker_urls)
    kept = workers_of_stack(settings.data_dir)
    found["stack_workers"], found["stack_age_s"] = kept.number, kept.age_s
    found["stack_detectors"] = kept.detectors
    logs: _Logs | None = None
    try:
        logs, found["group_members"] = kafka_answer(settings.kafka_bootstrap, _read_kafka(settings))
        ends = [held.end for _log_id, ranges in logs.values() for held in ranges.values()]
        found["log_end"] = sum(ends)
    except (ServiceUnreachable, ConfigError) as exc:
        found |= _kafka_problem(exc)
    reading = _FactReader()
    if _read_store(store, reading, looks_again=looks_again) and logs is not None:
        try:
            reading.take(lambda: {"lags": _lags(settings, store, logs)})
        except ServiceUnreachable as exc:
            found |= _kafka_problem(exc)
    return Status(**found, **reading.found, refused=tuple(reading.refused))


class _FactReader:
    """Reads facts one by one, so that one that is refused costs no other.

    Attributes:
        found: What was read, by the names of `Status`.
        refused: What ClickHouse refused, in its words.
    """

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}
        self.refused: list[str] = []

    def take(self, read: Callable[[], Mapping[str, Any]]) -> bool:
        """Read some facts; False when there is no sense in asking for more."""
        try:
            self.found |= read()
        except (RetriableSinkError, SinkMisconfigured, RowsRefused) as exc:
            if exc.code is None or exc.code in LOGIN_REFUSED:
                self.found["clickhouse_problem"] = str(exc)
                self.found["clickhouse_answers"] = exc.code is not None
                return False
            # What a table that is gone holds cannot be read: the schema's own problem reports it.
            if not (self.found.get("schema") and exc.code in SCHEMA_DAMAGED):
                self.refused.append(str(exc))
        return True


def _kafka_problem(exc: Exception) -> dict[str, Any]:
    return {"kafka_problem": str(exc), "kafka_answers": not isinstance(exc, ServiceUnreachable)}


async def _read_kafka(settings: Settings) -> tuple[_Logs, int | None]:
    """Return log id and ranges by topic, and the members of the group."""
    bootstrap = settings.kafka_bootstrap
    topic_ids = {
        topic: await topic_log_id(bootstrap, topic)
        for topic in settings.topics
        if topic == settings.events_topic or await has_topic(bootstrap, topic)
    }
    ids = log_ids(topic_ids, settings.restarted_logs)
    logs = {topic: (ids[topic], await offset_ranges(bootstrap, topic)) for topic in topic_ids}
    return logs, await group_members(bootstrap, settings.group)


def _read_store(store: ClickHouse, reading: _FactReader, *, looks_again: bool) -> bool:
    """Read what needs no broker; False when ClickHouse answers nothing."""
    now_us = time.time_ns() // 1_000
    recent = {"since_us": now_us - _RECENT_US}

    def free_space() -> Mapping[str, Any]:
        (space,) = store.select("status/free_space")
        return {"free_bytes": space["free_bytes"] if space["disks"] else None}

    def schema() -> Mapping[str, Any]:
        return {"schema": schema_problems(store, looks_again=looks_again)}

    def last_batch() -> Mapping[str, Any]:
        (last,) = store.select("status/last_batch", {"since_us": now_us - _LAST_BATCH_US})
        done_at_us = last["done_at_us"]
        # A batch may end between the look at the clock and the answer.
        age_s = max(0, now_us - done_at_us) / 1e6 if done_at_us else None
        return {"knows_last_batch": True, "last_batch_age_s": age_s}

    def dead_letters() -> Mapping[str, Any]:
        rows = store.select("status/dead_letters", recent)
        return {"dead_letters": {row["reason"]: row["dead_letters"] for row in rows}}

    def dropping() -> Mapping[str, Any]:
        rows = store.select("status/dropping_producers", recent)
        return {"dropping": tuple(DroppingProducer(**row) for row in rows)}

    def receivers() -> Mapping[str, Any]:
        rows = store.select("status/failing_receivers", recent)
        return {"failing_receivers": tuple(FailingReceiver(**row) for row in rows)}

    facts = (free_space, schema, last_batch, dead_letters, dropping, receivers)
    return all(map(reading.take, facts))


def _lags(
    settings: Settings,
    store: ClickHouse,
    logs: _Logs,
) -> tuple[PartitionLag, ...]:
    wanted = sorted({log_id for log_id, _ranges in logs.values()})
    done = {
        (row["log_id"], row["topic"], row["partition"]): row["position"]
        for row in store.select("status/positions", {"log_ids": wanted})
    }
    lags = [
        PartitionLag(
            topic,
            partition,
            position=max(done.get((log_id, topic, partition), 0), held.start),
            end=held.end,
            behind_transaction=held.behind_transaction,
        )
        for topic, (log_id, ranges) in logs.items()
        for partition, held in ranges.items()
    ]
    behind = {(lag.topic, lag.partition): (lag.position, lag.end) for lag in lags if lag.records}
    bootstrap = settings.kafka_bootstrap
    times = kafka_answer(bootstrap, record_times_ms(bootstrap, behind)) if behind else {}
    held = {
        (lag.topic, lag.partition): (lag.end, lag.end + lag.behind_transaction)
        for lag in lags
        if lag.behind_transaction
    }
    opened = (
        kafka_answer(bootstrap, record_times_ms(bootstrap, held, is_committed=False))
        if held
        else {}
    )
    now_ms = time.time_ns() / 1e6
    return tuple(_held_back(_aged(lag, times, now_ms), opened, now_ms) for lag in lags)


def _aged(
    lag: PartitionLag, times: Mapping[tuple[str, int], int | None], now_ms: float
) -> PartitionLag:
    """Set how long the oldest record has waited; where none can be read, none waits."""
    place = (lag.topic, lag.partition)
    if place not in times:
        return lag
    stamp_ms = times[place]
    if stamp_ms is None:
        return replace(lag, position=lag.end)
    return replace(lag, oldest_ms=max(0.0, now_ms - stamp_ms))


def _held_back(
    lag: PartitionLag, opened: Mapping[tuple[str, int], int | None], now_ms: float
) -> PartitionLag:
    """Set since when a transaction holds records back; where only markers are left, none does.

    That is so where its records were deleted while it was open (see `io.kafka.offsets`).
    """
    place = (lag.topic, lag.partition)
    if place not in opened:
        return lag
    stamp_ms = opened[place]
    if stamp_ms is None:
        return replace(lag, behind_transaction=0)
    return replace(lag, transaction_ms=max(1.0, now_ms - stamp_ms))
