"""Counting the events of a log again, independently of ingest: a plain consumer and the splitter.

Nothing of the ingest path is used but `events_in`, the definition of an event. What the broker no
longer has cannot be counted again; it is left out, and the ledger speaks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tokentide_jobs.core.record.contents import events_in
from tokentide_jobs.io.kafka.spans import Span, read_spans

__all__ = ["count_events"]


async def count_events(
    bootstrap: str,
    topic: str,
    spans: Mapping[int, Sequence[Span]],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[tuple[int, int], int]:
    """Read ranges of offsets as `read_spans` does, and count their events.

    Returns:
        Events by (partition, start of range).
    """
    counts = {(part, start): 0 for part, ranges in spans.items() for start, _end in ranges}

    def take(start: int, message: Any) -> None:
        counts[message.partition, start] += len(events_in(topic, message.value or b""))

    await read_spans(bootstrap, topic, spans, take, progress)
    return counts
