"""`tokentide verify`: reads log, ledger, rows and windows, and looks again at what differs.

Ingest may be running meanwhile: everything is compared up to the positions of the ledger, and what
is in flight beyond them is left out and counted. A difference counts as a fault only when it is the
same at a second look.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.record.topics import log_ids
from tokentide_jobs.core.tables import DAY_US, END_OF_TIME_US, LEDGER_KEPT_DAYS
from tokentide_jobs.core.verify.facts import Batch, Facts, LogState
from tokentide_jobs.core.verify.report import Report, compare
from tokentide_jobs.counted import counted
from tokentide_jobs.io.clickhouse.client import ClickHouse
from tokentide_jobs.io.clickhouse.ledger_store import LedgerStore
from tokentide_jobs.io.kafka.admin import has_topic, topic_log_id
from tokentide_jobs.io.kafka.answer import kafka_answer
from tokentide_jobs.io.kafka.offsets import offset_ranges
from tokentide_jobs.io.kafka.spans import Span
from tokentide_jobs.io.kafka.tail import partitions_with_records
from tokentide_jobs.tasks.verify.log_count import Counted, count_events
from tokentide_jobs.tasks.verify.stored_facts import StoreReader, VerifyScope

__all__ = ["EventLog", "verify"]

_LEDGER_KEPT_US: Final = (LEDGER_KEPT_DAYS - 10) * DAY_US
"""A log older than this need not begin at offset 0 any more: its first batches are dropped."""
_SETTLE_S: Final = 5.0
"""How long to look for a picture without differences while they go on changing."""
_LOOK_AGAIN_S: Final = 0.4
_STANDSTILL_S: Final = 2.0
"""When ingest has not moved for so long, look whether there is anything left to read."""


_Pending = dict[str, dict[int, Span]]
"""Offsets that are not stored yet, by topic and partition, with those no reader gets yet."""


@dataclass(frozen=True, slots=True)
class EventLog:
    """Where the events are.

    Attributes:
        bootstrap: The broker.
        topic: The events topic.
        otlp_topic: The topic of OpenTelemetry Collectors; `off`, or one that is not there: none.
        restarted_logs: The words under which topics are read as new logs, by topic.
    """

    bootstrap: str
    topic: str
    otlp_topic: str = "off"
    restarted_logs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Topics:
    """The present incarnations of all topics that are read."""

    bootstrap: str
    ids: Mapping[str, str]
    topic: str
    """The events topic: offsets that a person names are its."""
    partitions: tuple[LogPartition, ...]

    def positions(self, batches: Sequence[Batch]) -> dict[LogPartition, int]:
        """Return where each partition that exists now is finished, by these finished batches."""
        found = dict.fromkeys(self.partitions, 0)
        for batch in batches:
            if batch.log in found:
                found[batch.log] = max(found[batch.log], batch.end)
        return found


def verify(
    store: ClickHouse,
    log: EventLog,
    scope: VerifyScope | None = None,
    *,
    wait_s: float = 0.0,
    recount: bool = True,
    say: Callable[[str], None] = lambda _step: None,
) -> Report:
    """Compare Kafka, ledger, raw rows, dead letters, windows and what detection merged.

    Args:
        store: ClickHouse with the database of the pipeline.
        log: The topics.
        scope: What to verify; None: everything.
        wait_s: Wait so long for ingest to reach the end of the log; what is then still pending is
            reported as a mismatch.
        recount: Count the events in Kafka again; else the ledger's counts are believed.
        say: Called with what is being done, for a person who waits.

    Raises:
        ServiceUnreachable: Kafka does not answer.
        RetriableSinkError: ClickHouse does not answer.
    """
    scope = scope or VerifyScope()
    reader = StoreReader(store)
    logs = kafka_answer(log.bootstrap, _present(log))
    begin_s = time.monotonic()
    say("waiting for ingest")
    before, moved_s = _Pending(), begin_s
    while (pending := _pending(LedgerStore(store), logs)) and time.monotonic() - begin_s < wait_s:
        unread = sum(end - start for spans in pending.values() for start, end in spans.values())
        say(f"waiting for ingest: {counted(unread, 'record is', 'records are')} not stored yet")
        if pending != before:
            before, moved_s = pending, time.monotonic()
        elif time.monotonic() - moved_s > _STANDSTILL_S:
            if not _holds_records(logs, pending):
                break
            moved_s = time.monotonic()
        time.sleep(_LOOK_AGAIN_S)
    say("comparing rows and windows")
    facts = _settled(reader, logs, scope)
    say("counting the events in Kafka")
    facts = _recounted(facts, logs, scope, say, everything=recount)
    say("looking for repeated event ids")
    repeated = reader.repeated_event_ids() if scope.is_everything else 0
    # A search through all rows, for what without any repeated id cannot be.
    read_twice = reader.read_twice() if repeated else ()
    waited_s = wait_s if wait_s > 0 else None
    return compare(
        replace(facts, repeated_event_ids=repeated, read_twice=read_twice, waited_s=waited_s)
    )


async def _present(log: EventLog) -> _Topics:
    """Name the logs; a Collector's topic that does not exist yet holds nothing."""
    topic_ids = {log.topic: await topic_log_id(log.bootstrap, log.topic)}
    if log.otlp_topic != "off" and await has_topic(log.bootstrap, log.otlp_topic):
        topic_ids[log.otlp_topic] = await topic_log_id(log.bootstrap, log.otlp_topic)
    ids = log_ids(topic_ids, log.restarted_logs)
    partitions = [
        LogPartition(log_id, topic, partition)
        for topic, log_id in ids.items()
        for partition in await offset_ranges(log.bootstrap, topic)
    ]
    return _Topics(log.bootstrap, ids, log.topic, tuple(partitions))


