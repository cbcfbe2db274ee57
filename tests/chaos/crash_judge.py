"""Judges crash schedules at their end, by the logs themselves and by plain sums over the tables.

Nothing here knows how the pipeline works: what must be in the tables follows from the records.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from tests.chaos.crash_engine import Engine
from tests.chaos.simulation import Schedule, SilentPublisher, SimulatedLog
from tokentide_jobs.core.record.contents import events_in
from tokentide_jobs.io.clickhouse.client import ClickHouse

RAW = ("raw_requests", "raw_evaluations", "raw_feedback", "raw_changes", "raw_stats")

Sums = dict[str, tuple[Any, ...]]


def schedule_name(log_id: str) -> str:
    """`s7` of `s7-1`, the second incarnation of the topic of schedule 7."""
    return log_id.partition("-")[0]


def wrong_schedules(
    engine: Engine, store: ClickHouse, schedules: Sequence[Schedule], prefix: str = "s"
) -> dict[str, list[str]]:
    """Name what is wrong with each schedule; `prefix` is that of all their log ids."""
    stored: dict[str, Counter[tuple[int, int, int]]] = defaultdict(Counter)
    for log_id, *place in store.rows(places_query(store), {"prefix": prefix}):
        stored[schedule_name(log_id)][tuple(place)] += 1
    windows = window_sums(store, "windows_10s", prefix)
    rollups = window_sums(store, "windows_1m", prefix)
    subjects = subject_sums(store, prefix)
    expected, by_subject = raw_sums(engine, store, prefix), raw_subject_sums(store, prefix)
    faults: dict[str, list[str]] = {}
    for schedule in schedules:
        name = schedule_name(schedule.logs[0].log_id)
        found = [*wrong_events(stored[name], schedule.logs), *sorted(schedule.broken_promises)]
        for sums, rows, what in (
            (windows, expected, "windows"),
            (rollups, expected, "rollups"),
            (subjects, by_subject, "sums by subject"),
        ):
            if any(sums.get(log.log_id) != rows.get(log.log_id) for log in schedule.logs):
                found.append(f"{what} differ from the rows")
        if found:
            faults[name] = found
    return faults


def wrong_events(stored: Counter[tuple[int, int, int]], logs: Sequence[SimulatedLog]) -> list[str]:
    """Compare the places of stored events, as often as they occur, with those of the records."""
    sent = Counter(place for log in logs for place in places(log))
    found = []
    if lost := (sent - stored).total():
        found.append(f"{lost} of {sent.total()} events lost")
    if twice := (stored - sent).total():
        found.append(f"{twice} of {sent.total()} events stored twice")
    return found


def places(log: SimulatedLog) -> list[tuple[int, int, int]]:
    return sorted(
        (partition, record.offset, idx)
        for partition, records in log.records.items()
        for record in records
        for idx in range(len(events_in(log.topic, record.value)))
    )


def places_query(store: ClickHouse) -> str:
    return " UNION ALL ".join(
        f"SELECT log_id, _partition, _offset, _idx FROM `{store.database}`.{table} "
        "WHERE startsWith(log_id, {prefix:String})"
        for table in (*RAW, "dead_letters")
    )


def window_sums(store: ClickHouse, table: str, prefix: str) -> Sums:
    rows = store.rows(
        "SELECT tenant, sum(events), sum(requests), sum(input_tokens), "
        "toString(sum(cost_pico_usd)), sum(arraySum(mapValues(latency_hist))) "
        f"FROM `{store.database}`.{table} WHERE startsWith(tenant, {{prefix:String}}) "
        "GROUP BY tenant",
        {"prefix": prefix},
    )
    return {row[0]: tuple(row[1:]) for row in rows}


def subject_sums(store: ClickHouse, prefix: str) -> Sums:
    """Return what is stored by kind: requests, tokens and money by tenant."""
    rows = store.rows(
        "SELECT tenant, kind, sum(requests), sum(input_tokens), toString(sum(cost_pico_usd)) "
        f"FROM `{store.database}`.subjects_1h WHERE startsWith(tenant, {{prefix:String}}) "
        "GROUP BY tenant, kind ORDER BY tenant, kind",
        {"prefix": prefix},
    )
    found: dict[str, list[Any]] = defaultdict(list)
    for tenant, *sums in rows:
        found[tenant].append(tuple(sums))
    return {tenant: tuple(sums) for tenant, sums in found.items()}


def raw_subject_sums(store: ClickHouse, prefix: str) -> Sums:
    """Return the same, from the raw rows and the kinds that they name."""
    rows = store.rows(
        "SELECT tenant, subject_kinds, user_hash, run_id, trace_id, input_tokens, cost_pico_usd "
        f"FROM `{store.database}`.raw_requests WHERE startsWith(tenant, {{prefix:String}})",
        {"prefix": prefix},
    )
    sums: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    for tenant, kinds, user_hash, run_id, trace_id, tokens, cost in rows:
        named = {"user": user_hash, "run": run_id or trace_id}
        for kind in kinds.split(","):
            if kind and named[kind]:
                total = sums[tenant][kind]
                sums[tenant][kind] = [total[0] + 1, total[1] + tokens, total[2] + cost]
    return {
        tenant: tuple(
            (kind, requests, tokens, str(cost))
            for kind, (requests, tokens, cost) in sorted(kinds.items())
        )
        for tenant, kinds in sums.items()
    }


def raw_sums(engine: Engine, store: ClickHouse, prefix: str) -> Sums:
    """Return what the windows must hold, from raw rows priced once more in plain integers."""
    sums: dict[str, list[int]] = {}
    for table in RAW:
        query = (
            f"SELECT tenant, count() FROM `{store.database}`.{table} "
            "WHERE startsWith(tenant, {prefix:String}) GROUP BY tenant"
        )
        for tenant, rows in store.rows(query, {"prefix": prefix}):
            sums.setdefault(tenant, [0, 0, 0, 0])[0] += rows
    query = (
        "SELECT tenant, price_version, input_tokens, output_tokens, cost_pico_usd "
        f"FROM `{store.database}`.raw_requests WHERE startsWith(tenant, {{prefix:String}})"
    )
    for tenant, version, input_tokens, output_tokens, cost in store.rows(query, {"prefix": prefix}):
        input_rate, output_rate = engine.version_rates[version]
        assert cost == input_tokens * input_rate + output_tokens * output_rate
        total = sums[tenant]
        total[1] += 1
        total[2] += input_tokens
        total[3] += cost
    return {
        tenant: (events, requests, tokens, str(cost), requests)
        for tenant, (events, requests, tokens, cost) in sums.items()
    }


def check_published(
    store: ClickHouse, publisher: SilentPublisher, schedules: Sequence[Schedule]
) -> None:
    """Check that a reader of the deltas who drops repeats counts exactly the stored events."""
    query = f"SELECT log_id, sum(n) FROM ({events_by_log(store)}) GROUP BY log_id"
    stored = {log_id: events for log_id, events in store.rows(query)}
    published: dict[str, int] = defaultdict(int)
    published_by_subject: dict[str, int] = defaultdict(int)
    published_by_run: dict[str, int] = defaultdict(int)
    published_changes: dict[str, int] = defaultdict(int)
    places = {"windows_10s": published, "steps": published_by_run, "changes": published_changes}
    logs = [log for schedule in schedules for log in schedule.logs]
    [topic] = {log.topic for log in logs}
    for token, count in publisher.deltas.items():
        table, _, place = token.partition("/")
        by_log = places.get(table, published_by_subject)
        by_log[place.split(f"/{topic}/")[0]] += count
    assert published == stored
    by_subject = raw_subject_sums(store, schedules[0].logs[0].log_id[:1])
    assert published_by_subject == {
        log_id: sum(requests for _kind, requests, *_sums in kinds)
        for log_id, kinds in by_subject.items()
    }
    assert published_by_subject, "no batch was counted by subject"
    assert published_by_run == {
        log_id: requests
        for log_id, kinds in by_subject.items()
        for kind, requests, *_sums in kinds
        if kind == "run"
    }
    assert published_by_run, "no batch was counted by run"
    changes = f"SELECT log_id, count() FROM `{store.database}`.raw_changes GROUP BY log_id"
    assert published_changes == {row[0]: row[1] for row in store.rows(changes)}
    dead_letters = f"SELECT count() FROM `{store.database}`.dead_letters"
    assert len(publisher.dead_letters) == store.rows(dead_letters)[0][0]
    assert {log.log_id for log in logs} >= set(stored)


def events_by_log(store: ClickHouse) -> str:
    return " UNION ALL ".join(
        f"SELECT log_id, count() AS n FROM `{store.database}`.{table} GROUP BY log_id"
        for table in RAW
    )
