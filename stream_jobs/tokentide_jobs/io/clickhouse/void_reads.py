"""Which events are out, by the decisions of `tokentide void`: what ingest and repair go by."""

from __future__ import annotations

from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["newest_void_revision", "unfinished_voids", "voided_ids"]


def newest_void_revision(store: ClickHouse) -> int:
    """Return the number of the newest decision, 0 when there is none; raises as `select`."""
    (row,) = store.select("void/newest")
    return int(row["revision"])


def voided_ids(store: ClickHouse, revision: int) -> frozenset[str]:
    """Return the ids of events that were out at a decision; raises as `select`.

    Args:
        store: Where the decisions are.
        revision: The last decision that counts; 0: none.
    """
    if not revision:
        return frozenset()
    rows = store.select("void/ids", {"revision": revision})
    return frozenset(str(row["event_id"]).lower() for row in rows)


def unfinished_voids(store: ClickHouse) -> list[tuple[str, str]]:
    """Return (event id, place) of rows that are written down as taken out and are still there.

    Raw tables are searched only where anything was ever taken out.
    """
    if not newest_void_revision(store):
        return []
    return [(str(row["id"]), str(row["place"])) for row in store.select("void/unfinished")]