def _settled(reader: StoreReader, log: _Topics, scope: VerifyScope) -> Facts:
    """Look until nothing differs, or until what differs has been the same twice."""
    facts = _look(reader, log, scope)
    until_s = time.monotonic() + _SETTLE_S
    while compare(facts).faults:
        time.sleep(_LOOK_AGAIN_S)
        before, facts = facts, _look(reader, log, scope)
        still = replace(facts, windows=facts.windows.confirmed(before.windows))
        if compare(still).faults == compare(facts).faults or time.monotonic() > until_s:
            return still
    return facts


def _look(reader: StoreReader, log: _Topics, scope: VerifyScope) -> Facts:
    """Read everything but the records. The order of reading is what makes the facts agree."""
    now_us = time.time_ns() // 1_000
    # A job that is ahead of the ledger does not say so: its snapshot is read before.
    consumed, consumed_at_us = reader.consumed() if scope.is_everything else (None, None)
    finished = reader.batches(now_us)
    batches = [batch for batch in finished if scope.holds(batch, (log.ids[log.topic], log.topic))]
    alive = [batch for batch in batches if not batch.has_expired]
    if scope.is_everything:
        bounds = (0, END_OF_TIME_US)
    else:
        first_us = min((batch.first_us for batch in alive), default=0)
        bounds = (first_us, max((batch.last_us for batch in alive), default=0))
    unfinished = reader.unfinished_voids()
    stored, beyond = reader.stored(*bounds, [place for _event_id, place in unfinished])
    windows_from_us, windows_until_us = scope.from_us, scope.until_us
    if scope.offsets is not None:
        windows_from_us, windows_until_us = bounds[0], bounds[1] + 1
    windows = reader.windows(windows_from_us, windows_until_us, now_us, log.positions(finished))
    intents = reader.intents()
    states = _log_states(log, {batch.log for batch in batches}, scope)
    wanted = {(batch.log, batch.start) for batch in batches}
    return Facts(
        batches=batches,
        intents=[i for i in intents if scope.is_everything or (i.log, i.start) in wanted],
        stored={key: value for key, value in stored.items() if key in wanted},
        beyond=beyond if scope.is_everything else {},
        logs=states,
        recounted={},
        windows=windows,
        checks_chain=scope.is_everything,
        ledger_horizon_us=now_us - _LEDGER_KEPT_US,
        unfinished_voids=sorted({event_id for event_id, _place in unfinished}),
        returned_voids=reader.returned_voids() if scope.is_everything else {},
        consumed=consumed,
        consumed_at_us=consumed_at_us,
    )


