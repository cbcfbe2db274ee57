"""What a worker does before it joins its group: wait for its services, learn the log, load prices.

Outside the group it holds no partition back, so it may wait as long as the services need.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from tokentide_jobs.core.price.cards import CardTable
from tokentide_jobs.core.record.topics import is_otlp, log_ids
from tokentide_jobs.io.clickhouse.card_store import write_cards
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.files.price_source import compile_cards
from tokentide_jobs.io.kafka.admin import ensure_topics, topic_log_id
from tokentide_jobs.jobs.ingest.void_list import VoidList
from tokentide_jobs.jobs.runtime.health import Health
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.jobs.runtime.waiting import until_it_answers
from tokentide_jobs.process_name import process_name
from tokentide_jobs.settings import Settings
from tokentide_schemas.topics import DEADLETTER, EVENTS, OTLP, WINDOWS_TOPIC

__all__ = ["prepare_logs", "prepare_store"]

_log = logging.getLogger(__name__)


async def prepare_store(
    settings: Settings, store: ClickHouse, voids: VoidList, health: Health
) -> CardTable:
    """Wait until ClickHouse answers and has the tables; register and return the prices in force.

    What was taken out is known when it returns: the first batch may hold it again.

    Raises:
        ConfigError: The prices file is wrong; waiting would not help.
    """
    cards = await asyncio.to_thread(compile_cards, settings.prices_file)
    ledger = LedgerStore(store)
    await until_it_answers(
        "ClickHouse", lambda: asyncio.to_thread(ledger.check), settings.retry_max_s, health
    )
    await until_it_answers(
        "ClickHouse", lambda: asyncio.to_thread(voids.look), settings.retry_max_s, health
    )
    await until_it_answers(
        "ClickHouse",
        lambda: asyncio.to_thread(write_cards, store, cards, process_name()),
        settings.retry_max_s,
        health,
    )
    return cards


async def prepare_logs(settings: Settings, health: Health) -> tuple[dict[str, str], dict[str, str]]:
    """Wait until Kafka answers and the topics exist; return log ids and topic ids, by topic.

    They differ where a log was begun again; a change of a topic id while the worker runs means that
    the topic was made again.

    Raises:
        ConfigError: Kafka refuses to create a topic, or knows no topic ids.
    """
    bootstrap = settings.kafka_bootstrap
    read = [replace(OTLP if is_otlp(name) else EVENTS, name=name) for name in settings.topics]
    topics = [*read, WINDOWS_TOPIC, DEADLETTER]
    report = await until_it_answers(
        "Kafka", lambda: ensure_topics(bootstrap, topics), settings.retry_max_s, health
    )
    for difference in report.differing:
        log_event(_log, logging.WARNING, "topic_differs", detail=str(difference))

    async def ask() -> dict[str, str]:
        return {name: await topic_log_id(bootstrap, name) for name in settings.topics}

    topic_ids = await until_it_answers("Kafka", ask, settings.retry_max_s, health)
    return log_ids(topic_ids, settings.restarted_logs), topic_ids
