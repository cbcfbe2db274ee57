"""The comparison behind `tokentide verify`: log, ledger, rows and windows, each against the next.

Pure: what was read from Kafka and ClickHouse comes in, faults go out. The promise it checks: every
event of the log is exactly one raw row or one dead letter, or lies beyond the ledger's position;
windows hold exactly the events, tokens and money of the raw rows; and what detection merged holds
those of the same batches.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Final, Literal

from tokentide_jobs.core.batch.ledger import LogPartition
from tokentide_jobs.core.money import usd
from tokentide_jobs.core.tables import ROLLUPS, WINDOWS
from tokentide_jobs.core.verify.detection import Detection, compare_detection
from tokentide_jobs.core.verify.facts import Batch, Facts, ReadTwice, StoredCounts
from tokentide_jobs.core.verify.fault import Fault
from tokentide_jobs.core.verify.remedies import Remedy, has_other_money, remedies_for
from tokentide_jobs.core.verify.windows import WindowComparison, WindowDifference

__all__ = ["Report", "compare"]

Verdict = Literal["ok", "not_ok", "nothing"]

_LISTED_WINDOWS: Final = 20
"""Differing windows that are named one by one."""


@dataclass(frozen=True, slots=True)
class Report:
    """The answer. Pending events are a fault only where they were waited for."""

    kafka_events: int
    raw_events: int
    voided: int
    """Rows that were taken out (`tokentide void`): on both sides, of their batches and as gone."""
    voided_cost_pico_usd: int
    """What went with them."""
    dead_letters: int
    pending: int
    behind_transaction: int
    """Records (offsets) that no reader gets before an open transaction ends: not in `pending`."""
    lost: int
    duplicated: int
    recounted_events: int
    token_spans: int | None
    """Spans in Kafka that carry tokens and were not counted as calls; None: they were not read."""
    repeated_event_ids: int
    """Rows that a producer sent again; what stands under two identities is a fault instead."""
    offsets_without_record: int
    """Offsets that held no record: transaction markers, compaction, or records that expired."""
    expired_batches: int
    """Batches too old to compare: retention may have deleted some of their rows."""
    windows: WindowComparison
    detection: Detection
    faults: tuple[Fault, ...]
    remedies: tuple[Remedy, ...]
    """What to do about the faults, in the order in which it is to be done."""
    per_partition: tuple[Mapping[str, Any], ...]

    @property
    def proves_nothing(self) -> bool:
        """Whether there was nothing to compare: no finished batch, and no settled window."""
        found = self.raw_events or self.voided or self.dead_letters
        is_empty = not (self.kafka_events - self.pending or found)
        return not self.faults and is_empty and not self.windows.compared

    @property
    def ok(self) -> bool:
        """Whether there was something to compare, and everything is where it must be, once."""
        return not self.faults and not self.proves_nothing

    @property
    def verdict(self) -> Verdict:
        """Return the verdict in a word."""
        if self.proves_nothing:
            return "nothing"
        return "ok" if self.ok else "not_ok"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; money as decimal strings, exact."""
        windows = self.windows
        return {
            "ok": self.ok,
            "verdict": self.verdict,
            "kafka_events": self.kafka_events,
            "raw_events": self.raw_events,
            "voided": self.voided,
            "voided_cost_usd": usd(self.voided_cost_pico_usd),
            "dead_letters": self.dead_letters,
            "pending": self.pending,
            "behind_transaction_records": self.behind_transaction,
            "lost": self.lost,
            "duplicated": self.duplicated,
            "windows_compared": windows.compared,
            "window_events": windows.windows.events,
            "window_raw_events": windows.rows.events,
            "raw_cost_usd": usd(windows.rows.cost_pico_usd),
            "window_cost_usd": usd(windows.windows.cost_pico_usd),
            "windows_left_out": windows.left_out,
            "left_out_events": windows.left_out_rows.events,
            "in_flight_events": windows.in_flight.events,
            "repricing": list(windows.repricing),
            "recounted_events": self.recounted_events,
            "token_spans_not_counted": self.token_spans,
            "repeated_event_ids": self.repeated_event_ids,
            "offsets_without_record": self.offsets_without_record,
            "expired_batches": self.expired_batches,
            "detection": self.detection.to_dict(),
            "remedies": [remedy.to_dict() for remedy in self.remedies],
            "log_ids": sorted({str(part["log_id"]) for part in self.per_partition}),
            "per_partition": list(self.per_partition),
            "mismatches": [
                {
                    "kind": fault.kind,
                    "where": fault.where,
                    "expected": fault.expected,
                    "found": fault.found,
                    "events": fault.events,
                }
                for fault in self.faults
            ],
        }


