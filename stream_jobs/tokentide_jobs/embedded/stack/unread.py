"""Before a broker that keeps its log in memory stops: let the workers read what it holds.

Records that a producer knows to be stored must not be lost by a normal stop. The wait is
bounded, because a stop must end. What is left by then is counted and reported.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from typing import Final

from tokentide_jobs.embedded.stack.discovery import StackInfo
from tokentide_jobs.errors import PipelineError
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_lag import ends_of_logs, unread_offsets
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_schemas.topics import OTLP

__all__ = ["unread_records"]

_LOOK_EVERY_S: Final = 0.1
_ANSWER_S: Final = 2.0
"""How long broker and ClickHouse may take to answer; both are on this machine."""


def unread_records(info: StackInfo, timeout_s: float, database: str = "tokentide") -> int | None:
    """Wait until the ledger has reached the end that the log has now.

    Must not be called in a running event loop.

    Args:
        info: Addresses of a stack with ClickHouse.
        timeout_s: How long to wait at most; 0 looks once.
        database: Where the ledger is.

    Returns:
        How many records no finished batch holds; None when broker or ClickHouse does not answer.
    """
    deadline = time.monotonic() + timeout_s
    try:
        # Records that arrive from now on are not waited for: their senders see the broker go.
        topics = (info.events_topic, OTLP.name)
        asked = ends_of_logs(info.kafka, topics, info.restarted_logs)
        ends = asyncio.run(asyncio.wait_for(asked, _ANSWER_S))
        with closing(ClickHouse(info.clickhouse_dsn, database, timeout_s=_ANSWER_S)) as store:
            ledger = LedgerStore(store)
            while True:
                unread = unread_offsets(ledger, ends)
                if not unread or time.monotonic() >= deadline:
                    return unread
                time.sleep(_LOOK_EVERY_S)
    except (PipelineError, TimeoutError):
        return None
