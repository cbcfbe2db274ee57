"""Reading stored requests for pricing: the columns `pricing.price` needs, under their own names.

What ingest priced from the event and what is priced again from the stored row is the same frame,
so the same cards give the same cost.
"""

from __future__ import annotations

from typing import Any

from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["find_requests"]


def find_requests(store: ClickHouse, event_id: str) -> list[dict[str, Any]]:
    """Return every stored request with an event id, in the order of the log.

    Args:
        store: Where to look.
        event_id: A UUID; a producer may have sent it more than once.
    """
    return store.select("prices/request", {"event_id": event_id})
