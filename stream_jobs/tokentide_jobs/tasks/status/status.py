"""Reads the state of a pipeline: Kafka, the ledger in ClickHouse, and the workers it can ask.

It needs no worker and no embedded stack: lag is the distance between the ends of the topics and the
ledger's positions. What does not answer is said, and the rest is read all the same.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from tokentide_jobs.core.record.topics import log_ids
from tokentide_jobs.core.status import DroppingProducer, PartitionLag, Status
from tokentide_jobs.core.tables import DAY_US
from tokentide_jobs.errors import ConfigError, RetriableSinkError, ServiceUnreachable
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.kafka.admin import has_topic, topic_log_id
from tokentide_jobs.io.kafka.answer import kafka_answer
from tokentide_jobs.io.kafka.group import group_members
from tokentide_jobs.io.kafka.lag import record_times_ms
from tokentide_jobs.io.kafka.offsets import OffsetRange, offset_ranges
from tokentide_jobs.settings import Settings
from tokentide_jobs.settings.stack_file import workers_of_stack
from tokentide_jobs.tasks.status.worker_pages import ask_workers

__all__ = ["read_status"]

_RECENT_US: Final = 3_600 * 1_000_000
_LAST_BATCH_US: Final = 30 * DAY_US
"""How far back the last finished batch is looked for."""


def read_status(settings: Settings, store: ClickHouse, worker_urls: Sequence[str] = ()) -> Status:
    """Read everything that answers.

    Args:
        settings: Name the broker, the topics and the data directory.
        store: ClickHouse with the database of the pipeline.
        worker_urls: Health pages of workers elsewhere, `http://host:port`; those that announce
            themselves in the data directory are found by themselves.
    """
    found: dict[str, Any] = {"min_free_bytes": settings.min_free_bytes}
    found["workers"] = ask_workers(settings.data_dir, worker_urls)
    kept = workers_of_stack(settings.data_dir)
    found["stack_workers"], found["stack_age_s"] = kept.number, kept.age_s
    found["stack_detectors"] = kept.detectors
    logs: dict[str, tuple[str, dict[int, OffsetRange]]] = {}
    try:
        logs, found["group_members"] = kafka_answer(settings.kafka_bootstrap, _read_kafka(settings))
        ends = [held.end for _log_id, ranges in logs.values() for held in ranges.values()]
        found["log_end"] = sum(ends)
    except (ServiceUnreachable, ConfigError) as exc:
        found["kafka_problem"] = str(exc)
    try:
        found |= _read_store(store)
        found["lags"] = _lags(settings, store, logs)
    except (RetriableSinkError, ConfigError) as exc:
        found["clickhouse_problem"] = str(exc)
    except ServiceUnreachable as exc:
        found["kafka_problem"] = str(exc)
    return Status(**found)


async def _read_kafka(
    settings: Settings,
) -> tuple[dict[str, tuple[str, dict[int, OffsetRange]]], int | None]:
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


def _read_store(store: ClickHouse) -> Mapping[str, Any]:
    now_us = time.time_ns() // 1_000
    recent = {"since_us": now_us - _RECENT_US}
    (space,) = store.select("status/free_space")
    (last,) = store.select("status/last_batch", {"since_us": now_us - _LAST_BATCH_US})
    done_at_us = last["done_at_us"]
    dead_letters = store.select("status/dead_letters", recent)
    return {
        "free_bytes": space["free_bytes"] if space["disks"] else None,
        # A batch may end between the look at the clock and the answer.
        "last_batch_age_s": max(0, now_us - done_at_us) / 1e6 if done_at_us else None,
        "dead_letters": {row["reason"]: row["dead_letters"] for row in dead_letters},
        "dropping": tuple(
            DroppingProducer(**row) for row in store.select("status/dropping_producers", recent)
        ),
    }


def _lags(
    settings: Settings,
    store: ClickHouse,
    logs: Mapping[str, tuple[str, Mapping[int, OffsetRange]]],
) -> tuple[PartitionLag, ...]:
    wanted = sorted({log_id for log_id, _ranges in logs.values()})
    done = {
        (row["log_id"], row["topic"], row["partition"]): row["position"]
        for row in store.select("status/positions", {"log_ids": wanted})
    }
    lags = [
        PartitionLag(
            topic, partition, max(done.get((log_id, topic, partition), 0), held.start), held.end
        )
        for topic, (log_id, ranges) in logs.items()
        for partition, held in ranges.items()
    ]
    behind = {(lag.topic, lag.partition): (lag.position, lag.end) for lag in lags if lag.records}
    bootstrap = settings.kafka_bootstrap
    times = kafka_answer(bootstrap, record_times_ms(bootstrap, behind)) if behind else {}
    now_ms = time.time_ns() / 1e6
    return tuple(_aged(lag, times, now_ms) for lag in lags)


def _aged(
    lag: PartitionLag, times: Mapping[tuple[str, int], int | None], now_ms: float
) -> PartitionLag:
    """Say how long the oldest record has waited; of what nobody can read none waits."""
    place = (lag.topic, lag.partition)
    if place not in times:
        return lag
    stamp_ms = times[place]
    if stamp_ms is None:
        return replace(lag, position=lag.end)
    return replace(lag, oldest_ms=max(0.0, now_ms - stamp_ms))