def compare(facts: Facts) -> Report:
    """Compare everything with everything it must equal."""
    faults: list[Fault] = []
    by_log: dict[LogPartition, list[Batch]] = defaultdict(list)
    for batch in facts.batches:
        by_log[batch.log].append(batch)
    per_partition = []
    for log in sorted({*by_log, *facts.logs, *facts.beyond}):
        batches = sorted(by_log.get(log, []), key=lambda batch: (batch.start, batch.end))
        faults += _ledger_faults(batches, facts)
        faults += _intent_faults(log, batches, facts)
        for batch in batches:
            if not batch.has_expired:
                faults += _batch_faults(batch, facts)
        faults += _edge_faults(log, batches, facts)
        per_partition.append(_partition(log, batches, facts))
    faults += _window_faults(facts.windows)
    detection = compare_detection(facts)
    faults += detection.faults()
    faults += _identity_faults(facts.read_twice)
    faults += _void_faults(facts)
    pending = sum(state.pending or 0 for state in facts.logs.values())
    if pending and facts.waited_s is not None:
        waited = f"{pending} not ingested after {facts.waited_s:g} s"
        faults.append(Fault("pending", "beyond the ledger", "nothing", waited, pending))
    behind = sum(state.behind_transaction for state in facts.logs.values())
    if behind and facts.waited_s is not None:
        waited = f"{behind} records that no reader gets, after {facts.waited_s:g} s"
        faults.append(Fault("pending", "behind an open transaction", "nothing", waited))
    alive = [batch for batch in facts.batches if not batch.has_expired]
    stored = [facts.stored.get((batch.log, batch.start), _NOTHING) for batch in alive]
    doubled = ("duplicated", "raw_and_dead", "surplus")
    return Report(
        kafka_events=sum(_expected(batch, facts) for batch in alive) + pending,
        raw_events=sum(part.raw_rows - part.voided for part in stored),
        voided=sum(part.voided for part in stored),
        voided_cost_pico_usd=sum(part.voided_cost_pico_usd for part in stored),
        dead_letters=sum(part.dead_rows for part in stored),
        pending=pending,
        behind_transaction=behind,
        lost=sum(fault.events for fault in faults if fault.kind == "lost"),
        duplicated=sum(fault.events for fault in faults if fault.kind in doubled),
        recounted_events=sum(facts.recounted.values()),
        token_spans=facts.token_spans,
        repeated_event_ids=facts.repeated_event_ids - sum(t.events for t in facts.read_twice),
        offsets_without_record=sum(b.end - b.start - b.records for b in alive),
        expired_batches=len(facts.batches) - len(alive),
        windows=facts.windows,
        detection=detection,
        faults=tuple(faults),
        remedies=tuple(remedies_for(facts, faults)),
        per_partition=tuple(per_partition),
    )


_NOTHING = StoredCounts(0, 0, 0, 0, 0, 0)


def _expected(batch: Batch, facts: Facts) -> int:
    """Return how many events the range holds: counted in Kafka, or as the ledger remembers."""
    return facts.recounted.get((batch.log, batch.start), batch.accepted + batch.dead_letters)


