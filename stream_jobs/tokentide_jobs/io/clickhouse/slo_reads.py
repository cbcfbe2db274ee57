"""How SLOs stand, from stored windows: one statement an SLO; and the rows that keep it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

from tokentide_jobs.core.slo.slo import Slo
from tokentide_jobs.core.slo.slo_status import (
    SloStatus,
    WindowCounts,
    count,
    reads_of,
    status_of,
)
from tokentide_jobs.core.tables import SLO_STATUS
from tokentide_jobs.core.window.fold import DIMENSIONS
from tokentide_jobs.io.clickhouse.client import ClickHouse

__all__ = ["read_slos", "store_slos"]

_SECOND_US: Final = 1_000_000
_ROWS: Final = pa.schema(
    {
        **dict.fromkeys(("slo", "tenant", "severity", "sentence"), pa.string()),
        "scope": pa.map_(pa.string(), pa.string()),
        "at": pa.timestamp("s", "UTC"),
        **dict.fromkeys(("objective", "budget_left", "burn"), pa.float64()),
        "window_days": pa.uint16(),
        **dict.fromkeys(("total", "bad"), pa.uint64()),
    }
)


def read_slos(store: ClickHouse, slos: Sequence[Slo], now_us: int) -> list[SloStatus]:
    """Return how every SLO stands, in the order given.

    Raises:
        RetriableSinkError: ClickHouse does not answer.
    """
    return [status_of(one, _windows(store, one, now_us), now_us) for one in slos]


def store_slos(store: ClickHouse, found: Sequence[SloStatus]) -> None:
    """Keep how SLOs stand; the same look is kept once."""
    for one in found:
        burn = one.burning or one.burns[-1]
        row = {
            "slo": one.slo.name, "tenant": dict(one.slo.scope).get("tenant", ""),
            "scope": list(one.slo.scope), "at": one.at_us // _SECOND_US,
            "objective": one.slo.objective, "window_days": one.slo.window_days,
            "total": one.total, "bad": one.bad, "budget_left": one.budget_left, "burn": burn.long,
            "severity": burn.rule.severity if one.burning else "", "sentence": one.sentence,
        }  # fmt: skip
        rows = pa.Table.from_pylist([row], schema=_ROWS)
        store.insert(SLO_STATUS, rows, f"{SLO_STATUS}/{one.slo.name}/{one.at_us}")


def _windows(store: ClickHouse, slo: Slo, now_us: int) -> list[WindowCounts]:
    reads, wanted = reads_of(slo, now_us), dict(slo.scope)
    values: dict[str, Any] = {
        "hours": _seconds(reads.hours),
        "minutes": _seconds(reads.minutes),
        "of_ttft": slo.good.what == "ttft_ms",
        "bucket": slo.good.bucket,
        **{name: [wanted[name]] if name in wanted else [] for name in DIMENSIONS},
    }
    return [
        WindowCounts(
            row["start_s"] * _SECOND_US,
            (row["start_s"] + row["length_s"]) * _SECOND_US,
            *count(slo, row),
        )
        for row in store.select("slos/windows", values)
    ]


def _seconds(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(start_us // _SECOND_US, end_us // _SECOND_US) for start_us, end_us in ranges]
