"""What the store holds of the pipeline: refused, unpriced and lost events, and silent services."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tokentide_jobs.core.alert.pipeline import SHARES_OVER_US, PartOfWhole, SharedMetric
from tokentide_jobs.core.tables import DAY_US
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["read_shares", "read_silent"]

_QUERIES: Final[Mapping[SharedMetric, str]] = {
    "dead_letters": "pipeline/dead_letters",
    "unpriced": "pipeline/unpriced",
    "lost": "pipeline/lost",
}
_ALWAYS_US: Final = DAY_US // 4
"""Who reported in every five minutes for so long always reports."""


def read_shares(store: ClickHouse, now_us: int) -> dict[SharedMetric, PartOfWhole]:
    """Return what was counted over the last minutes; raises as `ClickHouse.select` does."""
    found: dict[SharedMetric, PartOfWhole] = {}
    for metric, query in _QUERIES.items():
        (row,) = store.select(query, {"since_us": now_us - SHARES_OVER_US[metric]})
        found[metric] = PartOfWhole(int(row["part"]), int(row["whole"]))
    return found


def read_silent(store: ClickHouse, until_us: int, silent_us: int) -> list[tuple[str, int]]:
    """Return services that always reported and fell silent, with the times of their last reports.

    Args:
        store: Where reports are.
        until_us: Everything that arrived by then is stored.
        silent_us: Without a report for so long a service is silent.
    """
    values = {
        "from_us": until_us - DAY_US,
        "until_us": until_us,
        "silent_us": silent_us,
        "always_us": _ALWAYS_US,
    }
    rows = store.select("pipeline/silent", values)
    return [(row["service"], row["last_us"]) for row in rows]
