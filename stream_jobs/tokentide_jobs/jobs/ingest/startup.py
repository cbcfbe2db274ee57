"""What a worker does before it joins its group: wait for its services, learn the log, load prices.

Outside the group it holds no partition back, so it may wait as long as the services need.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from tokentide_jobs.backoff import Backoff
from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.record.topics import is_otlp, log_ids
from tokentide_jobs.errors import RetriableSinkError, ServiceUnreachable
from tokentide_jobs.io.clickhouse.card_store import write_cards
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.error_codes import SinkMisconfigured
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.io.kafka.admin import ensure_topics, topic_log_id
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.process_name import process_name
from tokentide_jobs.settings import Settings
from tokentide_schemas.topics import DEADLETTER, EVENTS, OTLP, WINDOWS_TOPIC

__all__ = ["prepare_logs", "prepare_store"]

_log = logging.getLogger(__name__)

_LONGEST_PAUSE_S = 10.0

T = TypeVar("T")


async def prepare_store(settings: Settings, store: ClickHouse, health: Health) -> CardTable:
    """Wait until ClickHouse answers and has the tables; register and return the prices in force.

    Raises:
        ConfigError: The prices file is wrong; waiting would not help.
    """
    cards = await asyncio.to_thread(compile_cards, settings.prices_file)
    ledger = LedgerStore(store)
    await _until_it_works(
        "ClickHouse", lambda: asyncio.to_thread(ledger.check), settings.retry_max_s, health
    )
    await _until_it_works(
        "ClickHouse",
        lambda: asyncio.to_thread(write_cards, store, cards, process_name()),
        settings.retry_max_s,
        health,
    )
    return cards


async def prepare_logs(settings: Settings, health: Health) -> tuple[dict[str, str], dict[str, str]]:
    """Wait until Kafka answers and the topics exist; return log ids and topic ids, by topic.

    They differ where somebody began a log anew; a change of a topic id while the worker runs means
    that the topic was made anew.

    Raises:
        ConfigError: Kafka refuses to create a topic, or knows no topic ids.
    """
    bootstrap = settings.kafka_bootstrap
    read = [replace(OTLP if is_otlp(name) else EVENTS, name=name) for name in settings.topics]
    topics = [*read, WINDOWS_TOPIC, DEADLETTER]
    report = await _until_it_works(
        "Kafka", lambda: ensure_topics(bootstrap, topics), settings.retry_max_s, health
    )
    for difference in report.differing:
        log_event(_log, logging.WARNING, "topic_differs", detail=str(difference))

    async def ask() -> dict[str, str]:
        return {name: await topic_log_id(bootstrap, name) for name in settings.topics}

    topic_ids = await _until_it_works("Kafka", ask, settings.retry_max_s, health)
    return log_ids(topic_ids, settings.restarted_logs), topic_ids


async def _until_it_works(
    service: str, work: Callable[[], Awaitable[T]], longest_pause_s: float, health: Health
) -> T:
    backoff = Backoff(longest_s=min(longest_pause_s, _LONGEST_PAUSE_S))
    for pause_s in backoff.pauses_s(random.random):
        try:
            return await work()
        except (ServiceUnreachable, RetriableSinkError, SinkMisconfigured) as exc:
            health.starting(f"{service}: {exc}")
            log_event(_log, logging.WARNING, "waiting_for_service", service=service, error=str(exc))
            await asyncio.sleep(pause_s)
    raise AssertionError("pauses never end")
