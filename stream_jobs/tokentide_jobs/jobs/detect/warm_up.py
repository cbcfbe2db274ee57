"""Learns from stored windows what the stream did not bring: on a first start, and for new levels.

The stream is watched from a window on; what is stored before that is complete, as the marks of
ingest show. What is read depends on that window and on what is stored alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from functools import partial

from tokentide_jobs.core.decide.decider import Decider
from tokentide_jobs.core.decide.detect_rules import DetectRules, WindowWatch
from tokentide_jobs.core.decide.history import learn_history, stride_for, unlearned_levels
from tokentide_jobs.core.merge.delta_record import DeltaRecord
from tokentide_jobs.core.merge.stored_windows import stored_windows
from tokentide_jobs.core.merge.window_merge import MergedWindow
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.stored_history import history_span, pieces, read_history
from tokentide_jobs.jobs.runtime.log import log_event
from tokentide_jobs.jobs.runtime.waiting import Storing

__all__ = ["learn_stored", "until_watched"]

_log = logging.getLogger(__name__)


def until_watched(decider: Decider, records: Iterator[DeltaRecord]) -> Iterator[DeltaRecord]:
    """Yield records until the decider, which takes them, knows from where on it watches."""
    while decider.merge.closed_until_us < 0:
        record = next(records, None)
        if record is None:
            return
        yield record


def learn_stored(decider: Decider, rules: DetectRules, store: ClickHouse, storing: Storing) -> int:
    """Learn the windows that are stored before those that are watched; return how many.

    Args:
        decider: Watches from a known window on.
        rules: What is watched.
        store: Where windows are.
        storing: Runs a step until the store takes it.
    """
    return sum(_learn(decider, one, store, storing) for one in rules.watches if one.levels)


def _learn(decider: Decider, watch: WindowWatch, store: ClickHouse, storing: Storing) -> int:
    length_us, merge = watch.length_us, decider.merge
    is_usual = length_us == merge.length_us
    until_us = merge.closed_until_us if is_usual else merge.fast_until_us
    state = decider.watched.by_length[length_us].state
    span = storing("history", partial(history_span, store, until_us, length_us))
    if span is None:
        return 0
    stored = [level for level in watch.levels if span.dimensions.issuperset(level)]
    levels = unlearned_levels(state, stored, span.oldest_us, until_us, watch.parameters)
    if not levels:
        return 0
    began_s = time.monotonic()
    stride = stride_for(span.windows, span.rows, span.series, length_us)

    def windows() -> Iterator[MergedWindow]:
        for begin_us, end_us in pieces(span, until_us, stride):
            read = partial(read_history, store, length_us, begin_us, end_us, stride)
            yield from stored_windows(storing("history", read), levels, length_us)

    count = learn_history(state, levels, windows(), watch.parameters)
    log_event(
        _log, logging.INFO, "learned_from_stored_windows", window_s=length_us // 1_000_000,
        windows=count, one_of=stride,
        oldest_us=span.oldest_us, keys=len(state.keys),
        seconds=round(time.monotonic() - began_s, 1),
    )  # fmt: skip
    return count