def _batch_faults(batch: Batch, facts: Facts) -> Iterable[Fault]:
    where = _range(batch.log, batch.start, batch.end)
    stored = facts.stored.get((batch.log, batch.start), _NOTHING)
    expected, claimed = _expected(batch, facts), batch.accepted + batch.dead_letters
    if expected != claimed:
        yield Fault("ledger_count", where, f"{expected} events in Kafka", f"{claimed} in ledger")
    if stored.distinct < expected:
        missing = expected - stored.distinct
        yield Fault("lost", where, f"{expected} events", f"{stored.distinct}", missing)
    if stored.distinct > expected:
        extra = stored.distinct - expected
        yield Fault("surplus", where, f"{expected} events", f"{stored.distinct}", extra)
    for rows, distinct, what in (
        (stored.raw_rows, stored.raw_distinct, "raw rows"),
        (stored.dead_rows, stored.dead_distinct, "dead letters"),
    ):
        if rows > distinct:
            yield Fault("duplicated", where, f"{distinct} {what}", f"{rows}", rows - distinct)
    both = stored.raw_distinct + stored.dead_distinct - stored.distinct
    if both:
        yield Fault("raw_and_dead", where, "raw row or dead letter", f"{both} events as both", both)
    elif stored.distinct == claimed and stored.dead_distinct != batch.dead_letters:
        yield Fault(
            "ledger_count", where, f"{batch.dead_letters} dead letters", f"{stored.dead_distinct}"
        )
    if has_other_money(batch, stored):
        yield Fault(
            "batch_money", where, f"{usd(batch.cost_pico_usd)} USD in ledger",
            f"{usd(stored.cost_pico_usd)} in raw rows",
        )  # fmt: skip


def _ledger_faults(batches: Sequence[Batch], facts: Facts) -> Iterable[Fault]:
    """Check that ranges follow each other without gap or overlap, from offset 0 on."""
    if not facts.checks_chain:
        return
    if batches and batches[0].start > 0 and batches[0].sealed_at_us > facts.ledger_horizon_us:
        where = _range(batches[0].log, 0, batches[0].start)
        yield Fault("ledger_gap", where, "a batch", "none")
    for before, after in pairwise(batches):
        if after.start > before.end:
            yield Fault("ledger_gap", _range(after.log, before.end, after.start), "a batch", "none")
        elif after.start < before.end:
            where = _range(after.log, after.start, min(before.end, after.end))
            yield Fault("ledger_overlap", where, "one batch", "two")


def _intent_faults(log: LogPartition, batches: Sequence[Batch], facts: Facts) -> Iterable[Fault]:
    """Check that each batch has its intent, and that no intents overlap or were passed over."""
    intents = sorted(intent for intent in facts.intents if intent.log == log)
    intended = {(intent.start, intent.end) for intent in intents}
    for batch in batches:
        if (batch.start, batch.end) not in intended:
            where = _range(log, batch.start, batch.end)
            yield Fault("ledger_intent", where, "an intent for this batch", "none")
    for before, after in pairwise(intents):
        if after.start < before.end:
            where = _range(log, after.start, min(before.end, after.end))
            yield Fault("ledger_overlap", where, "one intent", "two")
    done = {(batch.start, batch.end) for batch in batches}
    position = max((batch.end for batch in batches), default=0)
    for intent in intents:
        # Beyond the position they are at work, and were read later than the finished batches.
        if (intent.start, intent.end) not in done and intent.start < position:
            where = _range(log, intent.start, intent.end)
            yield Fault("ledger_intent", where, "a finished batch", "an intent never finished")


def _edge_faults(log: LogPartition, batches: Sequence[Batch], facts: Facts) -> Iterable[Fault]:
    """Check what lies beyond the ledger's position: rows, and the end of the log."""
    position = max((batch.end for batch in batches), default=0)
    state = facts.logs.get(log)
    if state is not None and position > state.end:
        where = f"{log.topic}/{log.partition} of log {log.log_id}"
        found = f"{position} in the ledger: records were taken back, or the topic was recreated"
        yield Fault("ledger_ahead_of_log", where, f"at most {state.end}", found)
    if log in facts.beyond:
        rows, low, high = facts.beyond[log]
        intended = (intent.end for intent in facts.intents if intent.log == log)
        reach = max(intended, default=position)
        if low < position or high >= reach:
            found = f"{rows} rows"
            yield Fault("unclaimed", _range(log, low, high + 1), "no rows", found, rows)