def _log_states(
    log: _Topics, known: Set[LogPartition], scope: VerifyScope
) -> dict[LogPartition, LogState]:
    """Return where each partition of the present logs begins and ends.

    Of an unused topic of Collectors there is nothing to report: partitions without a record and
    without a batch are left out.
    """
    states = {}
    for topic, log_id in log.ids.items():
        ranges = kafka_answer(log.bootstrap, offset_ranges(log.bootstrap, topic))
        for partition, held in ranges.items():
            where = LogPartition(log_id, topic, partition)
            behind = held.behind_transaction if scope.is_everything else 0
            if held.end or behind or topic == log.topic or where in known:
                states[where] = LogState(held.start, held.end, behind_transaction=behind)
    return states


def _pending(ledger: LedgerStore, log: _Topics) -> _Pending:
    """Return the offsets between the ledger's positions and the ends of the logs, by topic."""
    pending: _Pending = {}
    for topic, log_id in log.ids.items():
        ranges = kafka_answer(log.bootstrap, offset_ranges(log.bootstrap, topic))
        done = ledger.positions(log_id, topic)
        for part, held in ranges.items():
            start, end = max(done.get(part, 0), held.start), held.end + held.behind_transaction
            if start < end:
                pending.setdefault(topic, {})[part] = (start, end)
    return pending


def _holds_records(log: _Topics, pending: _Pending) -> bool:
    """Tell whether ingest has anything left to read: a log may end in markers of transactions."""
    return any(
        asyncio.run(partitions_with_records(log.bootstrap, topic, spans))
        for topic, spans in pending.items()
    )


def _recounted(
    facts: Facts, log: _Topics, scope: VerifyScope, say: Callable[[str], None], *, everything: bool
) -> Facts:
    """Add the events counted in Kafka: of the batches in scope, and beyond the position."""
    spans: dict[LogPartition, list[Span]] = {}
    for where, state in facts.logs.items():
        own = sorted(
            (batch.start, batch.end)
            for batch in facts.batches
            if batch.log == where and batch.start >= state.start and not batch.has_expired
        )
        ranges: list[Span] = []
        for start, end in own if everything else []:
            # Overlapping batches are a fault of their own; what one cannot count, none counts.
            if (not ranges or start >= ranges[-1][1]) and end <= state.end:
                ranges.append((start, end))
        spans[where] = ranges + _tail(where, state, facts.batches, scope)
    counts = asyncio.run(_counted(log, spans, say))
    recounted: dict[tuple[LogPartition, int], int] = {}
    logs = dict(facts.logs)
    for where, state in facts.logs.items():
        tail = {start for start, _end in _tail(where, state, facts.batches, scope)}
        for start, _end in spans[where]:
            count = counts[where, start].events
            if start in tail:
                logs[where] = replace(state, pending=count)
            else:
                recounted[where, start] = count
    token_spans = sum(held.token_spans for held in counts.values()) if everything else None
    return replace(facts, recounted=recounted, logs=logs, token_spans=token_spans)


async def _counted(
    log: _Topics, spans: Mapping[LogPartition, Sequence[Span]], say: Callable[[str], None]
) -> dict[tuple[LogPartition, int], Counted]:
    """Count what ranges of every topic hold, by (partition, start of range)."""
    counts: dict[tuple[LogPartition, int], Counted] = {}
    for topic in log.ids:
        own = {where.partition: where for where in spans if where.topic == topic}
        wanted = {partition: spans[where] for partition, where in own.items()}
        found = await count_events(log.bootstrap, topic, wanted, partial(_say_count, say, topic))
        counts |= {(own[partition], start): n for (partition, start), n in found.items()}
    return counts


def _say_count(say: Callable[[str], None], topic: str, done: int, total: int) -> None:
    say(f"counting the events in Kafka: {done:,} of {counted(total, 'record')} of {topic}")


def _tail(
    where: LogPartition, state: LogState, batches: Sequence[Batch], scope: VerifyScope
) -> list[Span]:
    """Return the range beyond the ledger's position, if there is one and it is in scope."""
    position = max((batch.end for batch in batches if batch.log == where), default=0)
    start = max(position, state.start)
    return [(start, state.end)] if scope.is_everything and start < state.end else []
