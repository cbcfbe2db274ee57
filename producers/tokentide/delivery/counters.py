"""What a producer knows about itself: running counters, never reset.

At rest they add up: emitted + adopted = delivered + failed + dropped + queued + spooled. With
`stats` events and the field `dropped_before` they reach the pipeline, which measures its loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ProducerStats:
    """A snapshot of a producer's counters; counts of events since the process's first emit."""

    producer_id: str
    emitted: int
    """Events offered to the producer, its own `stats` events included."""
    delivered: int
    """Events the broker has acknowledged."""
    failed: int
    """Events the broker refused for good."""
    dropped: Mapping[str, int]
    """Events dropped in this process, by reason; docs/producer.md explains each reason."""
    queued: int
    """Events in memory: waiting, being encoded, or in flight."""
    delivered_frames: int
    delivered_bytes: int
    """Payload acknowledged, before compression."""
    retries: int
    """Attempts to connect or send that did not succeed."""
    fields_dropped: int
    """Fields left out of an event because no JSON can hold their value."""
    fields_altered: int
    """Fields shortened, or turned into text, to fit the event contract."""
    spooled: int
    """Events on the disk, waiting for the broker."""
    spool_bytes: int
    """Bytes of the files they are in."""
    replayed: int
    """Events that were on the disk and have left it: delivered or failed."""
    adopted: int
    """Events taken over from the disk, left there by processes that are gone."""
    spool_errors: int
    """Times the disk refused something, or had lost what was written to it."""
    redact_failures: int
    """Events that left without their texts because the redact hook failed on them."""
    content: Mapping[str, int]
    """Records of captured content: captured, delivered, failed, dropped, queued; else empty."""
    control: Mapping[str, int]
    """States that are read back: held, evicted, unreadable, overtaken, failures; else empty."""
    connected: bool
    last_error: str
    """The latest failure in words, empty when there was none."""

    @property
    def dropped_total(self) -> int:
        """Events dropped, whatever the reason."""
        return sum(self.dropped.values())


@dataclass(slots=True)
class Counters:
    """The background thread's counters: only that thread writes them."""

    delivered: int = 0
    failed: int = 0
    delivered_frames: int = 0
    delivered_bytes: int = 0
    retries: int = 0
    fields_dropped: int = 0
    fields_altered: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    replayed: int = 0
    adopted: int = 0
    spool_errors: int = 0
    connected: bool = False
    is_failing: bool = False
    """Whether attempts have failed since something was delivered."""
    last_error: str = ""

    def drop(self, reason: str, events: int = 1) -> None:
        """Count events that will never leave this process."""
        if events:
            self.dropped[reason] = self.dropped.get(reason, 0) + events

    def note_failure(self, error: BaseException | str) -> None:
        """Count one attempt that did not succeed and remember why."""
        self.retries += 1
        self.connected = False
        self.is_failing = True
        self.last_error = describe(error)


def stats_event(
    now: ProducerStats, uptime_ms: float, *, has_spool: bool, has_gate: bool
) -> dict[str, object]:
    """Return the counters as an event of type `stats`; what is on the disk is queued there."""
    tags = {
        **{f"dropped.{reason}": str(events) for reason, events in now.dropped.items()},
        "fields_dropped": str(now.fields_dropped),
        "fields_altered": str(now.fields_altered),
    }
    if has_spool:
        for name in ("spooled", "spool_bytes", "replayed", "adopted", "spool_errors"):
            tags[name] = str(getattr(now, name))
    if has_gate:
        tags["redact_failures"] = str(now.redact_failures)
    return {
        "type": "stats",
        "producer_id": now.producer_id,
        "uptime_ms": uptime_ms,
        "emitted": now.emitted,
        "delivered": now.delivered,
        "dropped": now.dropped_total,
        "failed": now.failed,
        "queued": now.queued + now.spooled,
        "frames": now.delivered_frames,
        "bytes_sent": now.delivered_bytes,
        "retries": now.retries,
        "last_error": now.last_error or None,
        "tags": {**tags, **{f"content.{name}": str(n) for name, n in now.content.items()}},
    }


def describe(error: BaseException | str) -> str:
    """Return one line about an error, bounded, whatever the error object does."""
    if isinstance(error, str):
        return error[:500]
    try:
        text = str(error)
    except Exception:
        text = "(the error has no text)"
    name = type(error).__name__
    return f"{name}: {text}"[:500] if text else name
