"""Counting the events of a log again, independently of ingest: a plain consumer and the splitter.

Nothing of the ingest path is used but `contents_of`, the definition of an event. What the broker no
longer has cannot be counted again; it is left out, and the ledger's count stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tokentide_jobs.core.record.contents import contents_of
from tokentide_jobs.io.kafka.spans import Span, read_spans

__all__ = ["Counted", "count_events"]


class Counted(NamedTuple):
    """What a range of offsets holds.

    Attributes:
        events: Events to be judged.
        token_spans: Spans that carry tokens and are no call of a model, so no event.
    """

    events: int
    token_spans: int


async def count_events(
    bootstrap: str,
    topic: str,
    spans: Mapping[int, Sequence[Span]],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> dict[tuple[int, int], Counted]:
    """Read ranges of offsets as `read_spans` does, and count what they hold.

    Returns:
        What was counted, by (partition, start of range).
    """
    nothing = Counted(0, 0)
    counts = {(part, start): nothing for part, ranges in spans.items() for start, _end in ranges}

    def take(start: int, message: Any) -> None:
        held = contents_of(topic, message.value or b"")
        before = counts[message.partition, start]
        counts[message.partition, start] = Counted(
            before.events + len(held.events),
            before.token_spans + held.ignored.get("token_spans", 0),
        )

    await read_spans(bootstrap, topic, spans, take, progress)
    return counts
