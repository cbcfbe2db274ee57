"""What the background thread runs, put together: encoder, sender, backlog, dispatcher.

Imported by that thread when it starts, since everything behind the queue costs memory and time.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from tokentide._contract import SCHEMA_VERSION
from tokentide._version import __version__
from tokentide.delivery.buffer import Buffer
from tokentide.delivery.counters import Counters
from tokentide.delivery.dispatcher import Dispatcher
from tokentide.delivery.encoding import Encoder
from tokentide.delivery.transport import FrameSender
from tokentide.ids import EventIds
from tokentide.log import RateLimitedLog
from tokentide.settings import Settings


def event_dispatcher(
    settings: Settings,
    buffer: Buffer,
    encoder: Encoder,
    counters: Counters,
    *,
    sender: FrameSender | None,
    producer_id: str,
    put_stats: Callable[[], None],
    total_dropped: Callable[[], int],
    is_orphaned: Callable[[], bool],
    log: RateLimitedLog,
) -> Dispatcher:
    """Return what sends a producer's events; to Kafka unless there is another sender."""
    if sender is None:
        # With aiokafka, before the first connection, so that a fork can wait for it to end.
        from tokentide.delivery.kafka import KafkaFrameSender

        sender = KafkaFrameSender(settings, producer_id, counters.note_failure, log)
    backlog = None
    if settings.spool_dir:
        from tokentide.spool.spooled_backlog import make_backlog

        backlog = make_backlog(settings, producer_id, counters, log)
    return Dispatcher(
        settings,
        buffer,
        encoder,
        sender,
        counters,
        put_stats=put_stats,
        total_dropped=total_dropped,
        is_orphaned=is_orphaned,
        backlog=backlog,
        log=log,
    )


def make_encoder(settings: Settings, ids: EventIds, counters: Counters) -> Encoder:
    """Return an encoder that gives every event what the settings and this process say of it."""
    base: dict[str, object] = {
        "schema_version": SCHEMA_VERSION,
        "service": settings.service,
        "environment": settings.environment,
        "tenant": settings.tenant,
        "team": settings.team,
        "sdk_name": "tokentide",
        "sdk_version": __version__,
        "host": os.uname().nodename if hasattr(os, "uname") else "",
        "pid": os.getpid(),
    }
    return Encoder({name: value for name, value in base.items() if value != ""}, ids, counters)