def _identity_faults(read_twice: Iterable[ReadTwice]) -> Iterable[Fault]:
    for topic, log_ids, events in read_twice:
        yield Fault(
            "read_twice", f"{topic} as logs {' and '.join(log_ids)}",
            "each place of a log under one identity",
            f"{events} events stored under two, with their money: a log was read again under "
            "another name, or its topic was made again with the same records",
            events,
        )  # fmt: skip


def _void_faults(facts: Facts) -> Iterable[Fault]:
    for event_id in facts.unfinished_voids:
        yield Fault("voided", f"event {event_id}", "its rows gone", "some still there")
    for event_id, rows in facts.returned_voids.items():
        found = f"{rows} stored again"
        yield Fault("voided", f"event {event_id}, which is out", "no row", found, rows)


def _window_faults(windows: WindowComparison) -> Iterable[Fault]:
    """Check that windows, rollups and their sums hold what their raw rows say."""
    single = [found for found in windows.differences if found.table == WINDOWS]
    for found in single[:_LISTED_WINDOWS]:
        yield from _window_fault(found)
    if len(single) > _LISTED_WINDOWS:
        rest = len(single) - _LISTED_WINDOWS
        yield Fault("window_events", f"{rest} further windows", "the sums of raw rows", "others")
    for found in windows.differences:
        if found.table != WINDOWS:
            done, stored = found.rows.done, found.stored
            is_rollup = found.table in ROLLUPS
            yield Fault(
                "rollup" if is_rollup else "subjects",
                f"{found.table}, {'day' if is_rollup else 'hour'} of {_time(found.start_s)}",
                f"{done.events} events, {usd(done.cost_pico_usd)} USD as in raw rows",
                f"{stored.events} events, {usd(stored.cost_pico_usd)} USD",
            )  # fmt: skip
    if not single and windows.rows != windows.windows:
        # Cannot be, since no window differs; but no sum is called equal that is not.
        yield Fault("sums", "all windows", str(windows.rows), str(windows.windows))


def _window_fault(found: WindowDifference) -> Iterable[Fault]:
    where = f"window {_time(found.start_s)}"
    rows, stored = found.rows.done, found.stored
    most = rows.plus(found.rows.in_flight)
    if not rows.events <= stored.events <= most.events:
        yield Fault(
            "window_events", where, f"{rows.events} events in raw rows", f"{stored.events}",
            abs(rows.events - stored.events),
        )  # fmt: skip
    if not rows.tokens <= stored.tokens <= most.tokens:
        yield Fault("window_tokens", where, f"{rows.tokens} tokens", f"{stored.tokens}")
    if not rows.cost_pico_usd <= stored.cost_pico_usd <= most.cost_pico_usd:
        yield Fault(
            "window_money", where, f"{usd(rows.cost_pico_usd)} USD in raw rows",
            usd(stored.cost_pico_usd),
        )  # fmt: skip


def _partition(log: LogPartition, batches: Sequence[Batch], facts: Facts) -> dict[str, Any]:
    state = facts.logs.get(log)
    alive = [batch for batch in batches if not batch.has_expired]
    parts = [facts.stored.get((log, batch.start), _NOTHING) for batch in alive]
    return {
        "log_id": log.log_id,
        "topic": log.topic,
        "partition": log.partition,
        "is_current": state is not None,
        "log_start": state.start if state else None,
        "log_end": state.end if state else None,
        "position": max((batch.end for batch in batches), default=0),
        "batches": len(batches),
        "kafka_events": sum(_expected(batch, facts) for batch in alive),
        "raw_events": sum(part.raw_rows - part.voided for part in parts),
        "voided": sum(part.voided for part in parts),
        "dead_letters": sum(part.dead_rows for part in parts),
        "pending": state.pending if state else 0,
        "behind_transaction_records": state.behind_transaction if state else 0,
    }


def _range(log: LogPartition, start: int, end: int) -> str:
    return f"{log.topic}/{log.partition} [{start}, {end}) of log {log.log_id}"


def _time(epoch_s: int) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
