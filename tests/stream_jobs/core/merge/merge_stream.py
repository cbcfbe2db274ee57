"""One merge with its progress, as tests feed it: rows of deltas, marks, and what closes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl

from tests.stream_jobs.core.merge.delta_records import MINUTE_US, NOON_US, TOPIC, at, log
from tokentide_jobs.core.batch.progress_mark import ProgressMark
from tokentide_jobs.core.detect.window_metrics import metric_at
from tokentide_jobs.core.merge.completeness import Progress
from tokentide_jobs.core.merge.key_levels import DEFAULT_LEVELS, KeyLevel
from tokentide_jobs.core.merge.open_windows import WANTED
from tokentide_jobs.core.merge.window_merge import MergedWindow, WindowMerge

SECOND_US = 1_000_000
SETTLE_US = SECOND_US
LONGEST_US = 300 * SECOND_US
REQUESTS, COST, P95 = map(metric_at, ("requests", "cost_usd_per_minute", "latency_p95_ms"))


class Stream:
    """One merge with its progress, and what it closed."""

    def __init__(self, sources: int = 1, fast_levels: Sequence[KeyLevel] = ()) -> None:
        self.progress = Progress(SETTLE_US)
        self.merge = WindowMerge(DEFAULT_LEVELS, MINUTE_US, LONGEST_US, fast_levels)
        self.closed: list[MergedWindow] = []
        self._sources = {TOPIC: sources}

    def add(self, rows: pl.DataFrame) -> None:
        self.merge.add(rows.select(list(WANTED)), self.progress.complete_us())

    def mark(
        self,
        arrived_us: int | None,
        *,
        now_us: int | None = None,
        source: int = 0,
        log_id: str = "log-1",
    ) -> None:
        now_us = now_us if now_us is not None else arrived_us or 0
        self.progress.clock(now_us)
        newest_mark = ProgressMark(
            log=log(source, log_id), position=0, log_end=0, arrived_us=arrived_us,
            max_event_us=None, at_us=now_us, sources=self._sources,
        )  # fmt: skip
        self.progress.note(0, newest_mark)
        self.closed += self.merge.close(self.progress)

    def marks(self, from_us: int, until_us: int, **source: Any) -> None:
        """Mark every ten seconds, as ingest does while nothing is behind."""
        for now_us in range(from_us, until_us + 1, 10_000_000):
            self.mark(now_us, **source)

    @property
    def starts(self) -> list[int]:
        return [(window.start_us - NOON_US) // MINUTE_US for window in self.closed]


def row(minute: float = 0, tenant: str = "acme", requests: int = 1, **sums: Any) -> dict[str, Any]:
    start_us = NOON_US + int(minute * 6) * 10_000_000
    return {
        "window_start": at(start_us), "tenant": tenant, "model": "m", "requests": requests, **sums,
    }  # fmt: skip


def values(window: MergedWindow, key: str) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = window.sums.values[:, window.sums.keys.index(key)]
    return found


def same(left: Iterable[MergedWindow], right: Iterable[MergedWindow]) -> bool:
    return all(
        one.start_us == other.start_us
        and one.sums.keys == other.sums.keys
        and np.array_equal(one.sums.values, other.sums.values, equal_nan=True)
        and np.array_equal(one.sums.counts, other.sums.counts)
        for one, other in zip(left, right, strict=True)
    )
