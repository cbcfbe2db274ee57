"""Reading stored requests for pricing: the columns `pricing.price` needs, under their own names.

What ingest priced from the event and what is priced again from the stored row is the same frame,
so the same cards give the same cost.
"""

from __future__ import annotations

from typing import Any

from tokentide_jobs.core.price.pricing import TOKEN_COLUMNS
from tokentide_jobs.core.price.vocabulary import CallTerms
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["COORDINATES", "PRICED_FIELDS", "find_requests"]

COORDINATES: tuple[str, ...] = ("log_id", "_topic", "_partition", "_offset", "_idx")
"""The identity of a row: its place in the log."""

PRICED_FIELDS: tuple[str, ...] = (
    *CallTerms._fields,
    "status",
    "usage_source",
    *TOKEN_COLUMNS,
    "chunks",
)
"""Columns of raw_requests that decide a price, besides started_at and other_units."""


def find_requests(store: ClickHouse, event_id: str) -> list[dict[str, Any]]:
    """Return every stored request with an event id, in the order of the log.

    Args:
        store: Where to look.
        event_id: A UUID; a producer may have sent it more than once.
    """
    return store.select("prices/request", {"event_id": event_id})
