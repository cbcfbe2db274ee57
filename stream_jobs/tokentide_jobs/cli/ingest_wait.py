"""Waits, with a bar, until ingest has stored what was sent."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from rich.console import Console

from tokentide_jobs.cli.progress import counting_progress
from tokentide_jobs.errors import ServiceUnreachable
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_lag import ends_of_logs, unread_offsets
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.settings import Settings
from tokentide_jobs.tasks.summary import read_pipeline

__all__ = ["wait_for_ingest"]

_TIMEOUT_S: Final = 90.0


def wait_for_ingest(
    settings: Settings, store: ClickHouse, since_us: int, events: int, screen: Console
) -> None:
    """Wait until the ledger has reached the present end of the log.

    Raises:
        ServiceUnreachable: It has not moved for a long time.
    """
    ends = asyncio.run(
        ends_of_logs(settings.kafka_bootstrap, [settings.events_topic], settings.restarted_logs)
    )
    ledger = LedgerStore(store)
    last: int | None = None
    last_progress_s = time.monotonic()
    with counting_progress(screen, "ingesting", events, "events") as update:
        while True:
            unread = unread_offsets(ledger, ends)
            if not unread:
                return
            if unread != last:
                last, last_progress_s = unread, time.monotonic()
            if time.monotonic() - last_progress_s > _TIMEOUT_S:
                raise ServiceUnreachable(
                    f"ingest has not moved for {_TIMEOUT_S:g} s: look at "
                    f"{settings.data_dir}/logs, and that a worker runs"
                )
            update(read_pipeline(store, since_us).events)
            time.sleep(0.1)
