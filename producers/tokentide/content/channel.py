"""Prompts and responses to Kafka, apart from the events and never before them.

It has a queue, a backlog, counters and a connection of its own, on the same background thread.
Invariant: whatever happens to content (a topic that is missing, a quota, a backlog that is full),
events are not delayed, displaced or miscounted by it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from tokentide.delivery.buffer import Buffer
from tokentide.delivery.counters import Counters
from tokentide.delivery.transport import FrameRejected
from tokentide.log import RateLimitedLog
from tokentide.settings import Settings

if TYPE_CHECKING:
    from tokentide.delivery.dispatcher import Dispatcher
    from tokentide.delivery.encoding import Encoder
    from tokentide.delivery.framing import Frame
    from tokentide.delivery.transport import FrameSender

QUEUE_CHARS = 4 * 1024 * 1024
"""Characters that may wait to be encoded; the queue is as many of the longest records."""
BACKLOG_SHARE = 4
"""Of the memory for encoded events, content gets a quarter on top."""
SCHEMA = b"tokentide.content/1"


class ContentChannel:
    """Takes content records of one engine and sends them to the content topic.

    Args:
        settings: The producer's; those of the channel are derived from them.
        log: The producer's.
    """

    def __init__(self, settings: Settings, log: RateLimitedLog) -> None:
        longest = 2 * settings.content_max_chars
        self.settings = replace(
            settings,
            topic=settings.content_topic,
            queue_events=min(settings.queue_events, max(8, QUEUE_CHARS // longest)),
            backlog_bytes=max(1024, settings.backlog_bytes // BACKLOG_SHARE),
            drop_policy="newest",
            spool_dir="",  # no setting asks for prompts on the disk
        )
        self.buffer = Buffer(self.settings.queue_events, keeps_oldest=True)
        self.put = self.buffer.put
        self.counters = Counters()
        self._log = _ContentLog(log)
        self._dispatcher: Dispatcher | None = None
        self._written_off = 0

    @property
    def queued(self) -> int:
        """Content records in memory, wherever they are."""
        dispatcher = self._dispatcher
        return len(self.buffer) + (dispatcher.queued if dispatcher is not None else 0)

    @property
    def is_stuck(self) -> bool:
        """Whether the latest attempt to send failed."""
        return self.counters.is_failing

    def make_sender(self, given: FrameSender | None, producer_id: str) -> FrameSender:
        """Return the channel's own connection; on the background thread.

        Args:
            given: The host's sender instead of Kafka. It carries content when it has a method
                `for_topic(topic)` that returns a sender for another topic.
            producer_id: Sent with every record.
        """
        if given is None:
            from tokentide.delivery.kafka import KafkaFrameSender

            return KafkaFrameSender(
                self.settings, producer_id, self.counters.note_failure, self._log, schema=SCHEMA
            )
        for_topic: Callable[[str], FrameSender] | None = getattr(given, "for_topic", None)
        return _Refusing() if for_topic is None else for_topic(self.settings.topic)

    def make_dispatcher(self, sender: FrameSender, encoder: Encoder) -> Dispatcher:
        """Return the dispatcher that empties this channel; on the background thread."""
        from tokentide.delivery.dispatcher import Dispatcher

        self._dispatcher = Dispatcher(
            self.settings,
            self.buffer,
            encoder,
            sender,
            self.counters,
            put_stats=lambda: None,
            total_dropped=lambda: self.stats()["dropped"],
            log=self._log,
        )
        return self._dispatcher

    def flush(self, wait: Callable[[Dispatcher], bool]) -> bool:
        """Wait until the channel is empty: `wait` asks its dispatcher, once there is one."""
        dispatcher = self._dispatcher
        return self.queued == 0 if dispatcher is None else wait(dispatcher)

    def drop_dispatcher(self, reason: str) -> None:
        """Count what the dispatcher held as dropped: its thread has ended."""
        dispatcher, self._dispatcher = self._dispatcher, None
        if dispatcher is not None:
            self.counters.drop(reason, dispatcher.queued)

    def write_off(self) -> None:
        """Count what is left as dropped: the producer is closed."""
        left = self.queued
        self.counters.drop("closed", left - self._written_off)
        self._written_off = left

    def stats(self) -> dict[str, int]:
        """Return the channel's counters: captured = delivered + failed + dropped + queued."""
        return {
            "captured": self.buffer.offered.value,
            "delivered": self.counters.delivered,
            "failed": self.counters.failed,
            "dropped": self.buffer.refused.value + sum(self.counters.dropped.values()),
            "queued": max(0, self.queued - self._written_off),
        }


class _ContentLog(RateLimitedLog):
    """Says of what the lines are, and counts them apart from those about events."""

    __slots__ = ("_log",)

    def __init__(self, log: RateLimitedLog) -> None:
        super().__init__()
        self._log = log

    def report(self, kind: str, message: str, *values: object) -> None:
        """Write one warning of this kind about content."""
        self._log.report(f"content {kind}", f"captured content: {message}", *values)


class _Refusing:
    """Stands in for a host's sender that knows of one topic only: content is refused, counted."""

    async def connect(self) -> None:
        """Do nothing: it is always ready."""

    async def send(self, frames: Sequence[Frame]) -> None:
        """Refuse."""
        raise FrameRejected("the sender has no for_topic(topic), so it cannot carry content")

    async def close(self) -> None:
        """Do nothing: there is no connection."""
